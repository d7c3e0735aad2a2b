"""The oauth2 passdb: where tokens are verified, and by what rules (docs/auth.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roost.settings.fields import BOOL, BOOLLIST, ENUM, SECRET, SECS, SIZE, STR, STRLIST, TEMPLATE, UINT, setting
from roost.settings.schema.dict import DictSettings

INTROSPECTION_MODES = ("", "auth", "get", "post", "local")
LOCAL_VALIDATION = "oauth2_local_validation"


@dataclass(frozen=True, kw_only=True)
class Oauth2Settings:
    """Of a passdb; ``oauth2 { … }`` is the prefix of the keys."""

    oauth2_active_attribute: str = setting(
        "", type=STR, key="oauth2_active_attribute", text='oauth2: member that an enabled account has; "" = any is.'
    )
    oauth2_active_value: str = setting(
        "", type=STR, key="oauth2_active_value", text='oauth2: what that member must be; "" = anything.'
    )
    oauth2_client_id: str = setting(
        "", type=STR, key="oauth2_client_id", text="oauth2: our name at the server; local tokens must be meant for it."
    )
    oauth2_client_secret: str = setting(
        "", type=SECRET, key="oauth2_client_secret", text="oauth2: our password at the server."
    )
    oauth2_fields: Mapping[str, str] = setting(
        {}, type=STRLIST, key="oauth2_fields", text="oauth2: extra fields; %{oauth2:name} is a member of the answer."
    )
    oauth2_force_introspection: bool = setting(
        False, type=BOOL, key="oauth2_force_introspection", text="oauth2: introspect, though tokeninfo told enough."
    )
    oauth2_grant_url: str = setting(
        "", type=SECRET, key="oauth2_grant_url", text="oauth2: password grant: where name and password become a token."
    )
    oauth2_introspection_mode: str = setting(
        "",
        type=ENUM,
        choices=INTROSPECTION_MODES,
        key="oauth2_introspection_mode",
        text="oauth2: how the token is sent: as Authorization: Bearer, behind the URL, or in a form; local = it is a "
        "JWT that we verify ourselves.",
    )
    oauth2_introspection_url: str = setting(
        "", type=SECRET, key="oauth2_introspection_url", text="oauth2: server that says whose token it is."
    )
    oauth2_issuers: tuple[str, ...] = setting(
        (), type=BOOLLIST, key="oauth2_issuers", text="oauth2: accepted values of iss; none = it is not looked at."
    )
    oauth2_local_validation_dict: str = setting(
        "", type=STR, key="oauth2_local_validation_dict", text="oauth2: name of the dict that holds the keys of JWTs."
    )
    oauth2_max_keys: int = setting(
        1000, type=UINT, low=1, key="oauth2_max_keys", unit="keys", text="oauth2: keys of JWTs kept in memory."
    )
    oauth2_max_token_octets: int = setting(
        8192, type=SIZE, low=64, key="oauth2_max_token_size", text="oauth2: a longer token is refused."
    )
    oauth2_openid_configuration_url: str = setting(
        "", type=STR, key="oauth2_openid_configuration_url", text="oauth2: told to clients whose token will not do."
    )
    oauth2_scope: tuple[str, ...] = setting(
        (), type=BOOLLIST, key="oauth2_scope", text="oauth2: scopes a token needs, all of them."
    )
    oauth2_send_auth_headers: bool = setting(
        False, type=BOOL, key="oauth2_send_auth_headers", text="oauth2: tell the server protocol and addresses."
    )
    oauth2_token_expire_grace_secs: int = setting(
        60, type=SECS, key="oauth2_token_expire_grace", text="oauth2: how long an expired token still does."
    )
    oauth2_tokeninfo_url: str = setting(
        "", type=SECRET, key="oauth2_tokeninfo_url", text="oauth2: asked by GET, the token appended."
    )
    oauth2_use_worker_with_mech: bool = setting(
        False,
        type=BOOL,
        key="oauth2_use_worker_with_mech",
        text="oauth2: ask in an auth-worker; as use_worker = yes.",
    )
    oauth2_username_attribute: str = setting(
        "email", type=STR, key="oauth2_username_attribute", text="oauth2: member that names the user."
    )
    oauth2_username_validation_format: str = setting(
        "%{user}", type=TEMPLATE, key="oauth2_username_validation_format", text="oauth2: what that member must be."
    )
    oauth2_keys: DictSettings | None = None  # the dict of oauth2_local_validation


@dataclass(frozen=True, kw_only=True)
class RemoteImapSettings:
    """The imap passdb; Dovecot's names."""

    imapc_host: str = setting(
        "", type=TEMPLATE, key="imapc_host", text="imap: the server that verifies; may hold variables."
    )
    imapc_max_connections: int = setting(
        50, type=UINT, low=1, key="imapc_max_connections", unit="connections", text="imap: at work at once."
    )
    imapc_max_waiting: int = setting(
        1000,
        type=UINT,
        low=1,
        key="imapc_max_waiting",
        unit="requests",
        text="imap: that may wait; above, they fail.",
    )
    imapc_port: int = setting(
        0, type=UINT, high=65535, key="imapc_port", text="imap: port; 0 = 143, or 993 with imapc_ssl = imaps."
    )
    imapc_rawlog_dir: str = setting(
        "", type=STR, key="imapc_rawlog_dir", text="imap: accepted, without effect: it would write passwords to disk."
    )
    imapc_ssl: str = setting(
        "no",
        type=ENUM,
        choices=("no", "imaps", "starttls"),
        key="imapc_ssl",
        text="imap: TLS. no sends passwords in clear.",
    )
    imapc_timeout_secs: int = setting(
        30, type=SECS, low=1, key="imapc_timeout", text="imap: how long one verification may take."
    )
    imapc_user: str = setting(
        "%{user}", type=TEMPLATE, key="imapc_user", text="imap: the name at that server; %{owner_user} is %{user}."
    )
