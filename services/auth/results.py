"""What comes of asking the passdbs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roost.auth.api import Outcome

if TYPE_CHECKING:
    from services.auth.remembered import Recall


class Result(enum.Enum):
    """The outcome of one passdb, or of all."""

    OK = "ok"
    MISMATCH = "password_mismatch"
    UNKNOWN = "user_unknown"
    DENIED = "denied"
    DISABLED = "user_disabled"
    EXPIRED = "pass_expired"
    SCHEME = "scheme_not_available"
    NEXT = "next"
    INTERNAL = "internal_failure"


ENDING = frozenset({Result.DISABLED, Result.EXPIRED})
"""The user exists and may not log in: no rule turns that into a success, and no other database is asked."""

# What a driver says by itself.
RESULTS: Mapping[Outcome, Result] = {
    Outcome.OK: Result.OK,
    Outcome.MISMATCH: Result.MISMATCH,
    Outcome.UNKNOWN: Result.UNKNOWN,
    Outcome.DISABLED: Result.DISABLED,
    Outcome.EXPIRED: Result.EXPIRED,
    Outcome.NEXT: Result.NEXT,
    Outcome.SCHEME_NOT_AVAILABLE: Result.SCHEME,
}
TEXTS: Mapping[Result, str] = {
    Result.MISMATCH: "Password mismatch",
    Result.UNKNOWN: "unknown user",
    Result.DISABLED: "User is disabled",
    Result.EXPIRED: "Password expired",
    Result.SCHEME: "This database tells no password",
    Result.NEXT: "Not performing authentication (noauthenticate set)",
}


@dataclass(slots=True)
class PassdbOutcome:
    """``fields`` hold everything the databases said, hidden ones too (``fields.visible``).

    ``master_user``: the one who proved himself when ``user`` is somebody else. ``proved``: a database knows ``user``
    (false only for the user a master wants to be, when no database can look him up). ``nodelay``: a failure is told at
    once. ``delay_until``: no answer before this time (Unix), 0 for none. ``reason``: for the client of a failure.
    """

    result: Result
    user: str
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    userdb_fields: dict[str, str] = field(default_factory=dict, repr=False)
    master_user: str = ""
    lookup_optional: bool = False  # a master user may become somebody whom no database can look up
    proved: bool = True
    nodelay: bool = False
    delay_until: float = 0.0
    reason: str = ""
    recalls: list[Recall] = field(default_factory=list, repr=False)  # to doubt, if what was stored does not fit
    token_failure: str = ""  # what a database says of a token that will not do
