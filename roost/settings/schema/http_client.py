"""The HTTP client of the services: who asks a server by HTTP has these settings too (docs/http-client.md)."""

from __future__ import annotations

from dataclasses import dataclass

from roost.settings.fields import BOOL, MSECS, SECRET, SECS, SIZE, STR, UINT, setting

KEY = "http_client_"


PARALLEL = 1000


@dataclass(frozen=True, kw_only=True)
class HttpClientSettings:
    """Attributes are the key without ``http_client_`` behind ``http_``."""

    http_auto_redirect: bool = setting(
        True, type=BOOL, key=KEY + "auto_redirect", text="http: follow redirects; no = a redirect is the answer."
    )
    http_auto_retry: bool = setting(
        True, type=BOOL, key=KEY + "auto_retry", text="http: try again after a lost connection or a timeout."
    )
    http_connect_backoff_max_time_msecs: int = setting(
        60_000, type=MSECS, key=KEY + "connect_backoff_max_time", text="http: longest pause after failed connections."
    )
    http_connect_backoff_time_msecs: int = setting(
        100, type=MSECS, low=1, key=KEY + "connect_backoff_time", text="http: pause after the first failed connection."
    )
    http_connect_timeout_msecs: int = setting(
        0, type=MSECS, key=KEY + "connect_timeout", text="http: TCP and TLS of one address; 0 = as one request."
    )
    http_dns_ttl_msecs: int = setting(
        30 * 60_000, type=MSECS, key=KEY + "dns_ttl", text="http: how long addresses are kept."
    )
    http_dns_client_timeout_msecs: int = setting(
        10_000, type=MSECS, low=1, key="dns_client_timeout", text="http: how long a lookup of addresses may take."
    )
    http_max_auto_retry_delay_secs: int = setting(
        0, type=SECS, key=KEY + "max_auto_retry_delay", text="http: longest Retry-After that is waited for."
    )
    http_max_connect_attempts: int = setting(
        0, type=UINT, key=KEY + "max_connect_attempts", text="http: connection attempts; 0 = each address once."
    )
    http_max_idle_time_msecs: int = setting(
        0, type=MSECS, key=KEY + "max_idle_time", text="http: how long an unused connection is kept. oauth2: 60 s."
    )
    http_max_parallel_connections: int = setting(
        1,
        type=UINT,
        low=1,
        unit="connections",
        key=KEY + "max_parallel_connections",
        text="http: connections to one server. oauth2: 10.",
    )
    http_max_pipelined_requests: int = setting(
        1, type=UINT, low=1, key=KEY + "max_pipelined_requests", text="http: accepted; nothing is pipelined."
    )
    http_max_queued_requests: int = setting(
        20_000, type=UINT, low=1, key=KEY + "max_queued_requests", text="http: that may wait for one server."
    )
    http_proxy_password: str = setting(
        "", type=SECRET, key=KEY + "proxy_password", text="http: password for the HTTP proxy."
    )
    http_proxy_socket_path: str = setting(
        "", type=STR, key=KEY + "proxy_socket_path", text="http: UNIX socket of an HTTP proxy."
    )
    http_proxy_url: str = setting("", type=STR, key=KEY + "proxy_url", text="http: HTTP proxy.")
    http_proxy_username: str = setting("", type=STR, key=KEY + "proxy_username", text="http: user at the HTTP proxy.")
    http_rawlog_dir: str = setting(
        "", type=STR, key=KEY + "rawlog_dir", text="http: accepted, without effect: it would write secrets to disk."
    )
    http_request_absolute_timeout_msecs: int = setting(
        0, type=MSECS, key=KEY + "request_absolute_timeout", text="http: the whole request with retries; 0 = none."
    )
    http_request_max_attempts: int = setting(
        1, type=UINT, low=1, key=KEY + "request_max_attempts", text="http: attempts in all."
    )
    http_request_max_redirects: int = setting(
        0, type=UINT, key=KEY + "request_max_redirects", text="http: redirects that are followed; 0 = refuse."
    )
    http_request_timeout_msecs: int = setting(
        60_000, type=MSECS, low=1, key=KEY + "request_timeout", text="http: how long one attempt may take."
    )
    http_response_body_max_octets: int = setting(
        10 << 20, type=SIZE, low=1024, key=KEY + "response_body_max", text="http: a longer answer fails. oauth2: 256 k."
    )
    http_response_hdr_max_field_size_octets: int = setting(
        8192, type=SIZE, low=64, key=KEY + "response_hdr_max_field_size", text="http: one field of an answer's head."
    )
    http_response_hdr_max_fields: int = setting(
        50, type=UINT, low=1, key=KEY + "response_hdr_max_fields", text="http: fields of an answer's head."
    )
    http_response_hdr_max_size_octets: int = setting(
        200 << 10, type=SIZE, low=1024, key=KEY + "response_hdr_max_size", text="http: an answer's head."
    )
    http_soft_connect_timeout_msecs: int = setting(
        0, type=MSECS, key=KEY + "soft_connect_timeout", text="http: the next address is tried beside a slower one."
    )
    http_user_agent: str = setting("", type=STR, key=KEY + "user_agent", text="http: the header User-Agent.")


@dataclass(frozen=True, kw_only=True)
class LuaHttpSettings(HttpClientSettings):
    """What ``dovecot.http.client{}`` of scripts starts from: the settings outside all sections. Scripts of one process
    share connections, of which Dovecot's 1 would make a bottleneck."""

    http_max_parallel_connections: int = setting(
        PARALLEL, type=UINT, low=1, key=KEY + "max_parallel_connections", text=""
    )
    ssl_client_ca_dir: str = setting("", type=STR, key="ssl_client_ca_dir", text="")
    ssl_client_ca_file: str = setting("", type=STR, key="ssl_client_ca_file", text="")
    ssl_client_cert_file: str = setting("", type=STR, key="ssl_client_cert_file", text="")
    ssl_client_key_file: str = setting("", type=STR, key="ssl_client_key_file", text="")
    ssl_client_require_valid_cert: bool = setting(True, type=BOOL, key="ssl_client_require_valid_cert", text="")
