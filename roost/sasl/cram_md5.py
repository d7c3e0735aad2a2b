"""CRAM-MD5 (RFC 2195): the client answers a challenge with ``name SP hexadecimal HMAC-MD5``.

No initial response, no authorization identity, and the server proves nothing. Old; off unless somebody wants it.
"""

from __future__ import annotations

import hmac
import re

from roost.sasl.base import Broken, Challenge, Lookup, Mechanism, Proved, Refuted, Surroundings, Turn
from roost.sasl.md5_state import hmac_finish

SCHEME = "CRAM-MD5"
DIGITS = 16

_digest = re.compile(rb"[0-9a-f]{32}")


class CramMd5:
    """One challenge, one answer."""

    __slots__ = ("_answer", "_challenge")

    def __init__(self, surroundings: Surroundings) -> None:
        number = int.from_bytes(surroundings.entropy(16), "big") % 10**DIGITS
        text = f"<{number:0{DIGITS}d}.{int(surroundings.now())}@{surroundings.hostname}>"
        self._challenge = text.encode("ascii", "replace")
        self._answer = b""

    def start(self, initial: bytes | None) -> Turn:
        if initial:
            return Broken("CRAM-MD5 has no initial response")
        return Challenge(self._challenge)

    def step(self, response: bytes) -> Turn:
        name, _, answer = response.rpartition(b" ")
        if not name or b"\0" in name or _digest.fullmatch(answer) is None:
            return Broken("CRAM-MD5 response is not a name and 32 hexadecimal digits")
        self._answer = answer
        return Lookup(name, SCHEME, self._verified)

    def _verified(self, states: bytes) -> Turn:
        expected = hmac_finish(states, self._challenge).hex().encode()
        return Proved() if hmac.compare_digest(expected, self._answer) else Refuted()


CRAM_MD5 = Mechanism("CRAM-MD5", frozenset({"dictionary", "active"}), CramMd5)
