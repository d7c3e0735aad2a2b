"""Text of messages as SEARCH compares it: unfolded, decoded, without case."""

from __future__ import annotations

import re
from collections.abc import Callable

_FOLD = re.compile(rb"\r?\n(?=[ \t])")


def field_values(header: bytes) -> list[bytes]:
    """The unfolded values of raw header fields, without the space around them."""
    values = []
    for line in _FOLD.sub(b"", header).split(b"\n"):
        _, colon, value = line.partition(b":")
        if colon:
            values.append(value.strip())
    return values


def fold(text: str) -> str:
    return text.casefold()


def field_matches(name: bytes, needle: str) -> Callable[[bytes], bool]:
    """A test of raw fields, all called ``name``: does one's value contain ``needle``?"""
    if not needle:
        return bool
    folded = fold(needle)

    def test(header: bytes) -> bool:
        return any(folded in fold(value.decode("utf-8", "replace")) for value in field_values(header))

    return test


class Needle:
    """What BODY and TEXT look for."""

    def __init__(self, text: str) -> None:
        self.folded = fold(text)

    def in_body(self, data: bytes) -> bool:
        return self.folded in fold(data.partition(b"\r\n\r\n")[2].decode("utf-8", "replace"))

    def in_message(self, data: bytes) -> bool:
        return self.folded in fold(data.decode("utf-8", "replace"))
