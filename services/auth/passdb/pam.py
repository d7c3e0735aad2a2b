"""passdb pam: the system's Pluggable Authentication Modules verify the password.

PAM tells no stored password: mechanisms other than PLAIN and LOGIN, and lookups without a password, find nothing here.
A module that cannot say (its file unreadable, its server away) is an internal failure, not a wrong password.
"""

from __future__ import annotations

import re

from roost.auth.api import Entry, Outcome, Query
from roost.errors import ConfigError, RoostError, Unavailable
from roost.settings.schema.auth import PassdbSettings
from roost.settings.variables import check, expand, variables_of
from roost.util.secret import Secret
from services.auth import pam
from services.auth.passdb.base import DriverContext

SERVICE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # a file in the folder, and no other
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
OUTCOMES = {
    pam.USER_UNKNOWN: Outcome.UNKNOWN,
    pam.NEW_AUTHTOK_REQD: Outcome.EXPIRED,
    pam.ACCT_EXPIRED: Outcome.EXPIRED,
}
CANNOT_SAY = frozenset(
    {
        *(pam.OPEN_ERR, pam.SYMBOL_ERR, pam.SERVICE_ERR, pam.SYSTEM_ERR, pam.BUF_ERR),
        *(pam.AUTHINFO_UNAVAIL, pam.CONV_ERR, pam.ABORT, pam.MODULE_UNKNOWN),
    }
)


class Pam:
    """See the head of this file."""

    verifies = True
    credentials = False

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        """Raises ConfigError."""
        key = f"passdb {settings.name}"
        try:
            check(settings.pam_service_name)
            if settings.pam_conf_dir and not pam.has_folders():
                raise ConfigError("this libpam knows no passdb_pam_conf_dir (1.4 and later do)", key=key)
        except Unavailable as error:
            raise ConfigError(error.detail, key=key) from error
        self._offload = context.offload
        self._service = settings.pam_service_name
        self._folder = settings.pam_conf_dir
        self._setcred = settings.pam_setcred
        self._session = settings.pam_session
        self._show = settings.pam_failure_show_msg
        self.max_requests = settings.pam_max_requests
        # Modules may look at the client's address, too.
        self.variables: frozenset[str] | None = variables_of(self._service) | {"user", "remote_ip"}

    async def find(self, query: Query) -> Entry | None:
        return Entry(outcome=Outcome.SCHEME_NOT_AVAILABLE, reason="PAM tells nothing without a password")

    async def verify(self, query: Query, password: Secret) -> Entry | None:
        """Raises Unavailable."""
        if CONTROL.search(query.user) or b"\0" in password.reveal():
            return Entry(outcome=Outcome.MISMATCH, reason="the name or the password has a control character")
        answer = await self._offload(
            pam.authenticate,
            pam.Question(
                self._service_of(query),
                query.user,
                password.reveal(),
                query.parameters.get("rip", ""),
                self._folder,
                self._setcred,
                self._session,
            ),
        )
        if answer.code == pam.SUCCESS:
            return Entry(fields={"user": answer.user} if answer.user != query.user else {})
        reason = f"{answer.step}() failed: {answer.text}"
        if answer.code in CANNOT_SAY:
            raise Unavailable("Temporary authentication failure.", detail=reason)
        fields = {"reason": answer.message} if self._show and answer.message else {}
        return Entry(None, fields, OUTCOMES.get(answer.code, Outcome.MISMATCH), reason)

    def decoy(self) -> str:
        return ""

    def _service_of(self, query: Query) -> str:
        """The name of the service file. Raises Unavailable."""
        try:
            name = expand(self._service, query.variables(variables_of(self._service)))
        except RoostError as error:
            raise Unavailable("Temporary authentication failure.", detail=error.detail or str(error)) from error
        if SERVICE_NAME.fullmatch(name) is None:
            raise Unavailable("Temporary authentication failure.", detail=f"{name[:64]!r} is no name of a PAM service")
        return name
