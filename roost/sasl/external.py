"""EXTERNAL (RFC 4422 appendix A): TLS has proved the client by its certificate; the message only says whom it acts for.

An empty message: as the one the certificate names.
"""

from __future__ import annotations

from roost.sasl.base import Broken, Challenge, External, Mechanism, Turn


class Outside:
    """Asks for the one message unless it came as the initial response."""

    __slots__ = ()

    def start(self, initial: bytes | None) -> Turn:
        if initial is None:
            return Challenge(b"")
        return self.step(initial)

    def step(self, response: bytes) -> Turn:
        if b"\0" in response:
            return Broken("EXTERNAL message has a NUL")
        return External(response)


_STATELESS = Outside()
EXTERNAL = Mechanism("EXTERNAL", frozenset(), lambda surroundings: _STATELESS)
