"""LIST patterns (RFC 9051 §6.3.9): ``*`` matches anything, ``%`` anything but the hierarchy separator.

Linear time for every pattern: common shapes are compared directly, the others run all their alternatives at once as
one bit set. INBOX matches in any case.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Sequence


class Match(enum.Enum):
    """What a pattern says of a name. PARENT: it does not match, but a name below it could."""

    NO = 0
    YES = 1
    PARENT = 2


Matcher = Callable[[str], Match]

_STARS = re.compile(r"[*%]*\*[*%]*")
_PERCENTS = re.compile(r"%+")


def compile_patterns(reference: str, patterns: Sequence[str], separator: str = "/") -> Matcher:
    """A function that says whether a name matches any of ``patterns``, each taken after ``reference``."""
    matchers = [_compile(reference + pattern, separator) for pattern in dict.fromkeys(patterns)]
    if len(matchers) == 1:
        return matchers[0]

    def match_any(name: str) -> Match:
        best = Match.NO
        for matcher in matchers:
            found = matcher(name)
            if found is Match.YES:
                return found
            if found is Match.PARENT:
                best = found
        return best

    return match_any


def _compile(pattern: str, separator: str) -> Matcher:
    pattern = _PERCENTS.sub("%", _STARS.sub("*", pattern))
    if pattern == "*":
        return lambda name: Match.YES
    if pattern == "%":
        return lambda name: Match.NO if separator in name else Match.YES
    if pattern[:5].upper() == "INBOX" and pattern[5:6] in ("", "*", "%", separator):
        pattern = "INBOX" + pattern[5:]
    plain = _wildcards_at_end(pattern, separator)
    general = plain or _Alternatives(pattern, separator)
    inbox = pattern.upper()
    if inbox == pattern:
        return general
    for_inbox = _wildcards_at_end(inbox, separator) or _Alternatives(inbox, separator)
    return lambda name: for_inbox(name) if name == "INBOX" else general(name)


def _wildcards_at_end(pattern: str, separator: str) -> Matcher | None:
    """A direct comparison for a name, or a name followed by one wildcard; None for other patterns."""
    prefix = pattern.rstrip("*%")
    if "*" in prefix or "%" in prefix:
        return None
    end = pattern[len(prefix) :]

    def match(name: str) -> Match:
        if end == "*" and name.startswith(prefix):
            return Match.YES
        if end == "%" and name.startswith(prefix) and separator not in name[len(prefix) :]:
            return Match.YES
        if name == prefix:
            return Match.YES
        below = name + separator
        if prefix.startswith(below) and (end or prefix != below):  # "a/" leaves nothing for a child of "a"
            return Match.PARENT
        if end == "*" and below.startswith(prefix):
            return Match.PARENT
        if end == "%" and below.startswith(prefix) and separator not in below[len(prefix) :]:
            return Match.PARENT
        return Match.NO

    return match


class _Alternatives:
    """Bit i of a state: the first i signs of the pattern are used up."""

    def __init__(self, pattern: str, separator: str) -> None:
        self.separator = separator
        self.final = 1 << len(pattern)
        self.literal: dict[str, int] = {}  # bits from which this character leads one on
        self.star = self.percent = 0  # bits that stay where they are for any character, for any but the separator
        for i, sign in enumerate(pattern):
            if sign == "*":
                self.star |= 1 << i
            elif sign == "%":
                self.percent |= 1 << i
            else:
                self.literal[sign] = self.literal.get(sign, 0) | 1 << i
        self.start = self._skip(1)

    def _skip(self, state: int) -> int:
        """A wildcard may match nothing; two never stand side by side."""
        return state | (state & (self.star | self.percent)) << 1

    def _step(self, state: int, character: str) -> int:
        stay = self.star if character == self.separator else self.star | self.percent
        return self._skip((state & stay) | (state & self.literal.get(character, 0)) << 1)

    def __call__(self, name: str) -> Match:
        state = self.start
        for character in name:
            state = self._step(state, character)
            if not state:
                return Match.NO
        if state & self.final:
            return Match.YES
        # Below it: the separator is used up and more of the pattern, or a wildcard, is left.
        return Match.PARENT if self._step(state, self.separator) & ~self.final else Match.NO
