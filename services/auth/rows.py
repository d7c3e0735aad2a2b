"""One configured passdb, and how a password is compared with what it stores: verified, wasted, rehashed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from roost.auth.api import Entry, Passdb, Query, TokenVerifier, Verifier, store_of, token_verifier_of, verifier_of
from roost.errors import RoostError
from roost.settings.schema.auth import PassdbSettings
from roost.util.secret import Secret
from services.auth.credentials import Wanted
from services.auth.hashing import Hasher
from services.auth.journal import Journal
from services.auth.remembered import Memory
from services.auth.results import Result
from services.auth.schemes import BadHash, Scheme, Stored, parse, write
from services.auth.templates import FieldTemplates

TOKEN_MECHANISMS = frozenset({"oauthbearer", "xoauth2"})
LOOKUP = "lookup"  # what mechanisms_filter calls a question without a password
MAX_REHASHES = 100  # at once; those above it wait for the user's next login


@dataclass(frozen=True)
class PassdbRow:
    """One configured passdb."""

    name: str
    settings: PassdbSettings
    driver: Passdb
    templates: FieldTemplates
    default_scheme: str
    decoy: Stored | None  # of the default scheme, for drivers that have no better one
    rehash: Scheme | None = None
    memory: Memory | None = None  # its answers may be kept

    @cached_property
    def verifier(self) -> Verifier | None:
        """The driver, when it verifies passwords by itself."""
        return verifier_of(self.driver)

    @cached_property
    def token_verifier(self) -> TokenVerifier | None:
        """The driver, when it verifies tokens."""
        return token_verifier_of(self.driver)

    @cached_property
    def credentials(self) -> bool:
        """Whether the driver can tell what is stored, for mechanisms that never see the password."""
        given: bool = getattr(self.driver, "credentials", self.verifier is None)
        return given and not self.settings.deny

    @cached_property
    def mechanisms(self) -> frozenset[str]:
        """``mechanisms_filter``, lower case; empty: all."""
        return frozenset(name.lower() for name in self.settings.mechanisms_filter)

    @cached_property
    def plain(self) -> bool:
        """Nothing special applies: found with the right password means let in, anything else means refused."""
        settings = self.settings
        return (
            self.verifier is None
            and self.rehash is None
            and self.memory is None
            and not (settings.deny or settings.master or settings.mechanisms_filter or settings.username_filter)
            and not self.templates
            and settings.fields_import_all
            and settings.skip == "never"
            and settings.result_success == "return-ok"
            and settings.result_failure == settings.result_internalfail == "continue"
        )


class Judge:
    """Compares passwords for all rows of one chain."""

    def __init__(self, schemes: Mapping[str, Scheme], hasher: Hasher) -> None:
        self._schemes = schemes
        self._hasher = hasher
        self._rehashing: dict[str, asyncio.Task[None]] = {}  # by user

    async def judge(
        self,
        row: PassdbRow,
        query: Query,
        entry: Entry,
        fields: Mapping[str, str],
        password: Secret | Wanted,
        key: str,
        journal: Journal,
    ) -> Result:
        """Is this the entry's password, or (Wanted) is there what is wanted? Raises Unavailable."""
        text = fields.get("password") or entry.password
        if "nopassword" in fields and not isinstance(password, Wanted):
            if not _bare(text) and not fields.get("password_noscheme"):
                return Result.OK
            journal.error(row.name, "nopassword given and password is not empty")
        try:
            if "password_noscheme" in fields:
                stored = Stored(self._schemes["PLAIN"], fields["password_noscheme"].encode("utf-8", "surrogateescape"))
            elif text:
                stored = parse(text, self._schemes, row.default_scheme).of_user(query.user)
            else:
                await self.waste(row, query, password, key)
                journal.failed(row.name, "No password returned (and no nopassword)")
                return Result.MISMATCH
            if isinstance(password, Wanted):
                refusal = await password.take(stored, query.parameters.get("rip") or key)
                if not refusal:
                    return Result.OK
                await self.waste(row, query, password, key)
                journal.failed(row.name, refusal)
                return Result.SCHEME
            if stored.scheme.slow:
                matches = await self._hasher.verify(stored, password.reveal(), query.parameters.get("rip") or key)
            else:
                matches = stored.verify(password.reveal())
        except BadHash as error:
            await self.waste(row, query, password, key)
            journal.error(row.name, error.detail)
            return Result.MISMATCH
        if matches and stored.data:
            if row.rehash is not None and stored.scheme.name != row.rehash.name and "password" not in fields:
                self._rehash(row, row.rehash, query, password, journal)
            return Result.OK
        journal.failed(row.name, "Password mismatch" + journal.given)
        return Result.MISMATCH

    async def waste(self, row: PassdbRow, query: Query, password: Secret | Wanted, key: str) -> None:
        """Spend the time a verification takes. Raises Unavailable when too many wait, as a verification does."""
        text = row.driver.decoy()
        stored = row.decoy
        if text:
            try:
                stored = parse(text, self._schemes, row.default_scheme)
            except BadHash:
                pass
        if isinstance(password, Wanted):
            await password.pretend(stored, query.parameters.get("rip") or key)
        elif stored is not None:
            try:
                await self._hasher.verify(stored, password.reveal(), query.parameters.get("rip") or key)
            except BadHash:
                pass

    def _rehash(self, row: PassdbRow, scheme: Scheme, query: Query, password: Secret, journal: Journal) -> None:
        """Store the password, which has just been proved, by the better scheme: beside the login, which goes on."""
        user = query.user
        if user not in self._rehashing and len(self._rehashing) < MAX_REHASHES:
            copy = Query(user, query.parameters, query.mechanism, query.original_user, True, query.service)
            task = asyncio.ensure_future(self._store(row, scheme, copy, password, journal))
            self._rehashing[user] = task
            task.add_done_callback(lambda _: self._rehashing.pop(user, None))

    async def _store(self, row: PassdbRow, scheme: Scheme, query: Query, password: Secret, journal: Journal) -> None:
        store = store_of(row.driver)
        if store is None:
            return
        made: list[bytes] = []

        def make() -> bool:
            made.append(scheme.generate(password.reveal(), 0, os.urandom))
            return True

        try:
            await self._hasher.run(make, query.user)
            await store.store(query, write(scheme, made[0]))
        except RoostError as error:
            journal.error(row.name, f"The password could not be stored by {scheme.name}: {error.detail or error}")
        except Exception:
            journal.exception(f"{row.name}: The password could not be stored by {scheme.name}")
        else:
            journal.step(row.name, f"The password is now stored by {scheme.name}")

    async def settled(self) -> None:
        """Wait for the rehashes at work."""
        if self._rehashing:
            await asyncio.wait(list(self._rehashing.values()))


def _bare(text: str | None) -> str:
    """A stored password without its scheme."""
    if not text:
        return ""
    return text.partition("}")[2] if text.startswith("{") else text
