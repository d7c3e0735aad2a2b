"""What must hold of every token, wherever we know it from: user, account, issuer, scope, time."""

from __future__ import annotations

import math

from roost.auth.api import Outcome, Query
from roost.settings.schema.auth import PassdbSettings
from roost.settings.variables import check, expand, variables_of
from services.auth.oauth2.members import Members

INSUFFICIENT_SCOPE = "insufficient_scope"
SHOWN_CHARS = 64


class TokenRefused(Exception):
    """The token will not do. The text is for the log and never holds the token."""

    def __init__(self, why: str, *, outcome: Outcome = Outcome.MISMATCH, failure: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.outcome = outcome
        self.failure = failure


class Rules:
    """Those of one passdb. Raises ConfigError when a template is broken."""

    def __init__(self, settings: PassdbSettings) -> None:
        self.username_attribute = settings.oauth2_username_attribute
        self.active_attribute = settings.oauth2_active_attribute
        self.scope = frozenset(settings.oauth2_scope)
        self._format = settings.oauth2_username_validation_format
        check(self._format)
        self.variables = variables_of(self._format)
        self._active_value = settings.oauth2_active_value
        self._issuers = frozenset(settings.oauth2_issuers)
        self._grace_secs = settings.oauth2_token_expire_grace_secs

    def complete(self, members: Members) -> bool:
        """Whether the answer has all that is judged by."""
        wanted = [self.username_attribute, self.active_attribute, "scope" if self.scope else ""]
        return all(name in members for name in wanted if name) and not (self._issuers and "iss" not in members)

    def check(self, query: Query, members: Members, now: float, *, named: bool = True) -> None:
        """Raises TokenRefused. ``named`` False: the user is proved already, and need not be named again."""
        self.check_time(members, now)
        if self._issuers and members.single("iss") not in self._issuers:
            raise TokenRefused("Token has no issuer" if "iss" not in members else "Token is of another issuer")
        self._check_user(query, members, named)
        if self.active_attribute:
            value = members.single(self.active_attribute)
            if value is None or (self._active_value and value != self._active_value):
                raise TokenRefused("User account is not active", outcome=Outcome.DISABLED)
        asked = not named and "scope" not in members  # granted as asked for (RFC 6749 §5.1)
        if not asked and not self.scope <= members.words("scope"):
            raise TokenRefused("Token has not the required scope", failure=INSUFFICIENT_SCOPE)

    def check_time(self, members: Members, now: float) -> None:
        """``exp`` (Unix time) and ``expires_in`` (seconds), where they are. Raises TokenRefused."""
        for name, since in (("exp", 0.0), ("expires_in", now)):
            if name in members.raw:
                until = number(members.raw[name])
                if until is None:
                    raise TokenRefused(f"Token has a malformed {name}")
                if since + until + self._grace_secs < now:
                    raise TokenRefused("Token has expired")

    def _check_user(self, query: Query, members: Members, named: bool) -> None:
        name = members.single(self.username_attribute)
        if not name:
            if not named:
                return
            raise TokenRefused(f"Token does not name the user (no member {self.username_attribute})")
        wanted = expand(self._format, query.variables(self.variables))
        if not wanted or name != wanted:
            raise TokenRefused(f"Username '{name[:SHOWN_CHARS]}' did not match '{wanted[:SHOWN_CHARS]}'")


def number(value: object) -> float | None:
    """A time as tokens have it: a number, or its decimal digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 15:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        made = float(value)
    except OverflowError:
        return None
    return made if math.isfinite(made) else None
