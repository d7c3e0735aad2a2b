"""From the settings of a configuration to those of the HTTP client."""

from __future__ import annotations

from roost.clients.http.settings import HttpSettings, check
from roost.settings.schema.http_client import HttpClientSettings

HTTP, TLS = "http_", "ssl_client_"


def http_settings(settings: HttpClientSettings) -> HttpSettings:
    """A section's settings of the HTTP client. Raises ConfigError."""
    values = {}
    for name in HttpSettings.__slots__:
        own = name if name.startswith(TLS) else HTTP + name
        if hasattr(settings, own):
            values[name] = getattr(settings, own)
    made = HttpSettings(**values)
    check(made)
    return made
