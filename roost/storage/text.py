"""Text of messages as SEARCH compares it: header values unfolded and decoded, text parts decoded, without case.

Most messages are settled without being parsed: plain ASCII without a transfer encoding that does not hold the octets
looked for cannot hold the text.
"""

from __future__ import annotations

from collections.abc import Callable

from roost.mime import parts
from roost.mime.encodings import part_text
from roost.mime.header import all_fields, header_stop
from roost.mime.words import header_text

_ENCODED = b"content-transfer-encoding"


def fold(text: str) -> str:
    """Two texts that differ only in case fold to the same."""
    return text.casefold()


def field_values(header: bytes) -> list[bytes]:
    """The raw values of raw header fields."""
    return [value for _, value in all_fields(header)]


def field_matches(needle: str) -> Callable[[bytes], bool]:
    """A test of raw fields of one name: does one's decoded value contain ``needle``? "": is there one?"""
    if not needle:
        return bool
    folded = fold(needle)
    octets = folded.encode() if folded.isascii() else None

    def test(header: bytes) -> bool:
        # One line without encoded words: what stands there is the text.
        if octets is not None and header.isascii() and b"=?" not in header and header.count(b"\n") <= 1:
            return octets in header.partition(b":")[2].lower()
        return any(folded in fold(header_text(value)) for value in field_values(header))

    return test


class Needle:
    """What BODY and TEXT look for."""

    def __init__(self, text: str, limits: parts.Limits) -> None:
        self._folded = fold(text)
        self._octets = self._folded.encode() if self._folded.isascii() else None
        self._limits = limits

    def in_body(self, data: bytes) -> bool:
        """In the decoded text of some text part, or in the header of a message inside this one."""
        return not self._surely_not(data) and self._in_parts(data)

    def in_message(self, data: bytes) -> bool:
        """In the header or in the body."""
        if self._surely_not(data):
            return False
        return self._in_header(data, 0, header_stop(data)) or self._in_parts(data)

    def _surely_not(self, data: bytes) -> bool:
        octets = self._octets
        if octets is None or b"\n " in octets or not data.isascii():
            return False
        low = data.lower()
        return octets not in low and _ENCODED not in low and b"=?" not in low and " " not in self._folded

    def _in_parts(self, data: bytes) -> bool:
        root = parts.parse(data, self._limits)
        waiting = [root]
        while waiting:
            part = waiting.pop()
            if part.is_message and part.children and self._in_header(data, part.body, part.children[0].body):
                return True
            if part.type == b"text" and self._folded in fold(part_text(data, part)):
                return True
            waiting.extend(part.children)
        return False

    def _in_header(self, data: bytes, start: int, stop: int) -> bool:
        for name, value in all_fields(data, start, stop):
            if self._folded in fold(f"{name.decode()}: {header_text(value)}"):
                return True
        return False
