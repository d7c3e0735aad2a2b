"""From a block's settings of the HTTP client to a TLS context for other clients."""

from __future__ import annotations

import ssl

from roost.clients.http.configured import http_settings
from roost.clients.http.tls import TlsSettingError, build_client_context
from roost.errors import ConfigError
from roost.settings.schema.http_client import HttpClientSettings

__all__ = ["http_settings", "tls_context"]


def tls_context(settings: HttpClientSettings) -> ssl.SSLContext:
    """For a client that speaks TLS by itself. Raises ConfigError."""
    try:
        return build_client_context(http_settings(settings))
    except TlsSettingError as error:
        raise ConfigError(str(error), key="ssl_client_ca_file") from None
