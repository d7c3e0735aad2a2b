"""Text of messages as SEARCH compares it: header values unfolded and decoded, text parts decoded, without case.

Most messages are settled without being parsed: plain ASCII without a transfer encoding that does not hold the octets
looked for cannot hold the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

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


def field_matches(needle: str) -> Callable[[Sequence[bytes]], Iterable[bool]]:
    """A test of many messages' raw fields of one name: does a decoded value contain ``needle``? "": is there one?"""
    if not needle:
        return lambda headers: map(bool, headers)
    folded = fold(needle)
    octets = folded.encode() if folded.isascii() else None

    def test(header: bytes) -> bool:
        # One line without encoded words: what stands there is the text.
        if octets is not None and header.isascii() and b"=?" not in header and header.count(b"\n") <= 1:
            return octets in header.partition(b":")[2].lower()
        return any(folded in fold(header_text(value)) for value in field_values(header))

    def test_all(headers: Sequence[bytes]) -> Iterable[bool]:
        if octets is not None:
            joined = b"".join(headers)
            plain = joined.isascii() and b"=?" not in joined and b"\n " not in joined and b"\n\t" not in joined
            if plain and octets not in joined.lower():
                return repeat(False, len(headers))
        return map(test, headers)

    return test_all


class Needle:
    """What BODY and TEXT look for."""

    def __init__(self, text: str, limits: parts.Limits) -> None:
        self._folded = fold(text)
        self._octets = self._folded.encode() if self._folded.isascii() else b""
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
        if not octets or b":" in octets or not data.isascii():
            return False
        low = data.lower()
        if octets in low or _ENCODED in low or b"=?" in low:
            return False
        # A space of the needle may be a fold of a header, which unfolding makes a space.
        return b" " not in octets or octets not in (low if b"message/" in low else low[: header_stop(low)]).replace(
            b"\r\n", b""
        )

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
        folded = self._folded
        for name, value in all_fields(data, start, stop):
            text = fold(header_text(value))
            if folded in text or folded in (low := name.decode().lower()):
                return True
            if ":" in folded and folded in f"{low}: {text}":
                return True
        return False
