"""The TLS context of HTTP clients, from the ``ssl_*`` settings; made when the first https request needs it.

A setting that does not work is therefore no configuration error: the request fails with Dovecot's text as its reason.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from roost.clients.http.settings import HttpSettings
from roost.net.tls import reason_of

MIN_PROTOCOLS: Final = {
    "ANY": ssl.TLSVersion.MINIMUM_SUPPORTED,
    "LATEST": ssl.TLSVersion.MAXIMUM_SUPPORTED,
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class TlsSettingError(Exception):
    """The text begins as Dovecot's does."""

    def __init__(self, why: str) -> None:
        super().__init__(f"Couldn't initialize SSL client context: {why}")


def build_client_context(settings: HttpSettings) -> ssl.SSLContext:
    """Raises TlsSettingError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if settings.ssl_min_protocol not in MIN_PROTOCOLS:
        raise TlsSettingError(
            f"Can't set minimum protocol to '{settings.ssl_min_protocol}' (ssl_min_protocol setting): Unknown value"
        )
    context.minimum_version = MIN_PROTOCOLS[settings.ssl_min_protocol]
    context.options |= ssl.OP_NO_COMPRESSION
    if "no_ticket" in settings.ssl_options.replace(",", " ").split():
        context.options |= ssl.OP_NO_TICKET
    if settings.ssl_client_require_valid_cert:
        _load_authorities(context, settings)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.ssl_cipher_list:
        _try("cipher list", "ssl_cipher_list", settings.ssl_cipher_list, context.set_ciphers)
    if settings.ssl_cipher_suites:
        setter: Callable[[str], None] | None = getattr(context, "set_ciphersuites", None)  # Python 3.15
        if setter is None:
            raise TlsSettingError(
                f"Can't set ciphersuites to '{settings.ssl_cipher_suites}' (ssl_cipher_suites setting): "
                "this Python cannot choose them"
            )
        _try("ciphersuites", "ssl_cipher_suites", settings.ssl_cipher_suites, setter)
    if settings.ssl_curve_list:
        _try("curve list", "ssl_curve_list", settings.ssl_curve_list, context.set_ecdh_curve)
    if settings.ssl_client_cert_file:
        _load_certificate(context, settings)
    return context


def _try(what: str, key: str, value: str, setter: Callable[[str], object]) -> None:
    try:
        setter(value)
    except (ssl.SSLError, ValueError) as error:
        raise TlsSettingError(f"Can't set {what} to '{value}' ({key} setting): {_why(error)}") from None


def _load_authorities(context: ssl.SSLContext, settings: HttpSettings) -> None:
    ca_file, ca_dir = settings.ssl_client_ca_file, settings.ssl_client_ca_dir
    if not ca_file and not ca_dir:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        return
    try:
        context.load_verify_locations(ca_file or None, ca_dir or None)
    except OSError as error:
        key = "ssl_client_ca_file" if ca_file else "ssl_client_ca_dir"
        raise TlsSettingError(f"Can't load CA certs from {ca_file or ca_dir} ({key} setting): {_why(error)}") from None


def _load_certificate(context: ssl.SSLContext, settings: HttpSettings) -> None:
    password = settings.ssl_client_key_password
    try:
        context.load_cert_chain(
            settings.ssl_client_cert_file, settings.ssl_client_key_file or None, password=lambda: password
        )
    except OSError as error:
        raise TlsSettingError(
            f"Can't load SSL certificate (ssl_client_cert_file setting): {settings.ssl_client_cert_file}: {_why(error)}"
        ) from None


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (reason_of(error) or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)
