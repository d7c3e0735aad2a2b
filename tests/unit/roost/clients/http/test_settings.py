"""Settings of the HTTP client: defaults, Dovecot's refusals word for word, tables of 2.3, URLs."""

from __future__ import annotations

import pytest

from roost.clients.http.settings import KEYS, HttpSettings, from_strings, from_values
from roost.clients.http.url import BadUrl, Url, join_url, parse_url
from roost.errors import ConfigError

DOCUMENTED = """request_timeout request_absolute_timeout connect_timeout soft_connect_timeout request_max_attempts
request_max_redirects auto_redirect auto_retry max_connect_attempts max_idle_time connect_backoff_time
connect_backoff_max_time max_auto_retry_delay user_agent rawlog_dir proxy_url proxy_username proxy_password
proxy_socket_path proxy_ssl_tunnel max_parallel_connections max_pipelined_requests read_request_max_attempts
write_request_max_attempts delete_request_max_attempts read_request_timeout write_request_timeout
delete_request_timeout response_hdr_max_size response_hdr_max_field_size response_hdr_max_fields
socket_send_buffer_size socket_recv_buffer_size dns_ttl ssl_client_ca_file ssl_client_ca_dir ssl_client_cert_file
ssl_client_key_file ssl_client_key_password ssl_client_require_valid_cert ssl_min_protocol ssl_cipher_list
ssl_cipher_suites ssl_curve_list ssl_crypto_device ssl_options ssl_peer_certificate_fingerprint_hash
dns_client_socket_path dns_client_timeout base_dir"""


def why(values: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        from_strings(values)
    return caught.value.why


def test_every_setting_of_dovecot_is_there() -> None:
    assert set(DOCUMENTED.split()) | {"response_body_max", "max_queued_requests"} == set(KEYS)
    assert from_strings({}) == HttpSettings()


def test_values() -> None:
    settings = from_strings(
        {"request_timeout": "5s", "connect_timeout": "500ms", "dns_ttl": "1 min", "auto_retry": "No",
         "user_agent": "x y", "response_hdr_max_size": "1k", "request_max_attempts": "3",
         "max_auto_retry_delay": "10 secs", "max_idle_time": "0"}
    )  # fmt: skip
    assert settings.request_timeout_msecs == 5000 and settings.connect_timeout_msecs == 500
    assert settings.dns_ttl_msecs == 60_000 and settings.auto_retry is False and settings.user_agent == "x y"
    assert settings.response_hdr_max_size_octets == 1024 and settings.request_max_attempts == 3
    assert settings.max_auto_retry_delay_secs == 10


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("timeout", "1", "timeout is unknown setting"),
        ("auto_retry", "cow", "auto_retry=cow: Invalid boolean value: cow (use yes or no)"),
        ("request_max_attempts", "three", "request_max_attempts=three: Invalid number three: Not a valid number"),
        (
            "request_timeout",
            "5000",
            "request_timeout=5000: Time interval '5000' is missing units (add e.g. 's' for seconds)",
        ),
        ("request_max_attempts", "0", "request_max_attempts must not be 0"),
        ("max_parallel_connections", "0", "http_client_max_parallel_connections must not be 0"),
        ("request_timeout", "0", "http_client_request_timeout_msecs must not be 0"),
        ("proxy_url", "ftp://x/", "Invalid http_client_proxy_url: Not an HTTP URL"),
    ],
)
def test_refusals(key: str, value: str, text: str) -> None:
    assert why({key: value}) == text


def test_refusals_between_settings_and_of_secrets() -> None:
    assert "must not be smaller" in why({"connect_backoff_time": "5s", "connect_backoff_max_time": "1s"})
    assert why({"proxy_password": "sec\nret"}) == "proxy_password=***: A line end is not allowed in this value"
    assert from_strings({"ssl_min_protocol": "cow"}).ssl_min_protocol == "cow"  # looked at when TLS starts
    assert "hidden" not in repr(from_strings({"proxy_password": "hidden", "ssl_client_key_password": "hidden"}))


def test_strict_takes_numbers_as_texts_and_no_booleans() -> None:
    assert from_values({"request_max_attempts": 3})[0].request_max_attempts == 3
    assert from_values({"request_max_attempts": 3.0})[0].request_max_attempts == 3
    with pytest.raises(ConfigError, match="missing units"):
        from_values({"request_timeout": 5000})
    with pytest.raises(ConfigError, match="yes or no"):
        from_values({"auto_retry": True})


def test_tables_of_two_three() -> None:
    settings, notes = from_values({"timeout": 10000, "max_attempts": 3, "debug": True}, compat=True)
    assert settings.request_timeout_msecs == 10_000 and settings.request_max_attempts == 3
    assert len(notes) == 3
    old = {
        "max_redirects": 2, "no_auto_redirect": True, "no_auto_retry": False, "request_timeout_msecs": 1,
        "request_absolute_timeout_msecs": 2, "connect_timeout_msecs": 3, "soft_connect_timeout_msecs": 4,
        "connect_backoff_time_msecs": 5, "connect_backoff_max_time_msecs": 6, "max_idle_time_msecs": 7,
        "max_auto_retry_delay_secs": 8, "user_agent": "x", "max_connect_attempts": 9, "nonsense": "z",
    }  # fmt: skip
    settings, notes = from_values(old, compat=True)
    assert (settings.request_max_redirects, settings.auto_redirect, settings.auto_retry) == (2, False, True)
    assert (settings.request_timeout_msecs, settings.request_absolute_timeout_msecs) == (1, 2)
    assert (settings.connect_timeout_msecs, settings.soft_connect_timeout_msecs) == (3, 4)
    assert (settings.connect_backoff_time_msecs, settings.connect_backoff_max_time_msecs) == (5, 6)
    assert (settings.max_idle_time_msecs, settings.max_auto_retry_delay_secs) == (7, 8)
    assert (settings.user_agent, settings.max_connect_attempts) == ("x", 9)
    assert "nonsense is unknown and ignored" in notes


def test_the_new_names_work_in_old_tables_too() -> None:
    settings, _ = from_values({"request_timeout": "5s", "timeout": 1, "auto_retry": False}, compat=True)
    assert settings.request_timeout_msecs == 5000 and settings.auto_retry is False
    assert from_values({"request_timeout": 250}, compat=True)[0].request_timeout_msecs == 250
    with pytest.raises(ConfigError, match="use yes or no"):
        from_values({"auto_retry": "cow"}, compat=True)
    assert from_values({"request_timeout": "5s"}, compat=True)[1] == []


def test_by_method() -> None:
    settings = from_strings(
        {"read_request_max_attempts": "4", "write_request_timeout": "1s", "request_max_attempts": "2"}
    )
    assert [settings.attempts_for(m) for m in ("GET", "HEAD", "POST", "DELETE", "PATCH")] == [4, 4, 2, 2, 2]
    assert [settings.timeout_for(m) for m in ("GET", "PUT", "POST", "DELETE")] == [60_000, 1000, 1000, 60_000]


# --- URLs ---


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://Example.ORG", Url("http", "example.org", 80, "/")),
        ("HTTPS://h:8443/a/b?c=d&e", Url("https", "h", 8443, "/a/b?c=d&e")),
        ("http://h?x", Url("http", "h", 80, "/?x")),
        ("http://[::1]:81/", Url("http", "::1", 81, "/")),
        ("http://u:p%40@h/", Url("http", "h", 80, "/", b"u", b"p@")),
        ("http://h/%2F%20", Url("http", "h", 80, "/%2F%20")),
    ],
)
def test_good_urls(text: str, url: Url) -> None:
    assert parse_url(text) == url


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://h/#x", "Fragment part not allowed"),
        ("ftp://h/", "Not an HTTP URL"),
        ("/path", "Relative HTTP URL not allowed"),
        ("", "Relative HTTP URL not allowed"),
        ("http:h", "Absolute HTTP URL requires `//' after `http:'"),
        ("http://", "HTTP URL does not allow empty host identifier"),
        ("http://h:x/", "Invalid port number"),
        ("http://h:0/", "Invalid port number"),
        ("http://h:99999/", "Invalid port number"),
        ("http://h/a b", "Path component contains invalid character ' '"),
        ("http://h/a\r\nX: y", "Path component contains invalid character <0x0D>"),
        ("http://h/?a\nb", "Query component contains invalid character <0x0A>"),
        ("http://h/%zz", "Expecting two hex digits after '%'"),
        ("http://h/%00", "Encoded NUL character not allowed"),
        ("http://h\n.example/", "Invalid host identifier"),
        ("http://h/\u00e9", "Path component contains invalid character <0xE9>"),
        ("http://[::1/", "Expecting ']' at end of IP-literal"),
        ("http://[zz]/", "Invalid IPv6 host address"),
        ("http://u\r\n@h/", "Userinfo component contains invalid character <0x0D>"),
    ],
)
def test_bad_urls(text: str, reason: str) -> None:
    with pytest.raises(BadUrl) as caught:
        parse_url(text)
    assert str(caught.value) == reason


def test_redirect_locations() -> None:
    base = parse_url("http://h:81/a/b?c")
    assert join_url(base, "d").target == "/a/d" and join_url(base, "/x?y").target == "/x?y"
    assert join_url(base, "https://other/z#part") == Url("https", "other", 443, "/z")
    assert join_url(base, "//other/z").host == "other"
    for bad in ("http://u:p@h/", "gopher://h/", "/a b", "//u@h/"):
        with pytest.raises(BadUrl):
            join_url(base, bad)


def test_a_password_in_a_url_is_not_shown() -> None:
    assert "secret" not in repr(parse_url("http://u:secret@h/"))
