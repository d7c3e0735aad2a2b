"""When each user was last here, in a dict (docs/dict.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roost.settings.fields import BOOLLIST, ENUM, STR, STRLIST, TEMPLATE, UINT, setting

LAST_LOGIN = "last_login"
PRECISIONS = ("s", "ms", "us", "ns")


@dataclass(frozen=True)
class LastLoginSettings:
    """Off unless a dict is given: ``last_login { dict NAME { … } }``, or the name of one in ``last_login_dict``."""

    last_login_dict: str = setting(
        "", type=STR, text='Name of the dict that is told when a user logs in; "" = the one inside last_login, if any.'
    )
    last_login_dict_fields: Mapping[str, str] = setting(
        {}, type=STRLIST, text="Further keys and their values, both with variables, written beside the time."
    )
    last_login_key: str = setting(
        "last-login/%{user}", type=TEMPLATE, text="Key of the time, behind shared/; what variables hold is escaped."
    )
    last_login_max_waiting: int = setting(
        10_000, type=UINT, low=1, unit="keys", text="Times that may wait for the dict, by process; others are lost."
    )
    last_login_precision: str = setting("s", type=ENUM, choices=PRECISIONS, text="Unit of the time.")
    last_login_protocols: tuple[str, ...] = setting(
        ("imap",), type=BOOLLIST, choices=("imap", "lmtp"), text="What counts: logins (imap), deliveries (lmtp)."
    )
