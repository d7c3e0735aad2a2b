"""``auth_verbose_passwords``: what the log shows of a wrong password. By default nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from roost.errors import ConfigError
from roost.events.log import sanitize

KEY: Final = "auth_verbose_passwords"
PLAIN, SHA1 = "plain", "sha1"
KINDS: Final = {"yes": PLAIN, PLAIN: PLAIN, SHA1: SHA1}


@dataclass(frozen=True, slots=True)
class Shown:
    """How a password is shown, and at most how many characters of that."""

    kind: str
    limit: int | None

    def text(self, password: bytes) -> str:
        """What follows the line of a failure."""
        if self.kind == SHA1:
            digest = hashlib.sha1(password, usedforsecurity=False).hexdigest()
            return f" (SHA1 of given password: {digest[: self.limit]})"
        return f" (given password: {sanitize(password.decode('utf-8', 'replace')[: self.limit])})"


def shown(text: str) -> Shown | None:
    """``no``, ``yes``, ``plain`` or ``sha1``, each with ``:N`` if wanted. Raises ConfigError."""
    word, colon, number = text.partition(":")
    if colon and not (number.isascii() and number.isdigit() and 0 < int(number) < 10000):
        raise ConfigError(f"{KEY}: Invalid truncation number '{number[:20]}'", key=KEY)
    if word == "no":
        return None
    kind = KINDS.get(word)
    if kind is None:
        raise ConfigError(f"{KEY}: Invalid value", key=KEY)
    return Shown(kind, int(number) if colon else None)
