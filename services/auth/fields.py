"""Extra fields: what a database says about a user beside the password, and which of them the room acts on.

Names may end in ``:default`` (set only if absent) or ``:remove`` (delete). Boolean fields are true whenever present.
"""

from __future__ import annotations

from collections.abc import Mapping

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
# Fields that belong to one database and must not leak into the next one's decision.
OWN = ("password", "password_noscheme", "nopassword", "noauthenticate", "allow_nets", "allow_real_nets")
USERDB_PREFIX = "userdb_"


def merge(target: dict[str, str], fields: Mapping[str, str]) -> None:
    """Apply fields to ``target`` by the rules of their suffixes."""
    for key, value in fields.items():
        if ":" in key:
            name, _, how = key.rpartition(":")
            if how == "default":
                target.setdefault(name, value)
                continue
            if how == "remove":
                target.pop(name, None)
                continue
        target[key] = value


def renamed(user: str, fields: Mapping[str, str]) -> str:
    """The user's name after ``user``, ``username`` and ``domain`` fields."""
    if not fields:
        return user
    user = fields.get("user") or user
    local, at, domain = user.partition("@")
    if "username" in fields:
        local = fields["username"]
    if "domain" in fields:
        at, domain = "@", fields["domain"]
    return local + at + domain


def visible(fields: Mapping[str, str]) -> dict[str, str]:
    """The passdb fields that a client of the room may see."""
    return {
        key: value
        for key, value in fields.items()
        if key not in HIDDEN and not key.startswith((USERDB_PREFIX, "event_"))
    }
