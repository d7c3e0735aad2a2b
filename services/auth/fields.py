"""Extra fields: what a database says about a user beside the password, and which of them the room acts on.

Names may end in ``:default`` (set only if absent) or ``:remove`` (delete). Boolean fields are true whenever present.
``passdb_import`` and ``userdb_import`` hold further fields, separated by TABs (with the protocol's escapes).
"""

from __future__ import annotations

from collections.abc import Mapping

from roost.ipc.lines import to_octets, to_text, unescape

# Fields of a passdb that are for this room only: they never go out with OK or PASS.
HIDDEN = frozenset(
    {
        "allow_nets",
        "allow_real_nets",
        "check_client_cert_fp",
        "check_client_fp",
        "check_client_pubkey_fp",
        "delay_until",
        "domain",
        "fail",
        "login_user",
        "noauthenticate",
        "nodelay",
        "nopassword",
        "password",
        "password_noscheme",
        "user",
        "username",
    }
)
FOR_LOGIN = frozenset({"pass", "master"})  # how a proxy logs in at the next server: told to login rooms alone
# Fields that belong to one database and must not leak into the next one's decision.
OWN = (
    *("password", "password_noscheme", "nopassword", "noauthenticate", "allow_nets", "allow_real_nets"),
    *("check_client_fp", "check_client_cert_fp", "check_client_pubkey_fp", "delay_until", "fail", "login_user"),
    "nodelay",
)
USERDB_PREFIX = "userdb_"
PASSDB_IMPORT = "passdb_import"
USERDB_IMPORT = "userdb_import"
PROXY = "proxy"
PROXY_MAYBE = "proxy_maybe"


def merge(target: dict[str, str], fields: Mapping[str, str], importer: str = PASSDB_IMPORT) -> None:
    """Apply fields to ``target`` by the rules of their suffixes. The field ``importer`` holds further ones."""
    for key, value in fields.items():
        if ":" in key:
            name, _, how = key.rpartition(":")
            if how == "default":
                target.setdefault(name, value)
                continue
            if how == "remove":
                target.pop(name, None)
                continue
        elif key == importer:
            merge(target, imported(value), "")
            continue
        target[key] = value


def imported(text: str) -> dict[str, str]:
    """The fields inside an import field; one without ``=`` gets "yes", like any bare field."""
    found: dict[str, str] = {}
    for part in text.split("\t"):
        name, equals, value = to_text(unescape(to_octets(part))).partition("=")
        if name:
            found[name] = value if equals else "yes"
    return found


def renamed(user: str, fields: Mapping[str, str]) -> str:
    """The user's name after ``user``, ``username`` and ``domain`` fields, in their order. A ``username`` with an ``@``
    is a whole name; an empty ``user`` is none."""
    for key, value in fields.items():
        if key == "user":
            user = value or user
        elif key == "username":
            _, at, domain = user.partition("@")
            user = value if "@" in value else value + at + domain
        elif key == "domain":
            user = user.partition("@")[0] + "@" + value
    return user


def visible(fields: Mapping[str, str], *, login: bool = False) -> dict[str, str]:
    """The passdb fields that a client of the room may see; ``login``: it is a login room."""
    return {
        key: value
        for key, value in fields.items()
        if key not in HIDDEN and (login or key not in FOR_LOGIN) and not key.startswith((USERDB_PREFIX, "event_"))
    }


def settle_proxy(fields: dict[str, str], user: str, local_ip: str, local_port: str) -> None:
    """``proxy_maybe`` becomes ``proxy``, or nothing when the proxy would connect to where the client already is."""
    if PROXY_MAYBE not in fields:
        return
    del fields[PROXY_MAYBE]
    here = fields.get("hostip") or fields.get("host", "")
    same_port = "port" not in fields or fields["port"] == local_port
    if here and here == local_ip and same_port and fields.get("destuser", user) == user:
        for name in (PROXY, "host", "hostip", "port", "destuser", *FOR_LOGIN):
            fields.pop(name, None)
    else:
        fields[PROXY] = "yes"
