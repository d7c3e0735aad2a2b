"""How a URL is reached: directly, through an HTTP proxy, through a proxy's tunnel, with or without TLS."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from roost.clients.http.connect import Route, show_address
from roost.clients.http.message import basic
from roost.clients.http.tls import build_client_context
from roost.clients.http.url import Url, parse_url

if TYPE_CHECKING:
    from roost.clients.http.settings import HttpSettings


class Routes:
    """``authorization`` is the Proxy-Authorization value, b"" for none."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._tls: ssl.SSLContext | None = None
        self._proxy = parse_url(settings.proxy_url, userinfo=False) if settings.proxy_url else None
        user = settings.proxy_username.encode("utf-8", "surrogateescape")
        password = settings.proxy_password.encode("utf-8", "surrogateescape")
        self.authorization = basic(user, password) if user else b""

    def to(self, url: Url) -> Route:
        """Raises TlsSettingError."""
        settings, proxy = self._settings, self._proxy
        secure = url.scheme == "https"
        if not settings.proxy_socket_path and proxy is None:
            return Route(url.host, url.port, tls=self._context() if secure else None, tls_name=url.host)
        host, port, path = "", 0, settings.proxy_socket_path
        if not path and proxy is not None:
            host, port = proxy.host, proxy.port
        if secure and settings.proxy_ssl_tunnel:
            return Route(host, port, path, tunnel=self._connect(url), tls=self._context(), tls_name=url.host)
        if not path and proxy is not None and proxy.scheme == "https":
            return Route(host, port, forwards=True, tls=self._context(), tls_name=proxy.host)
        return Route(host, port, path, forwards=True)

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = build_client_context(self._settings)
        return self._tls

    def _connect(self, url: Url) -> bytes:
        where = show_address(url.host, url.port).encode()
        lines = [b"CONNECT %b HTTP/1.1" % where, b"Host: " + where]
        if self.authorization:
            lines.append(b"Proxy-Authorization: " + self.authorization)
        return b"\r\n".join(lines) + b"\r\n\r\n"
