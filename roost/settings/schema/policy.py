"""The policy server that is asked about logins (weakforced's protocol; docs/auth.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from roost.settings.fields import BOOL, ENUM, MSECS, SECRET, SIZE, STR, STRLIST, UINT, setting
from roost.settings.schema.http_client import KEY, HttpClientSettings

HASHES = ("md5", "sha1", "sha256", "sha384", "sha512", "sha3-256", "sha3-512")
ATTRIBUTES = {
    "login": "%{requested_username}",
    "pwhash": "%{hashed_password}",
    "remote": "%{remote_ip}",
    "device_id": "%{client_id}",
    "protocol": "%{protocol}",
    "session_id": "%{session}",
    "fail_type": "%{fail_type}",
}


@dataclass(frozen=True)
class AuthPolicySettings:
    """Asked before and after an authentication, and told of its end. ``auth_policy { … }`` is the prefix of the keys;
    settings of the HTTP client (``http_client_…``) stand inside it."""

    WITHIN: ClassVar[tuple[str, ...]] = ("auth_policy",)

    auth_policy_check_after_auth: bool = setting(True, type=BOOL, text="Ask when the password was looked at.")
    auth_policy_check_before_auth: bool = setting(True, type=BOOL, text="Ask before the password is looked at.")
    auth_policy_hash_mech: str = setting("sha256", type=ENUM, choices=HASHES, text="Hash of the password.")
    auth_policy_hash_nonce: str = setting(
        "", type=SECRET, text="Put before what is hashed; needed when there is a policy server."
    )
    auth_policy_hash_truncate: int = setting(
        12, type=UINT, high=512, unit="bits", text="So much of the hash is told; 0 = all of it."
    )
    auth_policy_log_only: bool = setting(False, type=BOOL, text="Log what the policy server says, and do not obey.")
    auth_policy_reject_on_fail: bool = setting(
        False, type=BOOL, text="Nobody logs in while the policy server does not answer, or not sensibly."
    )
    auth_policy_report_after_auth: bool = setting(True, type=BOOL, text="Tell how an authentication ended.")
    auth_policy_request_attributes: Mapping[str, str] = setting(
        ATTRIBUTES, type=STRLIST, text='What is told: JSON members; "a/b" is b inside a.'
    )
    auth_policy_server_api_header: str = setting(
        "", type=SECRET, text='Header "Name: value", or the value of X-API-Key; "" = none.'
    )
    auth_policy_server_url: str = setting("", type=SECRET, text='The policy server; "" = none.')


@dataclass(frozen=True, kw_only=True)
class AuthPolicyHttpSettings(HttpClientSettings):
    """The HTTP client inside ``auth_policy { … }``, with defaults of its own."""

    http_max_idle_time_msecs: int = setting(10_000, type=MSECS, key=KEY + "max_idle_time", text="")
    http_max_parallel_connections: int = setting(100, type=UINT, low=1, key=KEY + "max_parallel_connections", text="")
    http_request_absolute_timeout_msecs: int = setting(2000, type=MSECS, key=KEY + "request_absolute_timeout", text="")
    http_response_body_max_octets: int = setting(65536, type=SIZE, low=1024, key=KEY + "response_body_max", text="")
    http_user_agent: str = setting("dovecot/auth-policy-client", type=STR, key=KEY + "user_agent", text="")
    ssl_client_ca_dir: str = setting("", type=STR, key="ssl_client_ca_dir", text="")
    ssl_client_ca_file: str = setting("", type=STR, key="ssl_client_ca_file", text="")
    ssl_client_cert_file: str = setting("", type=STR, key="ssl_client_cert_file", text="")
    ssl_client_key_file: str = setting("", type=STR, key="ssl_client_key_file", text="")
    ssl_client_require_valid_cert: bool = setting(True, type=BOOL, key="ssl_client_require_valid_cert", text="")
