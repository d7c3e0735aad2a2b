"""Address lists of header fields (RFC 5322 §3.4, §4.4): every text has an answer, in linear time.

    mailbox = [phrase] "<" [route] addr-spec ">" / addr-spec        group = phrase ":" [mailbox-list] ";"

An address is ``(name, route, mailbox, host)`` of octets or None, as ENVELOPE shows it: the words of a phrase joined
by one space and unquoted (encoded words stay as they are), a comment standing in for a missing name. A group is
``(None, None, name, None)``, its members, and four times None. What is missing from an address is filled with
``MISSING_MAILBOX`` and ``MISSING_DOMAIN``, since an empty host would mean a group. A ``Budget`` bounds the addresses
and the work for all fields it is given to; what is beyond it is left out.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final, TypeAlias

from roost.mime.header import unescape, unfold

Address: TypeAlias = tuple[bytes | None, bytes | None, bytes | None, bytes | None]

MAX_ADDRESSES: Final = 10_000
_TOKENS_PER_ADDRESS: Final = 4
MISSING_MAILBOX: Final = b"MISSING_MAILBOX"
MISSING_DOMAIN: Final = b"MISSING_DOMAIN"
GROUP_END: Final[Address] = (None, None, None, None)

_ATEXT = rb"A-Za-z0-9!#$%&'*+/=?^_`{|}~."
# The forms nearly all addresses have: Name <a@b>, "Name" <a@b>, <a@b>, a@b; then a comma or the end.
_COMMON = re.compile(
    rb'[ \t\r\n,]*+(?:(?:"([^"\\\r\n]++)"[ \t]*+|((?:[' + _ATEXT + rb"-]++[ \t]*+)*+))<"
    rb"([" + _ATEXT + rb"-]++)@([A-Za-z0-9.-]++)>|([" + _ATEXT + rb"-]++)@([A-Za-z0-9.-]++))[ \t\r\n]*+(?:,|\Z)"
)
# One address without quotes, and all of it: phrase, local part and domain, or local part and domain.
ONE: Final = re.compile(
    rb"[ \t\r\n,]*+(?:((?:[" + _ATEXT + rb"-]++ ?+)*+)<([" + _ATEXT + rb"-]++)@([A-Za-z0-9.-]++)>|"
    rb"([" + _ATEXT + rb"-]++)@([A-Za-z0-9.-]++))[ \r\n]*+"
)
_NOTHING_LEFT = re.compile(rb"[ \t\r\n,]*\Z")
_TOKEN = re.compile(
    rb' ++|"((?:[^"\\]++|\\.)*+)(?:"|\\?\Z)|(\()|([<>@,;:])|([^ "()<>@,;:\[]++|\[[^\]]*+\]?|\))',
    re.DOTALL,
)
_QUOTED, _COMMENT, _SPECIAL, _ATOM = 1, 2, 3, 4
_IN_COMMENT = re.compile(rb"[()\\]")


class Budget:
    """Addresses that may still be returned, and tokens of unusual syntax that may still be looked at."""

    __slots__ = ("addresses", "tokens")

    def __init__(self, addresses: int = MAX_ADDRESSES) -> None:
        self.addresses = addresses
        self.tokens = 1000 + _TOKENS_PER_ADDRESS * addresses


def parse(value: bytes, budget: Budget | None = None) -> list[Address]:
    """The addresses of a field's value, folded or not. ``budget`` is reduced by what was used."""
    if budget is None:
        budget = Budget()
    found: list[Address] = []
    limit = budget.addresses
    pos = 0
    size = len(value)
    while pos < size:
        match = _COMMON.match(value, pos)
        if match is None:
            if _NOTHING_LEFT.match(value, pos) is None:
                _General(unfold(value[pos:]), budget, found).run()
            break
        if len(found) >= limit:
            break
        quoted, phrase, local, domain, bare_local, bare_domain = match.groups()
        if local is None:
            found.append((None, None, bare_local, bare_domain))
        else:
            if phrase:
                phrase = phrase.rstrip()
                if b"  " in phrase or b"\t" in phrase:
                    phrase = b" ".join(phrase.split())
            found.append((quoted or phrase or None, None, local, domain))
        pos = match.end()
    budget.addresses = max(limit - len(found), 0)
    return found


class _General:
    """One forward walk over the tokens of an unfolded value.

    ``words`` may become a name, a local part or a group name, as what follows decides.
    """

    def __init__(self, value: bytes, budget: Budget, found: list[Address]) -> None:
        self.value = value
        self.pos = 0
        self.budget = budget
        self.limit = budget.addresses
        self.found = found
        self.in_group = False
        self._reset()

    def _reset(self) -> None:
        self.words: list[bytes] = []
        self.name: bytes | None = None
        self.comment: bytes | None = None
        self.route: list[bytes] = []
        self.local: list[bytes] | None = None  # set once "@" follows
        self.in_angle = self.had_angle = False

    def run(self) -> None:
        value = self.value
        budget = self.budget
        while self.pos < len(value) and len(self.found) < self.limit and budget.tokens > 0:
            budget.tokens -= 1
            match = _TOKEN.match(value, self.pos)
            if match is None:
                break
            self.pos = match.end()
            kind = match.lastindex
            if kind == _ATOM:
                self._word(match[_ATOM])
            elif kind == _QUOTED:
                self._word(unescape(match[_QUOTED]))
            elif kind == _SPECIAL:
                self._special(match[_SPECIAL])
            elif kind == _COMMENT:
                self._comment()
        self._finish()
        if self.in_group:
            self.found.append(GROUP_END)

    def _word(self, word: bytes) -> None:
        if not self.had_angle or self.in_angle:
            self.words.append(word)

    def _special(self, special: bytes) -> None:
        if special == b"<":
            if not self.had_angle:
                words = self.words if self.local is None else [_joined(self.local) + b"@" + _joined(self.words)]
                self.name = b" ".join(words) or None
                self.words = []
                self.local = None
                self.in_angle = self.had_angle = True
        elif special == b">":
            self.in_angle = False
        elif special == b"@":
            if self.in_angle and not self.words and self.local is None:
                self._route()
            elif self.local is None:
                self.local = self.words
                self.words = []
        elif special == b":":
            if not self.in_angle and not self.in_group and self.local is None:
                self.found.append((None, None, b" ".join(self.words), None))
                self._reset()
                self.in_group = True
        else:  # "," or ";"
            self._finish()
            if special == b";" and self.in_group:
                self.found.append(GROUP_END)
                self.in_group = False

    def _route(self) -> None:
        """``@a,@b:`` after ``<``: taken only if the colon is there."""
        match = _ROUTE.match(self.value, self.pos - 1)
        if match is None:
            self.local = []
            return
        self.pos = match.end()
        domains = [b"".join(domain.split()) for domain in re.split(rb"[@,]+", match[1])]
        self.route = [domain for domain in domains if domain]

    def _comment(self) -> None:
        """A comment, nested ones included; an unclosed one runs to the end."""
        start = self.pos
        depth = 1
        value = self.value
        stop = len(value)
        while self.budget.tokens > 0 and (match := _IN_COMMENT.search(value, self.pos)):
            self.budget.tokens -= 1
            self.pos = match.end()
            if match[0] == b"(":
                depth += 1
            elif match[0] == b")":
                depth -= 1
                if not depth:
                    stop = match.start()
                    break
            else:
                self.pos += 1
        else:
            self.pos = len(value)
        self.comment = unescape(value[start:stop].strip()) or self.comment

    def _finish(self) -> None:
        """The end of one address, if there was any."""
        if not self.words and self.local is None and not self.had_angle:
            self._reset()  # nothing, or a comment alone
            return
        name = self.name
        if self.local is None:
            mailbox, host = _joined(self.words), MISSING_DOMAIN
            if not self.had_angle and len(self.words) > 1 and not _is_dotted(self.words):
                name, mailbox = b" ".join(self.words), MISSING_MAILBOX
            elif not self.words:
                mailbox = MISSING_MAILBOX
        else:
            mailbox = _joined(self.local) if self.local else MISSING_MAILBOX
            host = _joined(self.words) or MISSING_DOMAIN
        route = b",".join([b"@" + domain for domain in self.route]) if self.route else None
        if len(self.found) < self.limit:
            self.found.append((name if name is not None else self.comment, route, mailbox, host))
        self._reset()


_ROUTE = re.compile(rb'(@[^<>:;"()]*+):')


def _is_dotted(words: list[bytes]) -> bool:
    """``a . b`` written with spaces is one local part, two words are not."""
    return all(left.endswith(b".") or right.startswith(b".") for left, right in pairwise(words))


def _joined(words: list[bytes]) -> bytes:
    """The words of a local part or domain: together around dots, else apart."""
    if len(words) == 1:
        return words[0]
    return b"".join(words) if _is_dotted(words) else b" ".join(words)
