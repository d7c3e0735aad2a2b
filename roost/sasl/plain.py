"""PLAIN (RFC 4616): ``[authzid] NUL authcid NUL password`` in one message."""

from __future__ import annotations

from roost.sasl.base import Broken, Challenge, Mechanism, Turn, Verify
from roost.util.secret import Secret


class Plain:
    """Asks for the one message unless it came as the initial response."""

    __slots__ = ()

    def start(self, initial: bytes | None) -> Turn:
        if initial is None:
            return Challenge(b"")
        return self.step(initial)

    def step(self, response: bytes) -> Turn:
        parts = response.split(b"\0", 3)
        if len(parts) != 3:
            return Broken("PLAIN message needs exactly two NULs")
        authzid, authcid, password = parts
        if not authcid:
            return Broken("PLAIN message has no authentication identity")
        return Verify(authcid, Secret(password), b"" if authzid == authcid else authzid)


_STATELESS = Plain()
PLAIN = Mechanism("PLAIN", frozenset({"plaintext"}), lambda surroundings: _STATELESS)
