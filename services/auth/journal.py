"""The log lines of one request: ``auth(<user>,<ip>,sasl:<mech>)<session>: <database>: <text>``.

Failures are told only with ``auth_verbose``, steps only with ``auth_debug``; errors always. A prefix is formed when a
line is really written. No method takes a secret, and nothing that may hold one is passed to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from roost.events.log import Log
from services.auth.nets import address_of

SHOWN_NAME_CHARS = 64


class Journal:
    """One request's lines."""

    __slots__ = ("_debug", "_log", "_mechanism", "_parameters", "_verbose", "given", "user")

    def __init__(
        self, log: Log, user: str, mechanism: str, parameters: Mapping[str, str], *, verbose: bool, debug: bool
    ) -> None:
        self._log = log
        self.user = user
        self.given = ""  # of the password, to be told of a wrong one: only where the administrator wants that
        self._mechanism = mechanism
        self._parameters = parameters
        self._verbose = verbose or debug
        self._debug = debug

    def muted(self) -> Journal:
        """One that does not tell failures; for a judgement that is not the last."""
        other = Journal(self._log, self.user, self._mechanism, self._parameters, verbose=False, debug=False)
        other._debug = self._debug
        return other

    def failed(self, database: str, text: str) -> None:
        """Why somebody could not log in: the client's doing, told only if wanted."""
        if self._verbose:
            self._out().info(f"{database}: {text}" if database else text)

    @property
    def stepping(self) -> bool:
        """Whether ``step`` writes anything."""
        return self._debug

    def step(self, database: str, text: str) -> None:
        """What happened, for an administrator who looks closely."""
        if self._debug:
            self._out().debug(f"{database}: {text}" if database else text)

    def note(self, text: str) -> None:
        """What is to be told in any case, and is no error."""
        self._out().info(text)

    def error(self, database: str, text: str) -> None:
        """Something the administrator must know."""
        self._out().error(f"{database}: {text}" if database else text)

    def exception(self, text: str) -> None:
        """The exception being handled, with its traceback. (A traceback shows source lines, never values.)"""
        self._out().exception(text)

    def _out(self) -> Log:
        address = address_of(self._parameters.get("rip", ""))
        who = self.user[:SHOWN_NAME_CHARS] or "?"
        parts = [who, *([str(address)] if address else []), *([f"sasl:{self._mechanism}"] if self._mechanism else [])]
        session = self._parameters.get("session", "")[:SHOWN_NAME_CHARS]
        return self._log.child(f"auth({','.join(parts)}){f'<{session}>' if session else ''}: ")
