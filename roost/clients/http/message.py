"""Requests and responses as the client's users see them, and the head of a request on the wire.

A network failure is a Response too: ``status`` 9000 and above with Dovecot's text in ``reason``. Names and values of
headers are checked when a Request is made or changed, so that nothing from a script can forge another header.
"""

from __future__ import annotations

import re
from base64 import b64encode
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from roost.clients.http.url import Url

ABORTED: Final = 9000
INVALID_URL: Final = 9001
DNS_FAILED: Final = 9002
CONNECT_FAILED: Final = 9003
INVALID_REDIRECT: Final = 9004
CONNECTION_LOST: Final = 9005
BROKEN_PAYLOAD: Final = 9006
BAD_RESPONSE: Final = 9007
TIMED_OUT: Final = 9008
PREREQUISITE_FAILED: Final = 9009

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING = (b"content-length", b"transfer-encoding")  # the client's own business: a value from elsewhere is dropped


class BadRequest(ValueError):
    """A method or header that cannot be sent."""


class Request:
    """What to ask. ``url`` as text or parsed; ``headers`` replace the implicit ones of the same name.

    ``body`` None: no payload (POST and PUT then say Content-Length: 0). ``sync``: the body waits for 100-continue.
    """

    __slots__ = ("body", "headers", "method", "sync", "url")

    def __init__(
        self,
        method: str,
        url: str | Url,
        headers: dict[str, str | bytes] | list[tuple[str, str | bytes]] | None = None,
        body: bytes | None = None,
        *,
        sync: bool = False,
    ) -> None:
        """Raises BadRequest."""
        if not _is_method(method):
            raise BadRequest(f"Invalid method: {method!r}")
        self.method = method
        self.url = url
        self.body = body
        self.sync = sync
        self.headers: dict[bytes, tuple[bytes, bytes]] = {}  # lower case → (name, value)
        for name, value in headers.items() if isinstance(headers, dict) else headers or ():
            self.set_header(name, value)

    def set_header(self, name: str, value: str | bytes) -> None:
        """Set or replace. Raises BadRequest."""
        octets, low = _name(name)
        text = _value(name, value)
        if low not in _FRAMING:
            self.headers[low] = (octets, text)

    def remove_header(self, name: str) -> None:
        """Drop one set before; unknown is fine."""
        self.headers.pop(name.encode("latin-1", "replace").lower(), None)


class Response:
    """What came. ``headers``: names in lower case. ``body``: b"" when none."""

    __slots__ = ("body", "headers", "reason", "status")

    def __init__(
        self, status: int, reason: str, headers: list[tuple[bytes, bytes]] | None = None, body: bytes = b""
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers or []
        self.body = body

    @property
    def failed(self) -> bool:
        """No answer of a server: ``reason`` says what happened instead."""
        return self.status >= ABORTED

    def header(self, name: str) -> str:
        """The first of that name, "" when there is none."""
        wanted = name.lower().encode("latin-1", "replace")
        for have, value in self.headers:
            if have == wanted:
                return value.decode("latin-1")
        return ""

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason!r}, {len(self.body)} octets>"


def check_header(name: str, value: str | bytes) -> tuple[bytes, bytes]:
    """Octets of a header that may be sent. Text is sent as UTF-8. Raises BadRequest."""
    return _name(name)[0], _value(name, value)


@lru_cache(maxsize=64)
def _is_method(method: str) -> bool:
    return bool(_TOKEN.match(method.encode("latin-1", "replace"))) and len(method) <= 64 and method != "CONNECT"


@lru_cache(maxsize=256)
def _name(name: str) -> tuple[bytes, bytes]:
    """The name's octets, and those in lower case. Raises BadRequest."""
    octets = name.encode("utf-8", "surrogateescape")
    if not _TOKEN.match(octets):
        raise BadRequest("Invalid header name")
    low = octets.lower()
    if low == b"proxy-authorization":
        raise BadRequest("Header Proxy-Authorization cannot be set by a request")
    return octets, low


def _value(name: str, value: str | bytes) -> bytes:
    text = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
    if _BAD_VALUE.search(text):
        raise BadRequest(f"Invalid value for header {name}")
    return text.strip(b" \t")


def basic(user: bytes, password: bytes) -> bytes:
    """The value of a Basic authorization (RFC 7617)."""
    return b"Basic " + b64encode(user + b":" + password)


class DateHeader:
    """The Date header's text, formatted once a second."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = b""

    def at(self, now: float) -> bytes:
        second = int(now)
        if second != self._second:
            self._second = second
            self._text = formatdate(second, usegmt=True).encode()
        return self._text


def format_head(
    request: Request,
    url: Url,
    method: str,
    *,
    date: bytes,
    user_agent: bytes,
    body_octets: int,
    expect: bool,
    proxy: bytes | None,
    same_origin: bool,
) -> bytes:
    """The head of ``request`` sent as ``method`` to ``url``. ``body_octets`` -1: no payload.

    ``proxy``: None when spoken to the server itself, else the Proxy-Authorization value or b"". ``same_origin`` False:
    a redirect led to another server, which must not see credentials set for the first.
    """
    headers = request.headers
    target = url.target if proxy is None else url.origin + url.target
    lines = [b"%b %b HTTP/1.1" % (method.encode(), target.encode())]
    if b"host" not in headers or not same_origin:
        lines.append(b"Host: " + url.authority.encode())
    if b"date" not in headers:
        lines.append(b"Date: " + date)
    if url.user and b"authorization" not in headers:
        lines.append(b"Authorization: " + basic(url.user, url.password))
    if proxy:
        lines.append(b"Proxy-Authorization: " + proxy)
    if user_agent and b"user-agent" not in headers:
        lines.append(b"User-Agent: " + user_agent)
    if expect and b"expect" not in headers:
        lines.append(b"Expect: 100-continue")
    if body_octets >= 0 or method in ("POST", "PUT"):
        lines.append(b"Content-Length: %d" % max(body_octets, 0))
    if proxy is None and b"connection" not in headers:
        lines.append(b"Connection: Keep-Alive")
    for low, (name, value) in headers.items():
        if not same_origin and low in (b"authorization", b"cookie", b"host"):
            continue
        if low == b"expect" and not expect:
            continue
        if body_octets < 0 and low in (b"content-type", b"content-encoding") and method != request.method:
            continue  # 303 made a GET of it
        lines.append(name + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n"
