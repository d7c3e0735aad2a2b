"""Databases that do what databases must not: block, loop, eat memory, die. What they do is in the user's name.

Every user's password is ``pw``. The names: ``block`` and ``spin`` hold up the loop, ``thread-spin`` and
``thread-sleep`` a thread, ``grip`` the interpreter's lock, ``eat`` takes memory, ``die`` ends the process
(``die-once``: once), ``raise`` and ``unavailable`` fail, ``wait-SECS-…`` takes a while,
``none`` is unknown, ``pid`` says in a field who answers.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from roost.auth.api import DriverContext, Entry, Outcome, Query
from roost.errors import Unavailable
from roost.util.secret import Secret
from tests.kit.wait import nothing_happens

HOUR_SECS = 3600


class AwkwardPassdb:
    """Verifies passwords itself, one at a time."""

    verifies = True
    variables: frozenset[str] | None = frozenset({"user"})

    def __init__(self, settings: Mapping[str, str], context: DriverContext) -> None:
        self._folder = Path(settings.get("folder", "/nonexistent"))
        self._context = context

    async def find(self, query: Query) -> Entry | None:
        await self._behave(query.user)
        return None if query.user == "none" else Entry("{PLAIN}pw", {"pid": str(os.getpid())})

    async def verify(self, query: Query, password: Secret) -> Entry | None:
        await self._behave(query.user)
        if query.user == "none":
            return None
        if password != Secret(b"pw"):
            return Entry(outcome=Outcome.MISMATCH, reason="not this one")
        fields = {"pid": str(os.getpid()), "saw": query.parameters.get("rip", "")}
        return Entry(None, fields)

    def decoy(self) -> str:
        return ""

    async def _behave(self, user: str) -> None:
        if user.startswith("wait-"):
            await nothing_happens(float(user.split("-")[1]))
        elif user == "block":
            threading.Event().wait(HOUR_SECS)
        elif user == "spin":
            spin()
        elif user == "thread-spin":
            await self._context.offload(spin)
        elif user == "thread-sleep":
            await self._context.offload(threading.Event().wait, HOUR_SECS)
        elif user == "grip":
            re.match(r"(a+)+$", "a" * 64 + "b")
        elif user == "eat":
            eaten = []
            while True:
                eaten.append(bytearray(16 << 20))
        elif user == "die" or (user == "die-once" and self._first(user)):
            os._exit(9)
        elif user == "raise":
            raise KeyError("broken")
        elif user == "unavailable":
            raise Unavailable("Not now.", detail="the database is away")

    def _first(self, user: str) -> bool:
        try:
            (self._folder / user).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


class ManyPassdb(AwkwardPassdb):
    """Takes many requests at once in one process."""

    concurrent = 500


class PlainlyPassdb(AwkwardPassdb):
    """Says what is stored, and verifies nothing."""

    verifies = False


class AwkwardUserdb:
    """Everybody lives in /h; ``count`` users are listed."""

    variables: frozenset[str] | None = frozenset({"user"})

    def __init__(self, settings: Mapping[str, str], context: DriverContext) -> None:
        self._count = int(settings.get("count", "3"))
        self._fails = "fails" in settings

    async def find(self, query: Query) -> Mapping[str, str] | None:
        return None if query.user == "none" else {"home": f"/h/{query.user}", "uid": "1000", "pid": str(os.getpid())}

    def iterate(self) -> AsyncIterator[str] | None:
        return self._names()

    async def _names(self) -> AsyncIterator[str]:
        for number in range(self._count):
            yield f"user{number}"
        if self._fails:
            raise Unavailable("Not now.", detail="the list broke off")


def spin() -> None:
    while True:
        pass
