"""Authentication: the auth service and its clients, passdbs and userdbs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from roost.settings.fields import BOOL, BOOLLIST, ENUM, MSECS, SECRET, SECS, SIZE, STR, STRLIST, TEMPLATE, UINT, setting
from roost.settings.schema.http_client import HttpClientSettings
from roost.settings.schema.ldap import PassdbLdapSettings, UserdbLdapSettings
from roost.settings.schema.lua import LuaSettings
from roost.settings.schema.oauth2 import Oauth2Settings, RemoteImapSettings
from roost.settings.schema.sql import PassdbSqlSettings, UserdbSqlSettings
from roost.settings.schema.system import PassdbPamSettings, UserdbPasswdSettings

MECHANISMS = (
    *("plain", "login"),
    *("scram-sha-256-plus", "scram-sha-256", "scram-sha-1-plus", "scram-sha-1"),
    *("oauthbearer", "xoauth2", "external", "cram-md5", "digest-md5", "anonymous"),
)
LEFT_OUT = {
    "gssapi": "Kerberos is left out",
    "gss-spnego": "Kerberos and Windows logins are left out",
    "ntlm": "Windows logins are left out: the mechanism is broken beyond repair",
    "otp": "one-time passwords by RFC 2444 are left out",
    "skey": "one-time passwords by RFC 2222 are left out",
    "rpa": "this mechanism is left out",
    "apop": "POP3 is left out, and this mechanism with it",
}
RESULTS = ("return-ok", "return", "return-fail", "continue", "continue-ok", "continue-fail")
SCHEMES_TEXT = "Scheme of stored passwords that name none."


@dataclass(frozen=True)
class AuthSettings:
    """Read by the auth service (all) and by the rooms that ask it (socket paths, cleartext rule)."""

    auth_allow_cleartext: bool = setting(
        False, type=BOOL, text="Allow passwords over connections without TLS (local and trusted ones always may)."
    )
    auth_allow_weak_schemes: bool = setting(False, type=BOOL, text="Accept stored passwords of weak schemes.")
    auth_anonymous_username: str = setting(
        "anonymous", type=STR, text="User that the mechanism ANONYMOUS logs in, when it is offered."
    )
    auth_cache_negative_ttl_secs: int = setting(
        3600,
        type=SECS,
        text="How long the cache knows that there is no such user, and believes a wrong password to stay wrong; "
        "0 = not at all.",
    )
    auth_cache_size_octets: int = setting(
        0,
        type=SIZE,
        text="Memory for answers of the databases, at least 1k; 0 = no cache. docs/auth.md says what is kept.",
    )
    auth_cache_ttl_secs: int = setting(
        3600, type=SECS, text="How long the cache keeps what a database says about a user; 0 = not at all."
    )
    auth_client_timeout_secs: int = setting(
        150, type=SECS, low=1, text="How long a client of the auth service waits for an answer."
    )
    auth_decoy_secret: str = setting(
        "",
        type=SECRET,
        text="Key of the SCRAM salts that are made up for unknown users, and of those for passwords stored in plain. "
        '"" = a random one for each process.',
    )
    auth_default_domain: str = setting("", type=STR, text="Domain appended to user names without one.")
    auth_failure_delay_secs: int = setting(2, type=SECS, text="Delay of the answer to a failed authentication.")
    auth_failure_queue_limit: int = setting(
        20000,
        type=UINT,
        low=1,
        unit="answers",
        text="Failure answers held back at once; above it the oldest is sent early.",
    )
    auth_internal_failure_delay_msecs: int = setting(
        2000, type=MSECS, text="Delay after an internal failure; up to half of it is added at random."
    )
    auth_login_socket_path: str = setting(
        "auth-login", type=STR, text="Socket at which login rooms authenticate; relative to base_dir."
    )
    auth_master_user_separator: str = setting(
        "",
        type=STR,
        text='Character between the wanted user and the master user who logs in ("user*master"); "" = none.',
    )
    auth_max_line_octets: int = setting(
        16384, type=UINT, low=1024, unit="octets", text="Longest line on the sockets of the auth service."
    )
    auth_max_requests: int = setting(
        1000, type=UINT, low=1, unit="requests", text="Unfinished requests one connection to the auth service may have."
    )
    auth_max_response_octets: int = setting(
        12000,
        type=UINT,
        low=256,
        unit="octets",
        text="Longest message of a client in a SASL exchange; a longer one ends the exchange.",
    )
    auth_mechanisms: tuple[str, ...] = setting(
        ("plain", "login"),
        type=BOOLLIST,
        choices=MECHANISMS,
        left_out=LEFT_OUT,
        text="SASL mechanisms that are offered; docs/auth-mechanisms.md compares them.",
    )
    auth_penalty_max_waiting: int = setting(
        20,
        type=UINT,
        low=1,
        unit="attempts",
        text="Attempts of one address that may wait for its penalty at once; more are refused for the time being.",
    )
    auth_realms: tuple[str, ...] = setting(
        (), type=BOOLLIST, text="Realms that DIGEST-MD5 offers; none = only users without one."
    )
    auth_request_timeout_secs: int = setting(
        150, type=SECS, low=1, text="An authentication without progress is dropped after this time."
    )
    auth_socket_path: str = setting(
        "auth-userdb", type=STR, text="Socket for user lookups of mail processes; relative to base_dir."
    )
    auth_ssl_require_client_cert: bool = setting(
        False, type=BOOL, text="Nobody authenticates without a valid client certificate."
    )
    auth_ssl_username_from_cert: bool = setting(
        False,
        type=BOOL,
        text="The user is who the client's certificate names, whatever else the client says; without such a name "
        "nobody gets in. EXTERNAL needs it.",
    )
    auth_username_chars: str = setting(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_@",
        type=STR,
        text='Characters a user name may have; "" = any.',
    )
    auth_username_format: str = setting(
        "%{user | lower}", type=TEMPLATE, text="How a user name is written before it is looked up."
    )
    auth_username_translation: str = setting(
        "", type=STR, text="Pairs of characters: each first one is replaced by its second one."
    )
    auth_worker_idle_timeout_secs: int = setting(
        300, type=SECS, low=1, text="An auth-worker that was asked nothing for this time is let go."
    )
    auth_worker_max_requests: int = setting(
        0, type=UINT, unlimited=0, unit="requests", text="An auth-worker is replaced after so many requests; 0 = never."
    )
    auth_worker_queue_limit: int = setting(
        1000,
        type=UINT,
        low=1,
        unit="requests",
        text="Slow password verifications that may wait for a thread, and requests that may wait for an auth-worker; "
        "above it clients are told to come back.",
    )
    auth_worker_request_timeout_secs: int = setting(
        60,
        type=SECS,
        low=1,
        text="How long a request may wait for an auth-worker, and then for its answer; after that it alone fails.",
    )
    auth_worker_socket_path: str = setting(
        "auth-worker", type=STR, text="Socket of the auth-worker service; relative to base_dir."
    )
    auth_worker_stuck_secs: int = setting(
        10,
        type=SECS,
        low=1,
        text="An auth-worker that one request blocks for so long, or keeps busy, ends itself and is replaced.",
    )
    auth_worker_threads: int = setting(
        2, type=UINT, low=1, high=64, unit="threads", text="Threads that verify password hashes."
    )


@dataclass(frozen=True)
class PassdbSettings(
    PassdbSqlSettings,
    PassdbLdapSettings,
    PassdbPamSettings,
    Oauth2Settings,
    RemoteImapSettings,
    HttpClientSettings,
    LuaSettings,
):
    """``passdb NAME { … }``: a place where passwords are looked up, in the order written."""

    PREFIX: ClassVar[str] = "passdb_"

    name: str = setting("", type=STR, text="Name of the section.")
    driver: str = setting("", type=STR, text='Name of the driver (docs/auth.md); "" = the section\'s name.')
    default_password_scheme: str = setting("CRYPT", type=STR, text=SCHEMES_TEXT + " static: PLAIN.")
    deny: bool = setting(False, type=BOOL, text="A user found here is refused.")
    fields: Mapping[str, str] = setting({}, type=STRLIST, text="Extra fields, expanded after the lookup.")
    fields_import_all: bool = setting(True, type=BOOL, text="no = only the fields named in fields are kept.")
    master: bool = setting(False, type=BOOL, text="Holds master users, who may log in as somebody else.")
    mechanisms_filter: tuple[str, ...] = setting((), type=BOOLLIST, text="Used for these mechanisms only.")
    passwd_file_max_size_octets: int = setting(
        64 << 20, type=SIZE, low=1024, key="passwd_file_max_size", text="A bigger passwd-file is refused."
    )
    passwd_file_path: str = setting(
        "", type=TEMPLATE, key="passwd_file_path", text="File of the passwd-file driver; may hold variables."
    )
    python_settings: Mapping[str, str] = setting(
        {}, type=STRLIST, key="python_settings", text="Settings of a driver that is an installed Python package."
    )
    rehash_scheme: str = setting(
        "", type=STR, text='A password stored by another scheme is stored by this one at the next login; "" = never.'
    )
    result_failure: str = setting("continue", type=ENUM, choices=RESULTS, text="What a wrong password means.")
    result_internalfail: str = setting("continue", type=ENUM, choices=RESULTS, text="What an internal failure means.")
    result_success: str = setting("return-ok", type=ENUM, choices=RESULTS, text="What a right password means.")
    skip: str = setting(
        "never",
        type=ENUM,
        choices=("never", "authenticated", "unauthenticated"),
        text="When this passdb is passed over.",
    )
    static_password: str = setting("", type=SECRET, text="Password of every user of the static driver.")
    use_cache: bool = setting(True, type=BOOL, text="Keep answers of this database in the cache (auth_cache_size).")
    use_worker: str = setting(
        "auto",
        type=ENUM,
        choices=("auto", "no", "yes"),
        text="Ask this database in an auth-worker process; auto = yes for lua, pam and passwd.",
    )
    username_filter: tuple[str, ...] = setting((), type=BOOLLIST, text="Used for these users; * wildcard, ! excludes.")


@dataclass(frozen=True)
class UserdbSettings(UserdbSqlSettings, UserdbLdapSettings, UserdbPasswdSettings, LuaSettings):
    """``userdb NAME { … }``: a place where a user's home and fields are looked up, in the order written."""

    PREFIX: ClassVar[str] = "userdb_"

    name: str = setting("", type=STR, text="Name of the section.")
    driver: str = setting("", type=STR, text='Name of the driver (docs/auth.md); "" = the section\'s name.')
    fields: Mapping[str, str] = setting({}, type=STRLIST, text="Fields (home, uid, gid …), expanded after the lookup.")
    fields_import_all: bool = setting(True, type=BOOL, text="no = only the fields named in fields are kept.")
    passwd_file_max_size_octets: int = setting(
        64 << 20, type=SIZE, low=1024, key="passwd_file_max_size", text="A bigger passwd-file is refused."
    )
    passwd_file_path: str = setting(
        "", type=TEMPLATE, key="passwd_file_path", text="File of the passwd-file driver; may hold variables."
    )
    python_settings: Mapping[str, str] = setting(
        {}, type=STRLIST, key="python_settings", text="Settings of a driver that is an installed Python package."
    )
    result_failure: str = setting("continue", type=ENUM, choices=RESULTS, text="What a missing user means.")
    result_internalfail: str = setting("continue", type=ENUM, choices=RESULTS, text="What an internal failure means.")
    result_success: str = setting("return-ok", type=ENUM, choices=RESULTS, text="What a found user means.")
    skip: str = setting(
        "never", type=ENUM, choices=("never", "found", "notfound"), text="When this userdb is passed over."
    )
    static_allow_all_users: bool = setting(
        False, type=BOOL, text="The static driver answers for any name, without asking the passdbs whether it exists."
    )
    use_cache: bool = setting(True, type=BOOL, text="Keep answers of this database in the cache (auth_cache_size).")
    use_worker: str = setting(
        "auto",
        type=ENUM,
        choices=("auto", "no", "yes"),
        text="Ask this database in an auth-worker process; auto = yes for lua, pam and passwd.",
    )
