"""TLS contexts of our listeners: built from the settings, followed when the certificate files change.

Keys are read once before the worker drops its privileges, and again when a file's identity or time changes (looked at
no more than once a minute, when a client begins TLS). A pair that does not load leaves the old one in use and is
logged once; new connections get the new one without a restart.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from typing import TYPE_CHECKING, cast

from roost.errors import ConfigError
from roost.events.log import Log
from roost.net.certificates import ServerContext, end_point

if TYPE_CHECKING:
    from collections.abc import Callable

    from roost.settings.schema.ssl import SslSettings

CHECK_SECS = 60.0
MIN_PROTOCOLS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}

PEM_BEGIN, PEM_END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

Stamp = tuple[tuple[int, int, int], ...]


def build_server_context(settings: SslSettings) -> ServerContext:
    """The context for our side of TLS. Raises ConfigError naming the setting whose file or value does not work."""
    cert, key = settings.ssl_server_cert_file, settings.ssl_server_key_file
    if not cert:
        raise ConfigError("no certificate is set, and TLS needs one", key="ssl_server_cert_file")
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = MIN_PROTOCOLS[settings.ssl_min_protocol]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if settings.ssl_server_prefer_ciphers == "server":
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    password = _reveal(settings.ssl_server_key_password)
    try:
        context.load_cert_chain(cert, key or None, lambda: password)
    except OSError as error:  # ssl.SSLError is one
        raise _cannot_load(error, cert, key) from None
    context.end_point = _end_point(cert)
    if settings.ssl_cipher_list:
        try:
            context.set_ciphers(settings.ssl_cipher_list)
        except ssl.SSLError as error:
            raise ConfigError(f"no cipher of that name ({_why(error)})", key="ssl_cipher_list") from None
    _set_suites(context, settings.ssl_cipher_suites)
    if settings.ssl_curve_list:
        _set_curve(context, settings.ssl_curve_list)
    if settings.ssl_server_dh_file:
        try:
            context.load_dh_params(settings.ssl_server_dh_file)
        except OSError as error:
            raise ConfigError(
                f"cannot load {settings.ssl_server_dh_file}: {_why(error)}", key="ssl_server_dh_file"
            ) from None
    _set_client_certificates(context, settings)
    return context


def _end_point(path: str) -> bytes:
    """Of the first certificate in a file that has just loaded; b"" when something else is there now."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read()
        begin = text.index(PEM_BEGIN)
        return end_point(ssl.PEM_cert_to_DER_cert(text[begin : text.index(PEM_END, begin) + len(PEM_END)]))
    except (OSError, ValueError):
        return b""


def _cannot_load(error: OSError, cert: str, key: str) -> ConfigError:
    if not isinstance(error, ssl.SSLError):
        for name, path in (("ssl_server_cert_file", cert), ("ssl_server_key_file", key)):
            if path and not os.access(path, os.R_OK):
                return ConfigError(f"cannot read {path}: {_why(error)}", key=name)
        return ConfigError(f"cannot read {cert}: {_why(error)}", key="ssl_server_cert_file")
    if reason_of(error) == "KEY_VALUES_MISMATCH":
        return ConfigError(f"{key} is not the key of the certificate {cert}", key="ssl_server_key_file")
    return ConfigError(
        f"{cert} and {key or 'the key in it'} are not a certificate and its key in PEM form: {_why(error)}",
        key="ssl_server_cert_file",
    )


def _set_suites(context: ssl.SSLContext, suites: str) -> None:
    """TLS 1.3 suites: Python has a call for them from 3.15 on; before, OpenSSL's default stands."""
    setter: Callable[[str], None] | None = getattr(context, "set_ciphersuites", None)
    if suites and setter is None:
        raise ConfigError("this Python cannot choose TLS 1.3 cipher suites; leave it empty", key="ssl_cipher_suites")
    if suites and setter is not None:
        setter(suites)


def _set_curve(context: ssl.SSLContext, curves: str) -> None:
    if ":" in curves:
        raise ConfigError("only one curve can be named; leave it empty for OpenSSL's list", key="ssl_curve_list")
    try:
        context.set_ecdh_curve(curves)
    except (ValueError, ssl.SSLError):
        raise ConfigError(f"unknown curve {curves}", key="ssl_curve_list") from None


def _set_client_certificates(context: ssl.SSLContext, settings: SslSettings) -> None:
    wanted = settings.ssl_server_request_client_cert
    if wanted == "any-cert":
        raise ConfigError(
            "any-cert is not possible here; name the authority in ssl_server_ca_file and use yes",
            key="ssl_server_request_client_cert",
        )
    if wanted != "yes":
        return
    if not settings.ssl_server_ca_file:
        raise ConfigError("client certificates need an authority", key="ssl_server_ca_file")
    try:
        context.load_verify_locations(settings.ssl_server_ca_file)
    except OSError as error:
        raise ConfigError(
            f"cannot load {settings.ssl_server_ca_file}: {_why(error)}", key="ssl_server_ca_file"
        ) from None
    context.verify_mode = ssl.CERT_OPTIONAL
    if settings.ssl_server_require_crl:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN


def reason_of(error: ssl.SSLError) -> str:
    """OpenSSL's name for what is wrong; "" when Python gives none."""
    return getattr(error, "reason", None) or ""


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (reason_of(error) or str(error)).replace("_", " ").lower()
    return error.strerror or str(error)


def _reveal(secret: object) -> str:
    """The text of a secret setting, whether it came wrapped or plain."""
    reveal = getattr(secret, "reveal", None)
    value = reveal() if callable(reveal) else secret
    return value.decode() if isinstance(value, bytes) else str(value or "")


class ServerTls:
    """The context in use. ``context`` is to be read anew for each handshake: it follows the files."""

    def __init__(self, settings: SslSettings, log: Log, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Reads certificate and key. Raises ConfigError."""
        self._settings = settings
        self._log = log
        self._clock = clock
        self._context = build_server_context(settings)
        self._stamp = self._look()
        self._next_look = clock() + CHECK_SECS

    @property
    def context(self) -> ssl.SSLContext:
        if self._clock() >= self._next_look:
            self.refresh()
        return self._context

    def refresh(self) -> None:
        """Look at the files now."""
        self._next_look = self._clock() + CHECK_SECS
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._context = build_server_context(self._settings)
        except ConfigError as error:
            self._log.error(f"The TLS certificate changed but does not load, the old one stays in use: {error.why}")
        else:
            self._log.info("The TLS certificate was changed and loaded again")

    def _look(self) -> Stamp:
        found = []
        for path in (self._settings.ssl_server_cert_file, self._settings.ssl_server_key_file):
            try:
                stat = os.stat(path)
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        return tuple(found)


def feed_transport(transport: asyncio.Transport, octets: bytes) -> None:
    """Give a transport's (TLS) protocol octets as if they had just been received."""
    protocol = cast(asyncio.BufferedProtocol, transport.get_protocol())
    while octets:
        buffer = memoryview(protocol.get_buffer(len(octets)))
        taken = min(len(buffer), len(octets))
        buffer[:taken] = octets[:taken]
        protocol.buffer_updated(taken)
        octets = octets[taken:]


def describe_tls_error(exc: BaseException) -> str:
    """One short line for the log: OpenSSL's reason, or why there was none."""
    if isinstance(exc, ssl.SSLError):
        reason = reason_of(exc).replace("_", " ").lower()
        if reason in ("http request", "https proxy request", "wrong version number", "unknown protocol"):
            return f"the client does not speak TLS ({reason})"
        return reason or str(exc)
    if isinstance(exc, (asyncio.TimeoutError, TimeoutError)):
        return "timed out"
    if isinstance(exc, ConnectionError):
        return "the client closed the connection" if not str(exc) else str(exc)
    return str(exc) or type(exc).__name__
