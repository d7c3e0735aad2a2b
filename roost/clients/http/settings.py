"""Settings of the HTTP client: Dovecot 2.4's names, units, defaults and refusals, as one frozen dataclass.

``from_strings`` reads the texts of a configuration or a Lua table; ``from_values`` also takes numbers and booleans, and
2.3's key names when ``compat`` is set (``roost/clients/http/compat.py``). Times are kept in milliseconds (fields that
end in ``_msecs``), sizes in octets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from roost.clients.http.compat import Value, translate
from roost.clients.http.url import BadUrl, parse_url
from roost.errors import ConfigError
from roost.settings.values import UINT_MAX, parse_bool, parse_msecs, parse_size

_DIGITS = re.compile(r"[0-9]{1,20}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """See docs/http-client.md for each. The last four are ours: bounds that Dovecot's client does not have."""

    request_timeout_msecs: int = 60_000
    request_absolute_timeout_msecs: int = 0
    connect_timeout_msecs: int = 0
    soft_connect_timeout_msecs: int = 0
    request_max_attempts: int = 1
    request_max_redirects: int = 0
    auto_redirect: bool = True
    auto_retry: bool = True
    max_connect_attempts: int = 0
    max_idle_time_msecs: int = 0
    connect_backoff_time_msecs: int = 100
    connect_backoff_max_time_msecs: int = 60_000
    max_auto_retry_delay_secs: int = 0
    user_agent: str = ""
    rawlog_dir: str = ""
    proxy_url: str = field(default="", repr=False)
    proxy_username: str = ""
    proxy_password: str = field(default="", repr=False)
    proxy_socket_path: str = ""
    proxy_ssl_tunnel: bool = True
    max_parallel_connections: int = 1
    max_pipelined_requests: int = 1
    read_request_max_attempts: int = 0
    write_request_max_attempts: int = 0
    delete_request_max_attempts: int = 0
    read_request_timeout_msecs: int = 0
    write_request_timeout_msecs: int = 0
    delete_request_timeout_msecs: int = 0
    response_hdr_max_size_octets: int = 200 * 1024
    response_hdr_max_field_size_octets: int = 8 * 1024
    response_hdr_max_fields: int = 50
    socket_send_buffer_size_octets: int = 0
    socket_recv_buffer_size_octets: int = 0
    dns_ttl_msecs: int = 30 * 60_000
    ssl_client_ca_file: str = ""
    ssl_client_ca_dir: str = ""
    ssl_client_cert_file: str = ""
    ssl_client_key_file: str = ""
    ssl_client_key_password: str = field(default="", repr=False)
    ssl_client_require_valid_cert: bool = True
    ssl_min_protocol: str = "TLSv1.2"
    ssl_cipher_list: str = ""
    ssl_cipher_suites: str = ""
    ssl_curve_list: str = ""
    ssl_crypto_device: str = ""
    ssl_options: str = ""
    ssl_peer_certificate_fingerprint_hash: str = ""
    dns_client_socket_path: str = "dns-client"
    dns_client_timeout_msecs: int = 10_000
    base_dir: str = ""
    response_body_max_octets: int = 10 * 1024 * 1024
    max_queued_requests: int = 20_000

    def attempts_for(self, method: str) -> int:
        """How often a request of ``method`` may be tried in all."""
        return _by_method(self, method)[0] or self.request_max_attempts

    def timeout_for(self, method: str) -> int:
        """Milliseconds one attempt may take."""
        return _by_method(self, method)[1] or self.request_timeout_msecs

    @property
    def connect_msecs(self) -> int:
        """Milliseconds TCP and TLS may take."""
        return self.connect_timeout_msecs or self.request_timeout_msecs


def _by_method(settings: HttpSettings, method: str) -> tuple[int, int]:
    if method in ("GET", "HEAD"):
        return settings.read_request_max_attempts, settings.read_request_timeout_msecs
    if method in ("POST", "PUT"):
        return settings.write_request_max_attempts, settings.write_request_timeout_msecs
    if method == "DELETE":
        return settings.delete_request_max_attempts, settings.delete_request_timeout_msecs
    return 0, 0


# Name of the setting → (kind, name of the field). Kinds: bool, uint, msecs, secs, size, str
KEYS: Final[dict[str, tuple[str, str]]] = {}
for _name, _type in HttpSettings.__annotations__.items():
    for _suffix, _kind in (("_msecs", "msecs"), ("_secs", "secs"), ("_octets", "size")):
        if _name.endswith(_suffix):
            KEYS[_name.removesuffix(_suffix)] = (_kind, _name)
            break
    else:
        KEYS[_name] = ("uint" if _type == "int" else str(_type), _name)

NOT_ZERO = (
    "request_max_attempts",
    "max_pipelined_requests",
    "max_parallel_connections",
    "connect_backoff_time_msecs",
    "request_timeout_msecs",
    "response_hdr_max_size_octets",
    "response_hdr_max_field_size_octets",
    "response_hdr_max_fields",
)


def from_strings(values: Mapping[str, str], *, compat: bool = False) -> HttpSettings:
    """Settings from texts. Raises ConfigError whose ``why`` is Dovecot's text."""
    return from_values(values, compat=compat)[0]


def from_values(
    values: Mapping[str, Value], *, compat: bool = False, base: HttpSettings | None = None
) -> tuple[HttpSettings, list[str]]:
    """Settings, and what was tolerated (for one warning). What ``values`` does not name is as in ``base``.

    Strict: texts, and numbers as if they were written as texts. ``compat``: 2.3's names and types too, and unknown
    names are ignored. Raises ConfigError.
    """
    notes: list[str] = []
    texts: Mapping[str, str]
    if compat:
        texts, notes = translate(values, KEYS)
    else:
        texts = {key: as_text(key, value) for key, value in values.items()}
    found: dict[str, object] = {}
    for key, text in texts.items():
        if key not in KEYS:
            raise ConfigError(f"{key} is unknown setting", key=key)
        kind, name = KEYS[key]
        found[name] = _parse(key, kind, text)
    settings = replace_settings(base or HttpSettings(), found)
    check(settings)
    return settings, notes


def replace_settings(settings: HttpSettings, changes: Mapping[str, object]) -> HttpSettings:
    """A copy with other values, by field name."""
    fields = {name: getattr(settings, name) for name in HttpSettings.__slots__}
    return HttpSettings(**{**fields, **changes})


def as_text(key: str, value: Value) -> str:
    """How a Lua value is written as a setting's text. Raises ConfigError for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ConfigError(f"{key}: only strings and numbers can be settings (write yes or no as strings)", key=key)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _parse(key: str, kind: str, text: str) -> object:
    shown = "***" if "password" in key or key == "proxy_url" else text
    try:
        if kind == "bool":
            return parse_bool(text)
        if kind == "uint":
            if not _DIGITS.match(text):
                raise ValueError(f"Invalid number {text}: Not a valid number")
            if int(text) > UINT_MAX:
                raise ValueError(f"Invalid number {text}: Value is too large")
            return int(text)
        if kind == "msecs":
            return parse_msecs(text)
        if kind == "secs":
            msecs = parse_msecs(text)
            if msecs % 1000:
                raise ValueError(f"Milliseconds not supported for this setting: {text}")
            return msecs // 1000
        if kind == "size":
            return parse_size(text)
        if "\0" in text:
            raise ValueError("A NUL character is not allowed in a value")
        if key in ("user_agent", "proxy_username", "proxy_password") and ("\r" in text or "\n" in text):
            raise ValueError("A line end is not allowed in this value")
    except ValueError as error:
        raise ConfigError(f"{key}={shown}: {error}", key=key) from None
    return text


def check(settings: HttpSettings) -> None:
    """What holds between settings. Raises ConfigError."""
    for name in NOT_ZERO:
        if getattr(settings, name) == 0:
            shown = name.removesuffix("_octets")
            if name != "request_max_attempts":
                shown = "http_client_" + shown
            raise ConfigError(f"{shown} must not be 0", key=name)
    if settings.connect_backoff_max_time_msecs < settings.connect_backoff_time_msecs:
        raise ConfigError(
            f"http_client_connect_backoff_max_time_msecs ({settings.connect_backoff_max_time_msecs}) must not be "
            f"smaller than http_client_connect_backoff_time_msecs ({settings.connect_backoff_time_msecs})",
            key="connect_backoff_max_time",
        )
    if settings.proxy_url:
        try:
            parse_url(settings.proxy_url, userinfo=False)
        except BadUrl as error:
            raise ConfigError(f"Invalid http_client_proxy_url: {error}", key="proxy_url") from None
