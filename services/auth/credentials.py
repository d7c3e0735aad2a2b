"""What a mechanism that never sees the password (SCRAM, CRAM-MD5) is judged by: found, converted, or made up.

A stored password of the wanted scheme is taken as it is; one that is stored in plain is converted, with a salt made of
the user's name and a key (``Fakes``). For everybody else (no such user, a hash of another scheme, no password) the
same key makes up a salt that stays the same at every try, with the iteration count of most of the database's users,
after the work that most of them cost. So salt, count and time tell nothing about who exists.
"""

from __future__ import annotations

import hashlib
import hmac

from roost.sasl import scram_keys
from services.auth.hashing import Hasher
from services.auth.schemes import SCHEMES, BadHash, Scheme, Stored, cram_md5, digest_md5, scram

PLAINTEXT = frozenset({"PLAIN", "CLEAR", "CLEARTEXT"})


class Fakes:
    """Octets that look random and are always the same for a name."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def octets(self, what: str, user: str, count: int) -> bytes:
        """At most 64."""
        return hmac.digest(self._key, f"{what}\0{user}".encode("utf-8", "surrogatepass"), "sha512")[:count]


class Wanted:
    """One question to the databases. ``data`` is there in any case, after any of them was asked or none."""

    def __init__(self, scheme: str, user: str, fakes: Fakes, hasher: Hasher, hashed_as: bytes = b"") -> None:
        """``hashed_as``: what the client hashes before a password in plain (``roost.sasl.base.Lookup``)."""
        self._scheme: Scheme = digest_md5.for_hashed(hashed_as) if scheme == digest_md5.NAME else SCHEMES[scheme]
        self._user = user
        self._fakes = fakes
        self._hasher = hasher
        self._found = b""
        self._made_up = b""

    @property
    def data(self) -> bytes:
        """Stored data of the scheme (an Encoding undone)."""
        return self._found or self._made_up or self._make_up(None)

    async def take(self, stored: Stored, address: str) -> str:
        """Use what a database has. "" when it will do, otherwise the log's text why not.

        ``address``: whose turn the conversion takes. Raises BadHash, and Unavailable when too many wait.
        """
        name = self._scheme.name
        if stored.scheme.name == name:
            _check(name, stored.data)
            self._found = stored.data
        elif stored.scheme.name not in PLAINTEXT:
            return f"Requested {name} scheme, but we have only {stored.scheme.name}"
        elif not stored.data:
            return "The stored password is empty"
        else:
            self._found = await self._converted(stored.data, address)
        return ""

    async def pretend(self, typical: Stored | None, address: str) -> None:
        """A database has nothing. ``typical``: what most of its users have. Raises Unavailable as ``take`` does."""
        if typical is not None and typical.scheme.name in PLAINTEXT:
            made_up = await self._converted(self._draw("password", 16), address)
        else:
            made_up = self._make_up(typical)
        self._made_up = self._made_up or made_up

    async def _converted(self, password: bytes, address: str) -> bytes:
        made: list[bytes] = []

        def make() -> bool:
            made.append(self._scheme.generate(password, 0, lambda count: self._draw("salt", count)))
            return True

        if self._scheme.slow:
            await self._hasher.run(make, address)
        else:
            make()
        return made[0]

    def _make_up(self, typical: Stored | None) -> bytes:
        name = self._scheme.name
        if name not in scram.ALGORITHMS:
            return self._draw("states", self._scheme.raw_octets)
        iterations, salt_octets = scram.DEFAULT_ITERATIONS, scram.SALT_OCTETS
        if typical is not None and typical.scheme.name == name:
            try:
                keys = scram.keys_of(name, typical.data)
                iterations, salt_octets = keys.iterations, min(len(keys.salt), 64)
            except BadHash:
                pass
        size = hashlib.new(scram.ALGORITHMS[name]).digest_size
        return scram_keys.write(
            scram_keys.Keys(
                iterations, self._draw("salt", salt_octets), self._draw("stored", size), self._draw("server", size)
            )
        )

    def _draw(self, what: str, count: int) -> bytes:
        return self._fakes.octets(f"{what} {self._scheme.name}", self._user, count)


def _check(name: str, data: bytes) -> None:
    """Raises BadHash for stored data that the mechanism could not use."""
    if name in scram.ALGORITHMS:
        scram.keys_of(name, data)
    elif name == digest_md5.NAME:
        digest_md5.check(data)
    else:
        cram_md5.check(data)
