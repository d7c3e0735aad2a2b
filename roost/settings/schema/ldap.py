"""The ldap passdb and userdb."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roost.settings.fields import BOOL, ENUM, MSECS, SECRET, SECS, STR, STRLIST, TEMPLATE, UINT, setting


@dataclass(frozen=True, kw_only=True)
class LdapSettings:
    """What passdb and userdb share."""

    ldap_auth_dn: str = setting(
        "", type=STR, key="ldap_auth_dn", text='ldap: who searches are made as; "" = anonymously.'
    )
    ldap_auth_dn_password: str = setting(
        "", type=SECRET, key="ldap_auth_dn_password", text="ldap: the password of ldap_auth_dn."
    )
    ldap_base: str = setting(
        "", type=TEMPLATE, key="ldap_base", text="ldap: where searches begin. Values of variables are escaped."
    )
    ldap_connect_timeout_secs: int = setting(
        5, type=SECS, low=1, key="ldap_connect_timeout", text="ldap: how long a connection may take to be made."
    )
    ldap_connection_limit: int = setting(
        4, type=UINT, low=1, high=64, key="ldap_connection_limit", unit="connections", text="ldap: at work at once."
    )
    ldap_deref: str = setting(
        "never",
        type=ENUM,
        choices=("never", "searching", "finding", "always"),
        key="ldap_deref",
        text="ldap: when aliases are followed.",
    )
    ldap_page_size: int = setting(
        500, type=UINT, low=1, key="ldap_page_size", unit="entries", text="ldap: of one answer when users are listed."
    )
    ldap_queue_limit: int = setting(
        1000,
        type=UINT,
        low=1,
        key="ldap_queue_limit",
        unit="requests",
        text="ldap: that may wait for a connection; above it they fail.",
    )
    ldap_request_timeout_msecs: int = setting(
        30_000, type=MSECS, low=1, key="ldap_request_timeout", text="ldap: how long one answer may take."
    )
    ldap_scope: str = setting(
        "subtree",
        type=ENUM,
        choices=("base", "onelevel", "subtree"),
        key="ldap_scope",
        text="ldap: how deep searches go.",
    )
    ldap_starttls: bool = setting(False, type=BOOL, key="ldap_starttls", text="ldap: TLS on ldap:// connections.")
    ssl_client_ca_dir: str = setting("", type=STR, key="ssl_client_ca_dir", text="ldap: folder of trusted authorities.")
    ssl_client_ca_file: str = setting(
        "",
        type=STR,
        key="ssl_client_ca_file",
        text='ldap: certificates of trusted authorities, PEM; "" = the system\'s.',
    )
    ssl_client_cert_file: str = setting(
        "", type=STR, key="ssl_client_cert_file", text="ldap: our own certificate, PEM."
    )
    ssl_client_key_file: str = setting("", type=STR, key="ssl_client_key_file", text="ldap: its key, PEM.")
    ssl_client_require_valid_cert: bool = setting(
        True,
        type=BOOL,
        key="ssl_client_require_valid_cert",
        text="ldap: refuse a server whose certificate is not valid for its name.",
    )
    ldap_uris: str = setting(
        "",
        type=STR,
        key="ldap_uris",
        text="ldap: servers, separated by spaces: ldap://, ldaps://, ldapi://%2fpath. The first that answers is asked.",
    )
    ldap_version: int = setting(3, type=UINT, low=2, high=3, key="ldap_version", text="ldap: version of the protocol.")


@dataclass(frozen=True, kw_only=True)
class PassdbLdapSettings(LdapSettings):
    """Of a passdb."""

    ldap_bind: bool = setting(
        False, type=BOOL, key="passdb_ldap_bind", text="ldap: the server verifies the password, by a bind as the user."
    )
    ldap_bind_userdn: str = setting(
        "",
        type=TEMPLATE,
        key="passdb_ldap_bind_userdn",
        text='ldap: the user\'s DN for the bind; "" = it is searched for. Values of variables are escaped.',
    )
    ldap_filter: str = setting(
        "", type=TEMPLATE, key="passdb_ldap_filter", text="ldap: finds the user. Values of variables are escaped."
    )


@dataclass(frozen=True, kw_only=True)
class UserdbLdapSettings(LdapSettings):
    """Of a userdb."""

    ldap_filter: str = setting(
        "", type=TEMPLATE, key="userdb_ldap_filter", text="ldap: finds the user. Values of variables are escaped."
    )
    ldap_iterate_fields: Mapping[str, str] = setting(
        {}, type=STRLIST, key="userdb_ldap_iterate_fields", text="ldap: user = a template, names the users of a list."
    )
    ldap_iterate_filter: str = setting("", type=STR, key="userdb_ldap_iterate_filter", text="ldap: finds all users.")
