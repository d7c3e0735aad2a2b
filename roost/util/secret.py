"""A secret in memory: prints as ``***``, compares in constant time, refuses to be pickled.

Passwords, tokens and SASL responses travel as ``Secret`` so that no log line, exception text, ``repr`` of a
dataclass or process title can show them by accident. ``reveal()`` is the only way out; search for its callers to see
every place that handles clear text.
"""

from __future__ import annotations

import hmac
from typing import NoReturn, final

MASK = "***"


@final
class Secret:
    """Octets nobody may print. Equality takes the same time wherever the first difference lies."""

    __slots__ = ("_octets",)
    __hash__ = None  # type: ignore[assignment]  # a hash would be a second, unsalted copy of the secret

    def __init__(self, octets: bytes) -> None:
        self._octets = bytes(octets)

    @classmethod
    def from_text(cls, text: str) -> Secret:
        """The secret of a text, in UTF-8."""
        return cls(text.encode("utf-8", "surrogateescape"))

    def reveal(self) -> bytes:
        """The octets themselves. Never hand the result to a log, an exception or a title."""
        return self._octets

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._octets, other._octets)

    def __bool__(self) -> bool:
        return bool(self._octets)

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled")
