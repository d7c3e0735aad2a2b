"""From a block's settings to those of the HTTP client, and to a TLS context for other clients."""

from __future__ import annotations

import ssl

from roost.clients.http.settings import HttpSettings, check
from roost.clients.http.tls import TlsSettingError, build_client_context
from roost.errors import ConfigError
from roost.settings.schema.http_client import HttpClientSettings

HTTP, TLS = "http_", "ssl_client_"


def http_settings(settings: HttpClientSettings) -> HttpSettings:
    """The block's settings of the HTTP client. Raises ConfigError."""
    values = {}
    for name in HttpSettings.__slots__:
        own = name if name.startswith(TLS) else HTTP + name
        if hasattr(settings, own):
            values[name] = getattr(settings, own)
    made = HttpSettings(**values)
    check(made)
    return made


def tls_context(settings: HttpClientSettings) -> ssl.SSLContext:
    """For a client that speaks TLS by itself. Raises ConfigError."""
    try:
        return build_client_context(http_settings(settings))
    except TlsSettingError as error:
        raise ConfigError(str(error), key="ssl_client_ca_file") from None
