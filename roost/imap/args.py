"""A cursor over the arguments of one command (RFC 9051 §9).

Each reading method takes one element at the cursor, moves past it and returns its value, or raises ``Malformed`` with
a text for the client. Patterns are compiled once and applied at a position; nothing is sliced off. What the grammar
separates by one space may be separated by several, and spaces may stand inside parentheses and before the end:
clients do it and Dovecot takes it.

    astring = 1*ASTRING-CHAR / string        string = quoted / literal        nstring = string / "NIL"
    ASTRING-CHAR = ATOM-CHAR / "]"           ATOM-CHAR = any CHAR except ( ) { SP CTL % * " \\ ]

A backslash in a quoted string takes the next octet as it is, whatever that is: some clients send ``"DOMAIN\\user"``.
``NIL`` is a value only where the grammar says nstring; elsewhere it is text. ``~foo`` is an atom like any other.
"""

from __future__ import annotations

import re
from typing import Final

from roost.errors import Malformed
from roost.imap import dates, mailbox_name, seqset
from roost.imap.assembler import Complete
from roost.imap.flags import parse_flags

INVALID_ARGUMENTS: Final = "Invalid arguments."
MISSING_ARGUMENTS: Final = "Missing arguments."

_ATOM_CHARS = rb"!#$&'+-\[^-z|}~"
_TAG_CHARS = rb"!#$&',-\[^-z|}~\]"  # no "+", which starts a continuation
# What clients send most, with nothing after it: told without a pattern.
_BARE_COMMANDS = frozenset((b"NOOP", b"CHECK", b"IDLE", b"LOGOUT", b"CAPABILITY", b"EXPUNGE", b"CLOSE", b"NAMESPACE"))
_PLAIN_COMMAND = re.compile(rb"([" + _TAG_CHARS + rb"]++) ([A-TV-Za-tv-z][A-Za-z]*+)(?= |\Z)")
_COMMAND = re.compile(rb"([" + _TAG_CHARS + rb"]+) *+(?:([Uu][Ii][Dd]) ++)?([A-Za-z][A-Za-z0-9-]*+(?= |\Z))?")
_ATOM = re.compile(rb"[" + _ATOM_CHARS + rb"]+")
_ASTRING = re.compile(rb"([" + _ATOM_CHARS + rb'\]]+)|"([^"\\\0]*+)"')
_TWO_ASTRINGS = re.compile(rb" (?:%b) (?:%b)\Z" % (_ASTRING.pattern, _ASTRING.pattern))
_LIST_MAILBOX = re.compile(rb"([" + _ATOM_CHARS + rb'\]%*]+)|"([^"\\\0]*+)"')
_QUOTED_WITH_ESCAPES = re.compile(rb'"((?:[^"\\\0]++|\\[^\0])*+)"')
_ESCAPED = re.compile(rb"\\(.)")
_LITERAL = re.compile(rb"~?\n")
_SPACES = re.compile(rb" +")
_END = re.compile(rb" *\Z")
_NUMBER = re.compile(rb"[0-9]{1,20}(?![0-9])")
_FLAG = re.compile(rb"\\?[" + _ATOM_CHARS + rb"]+")
_FLAG_LIST = re.compile(rb"\( *+((?:\\?[" + _ATOM_CHARS + rb"]+ *+)*+)\)")
_OPENING, _SPACE, _NEWLINE, _QUOTE = 0x28, 0x20, 0x0A, 0x22

MAX_NUMBER: Final = (1 << 32) - 1
MAX_NUMBER64: Final = (1 << 63) - 1


class Args:
    """The cursor: ``raw`` and ``literals`` as in Complete, ``pos`` where reading goes on."""

    __slots__ = ("literals", "pos", "raw")

    def __init__(self, complete: Complete) -> None:
        self.raw = complete.raw
        self.literals = complete.literals
        self.pos = 0

    # --- the command itself

    def command(self) -> tuple[bytes, bytes]:
        """``(tag, NAME)``: name in upper case, ``b"UID FETCH"`` for a UID form, empty when there is none.

        The cursor then stands right after the name. Raises Malformed when there is no valid tag.
        """
        tag, _, rest = self.raw.partition(b" ")
        if rest in _BARE_COMMANDS and tag.isalnum():
            self.pos = len(self.raw)
            return tag, rest
        match = _PLAIN_COMMAND.match(self.raw)
        if match is not None:
            self.pos = match.end()
            tag, name = match.groups()
            return tag, name.upper()
        match = _COMMAND.match(self.raw)
        if match is None:
            raise Malformed("Invalid tag")
        tag, uid, name = match.groups()
        self.pos = match.end()
        if name is None:
            return tag, b"UID" if uid else b""
        return tag, b"UID " + name.upper() if uid else name.upper()

    # --- between elements

    def peek(self) -> int:
        """The octet at the cursor (``0x0A`` for a literal), or -1 at the end."""
        return self.raw[self.pos] if self.pos < len(self.raw) else -1

    def at_end(self) -> bool:
        """Nothing but spaces is left."""
        return _END.match(self.raw, self.pos) is not None

    def end(self) -> None:
        """Nothing may be left. Raises Malformed."""
        if _END.match(self.raw, self.pos) is None:
            raise Malformed(INVALID_ARGUMENTS)
        self.pos = len(self.raw)

    def space(self) -> None:
        """At least one space, and something after it."""
        raw = self.raw
        pos = self.pos
        if raw[pos : pos + 1] != b" ":
            raise Malformed(MISSING_ARGUMENTS if pos >= len(raw) else INVALID_ARGUMENTS)
        pos += 1
        if raw[pos : pos + 1] == b" " and (more := _SPACES.match(raw, pos)):
            pos = more.end()
        if pos == len(raw):
            raise Malformed(MISSING_ARGUMENTS)
        self.pos = pos

    def skip_spaces(self) -> None:
        """Any number of spaces, also none."""
        if match := _SPACES.match(self.raw, self.pos):
            self.pos = match.end()

    def next_is(self, text: bytes) -> bool:
        """Take ``text`` (punctuation, compared exactly) if it stands at the cursor."""
        if self.raw.startswith(text, self.pos):
            self.pos += len(text)
            return True
        return False

    def expect(self, text: bytes) -> None:
        """Take ``text`` or raise Malformed."""
        if not self.next_is(text):
            raise Malformed(INVALID_ARGUMENTS)

    def open_list(self) -> None:
        """``(`` and the spaces some clients write after it."""
        self.expect(b"(")
        self.skip_spaces()

    def close_list(self) -> bool:
        """True and past it if ``)`` comes next; otherwise False, standing at the next element of the list."""
        start = self.pos
        self.skip_spaces()
        if self.next_is(b")"):
            return True
        if self.pos == start and self.raw[start - 1 : start] not in (b"(", b" ") and self.peek() != _OPENING:
            raise Malformed("Missing ')'" if start >= len(self.raw) else INVALID_ARGUMENTS)
        if self.pos >= len(self.raw):
            raise Malformed("Missing ')'")
        return False

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Apply a module-level pattern of the caller at the cursor and move past what it matched."""
        found = pattern.match(self.raw, self.pos)
        if found is not None:
            self.pos = found.end()
        return found

    # --- elements

    def atom(self) -> bytes:
        match = _ATOM.match(self.raw, self.pos)
        if match is None:
            raise Malformed(self._why_no_atom())
        self.pos = match.end()
        return match[0]

    def keyword(self) -> bytes:
        """An atom compared without regard to case: returned in upper case."""
        return self.atom().upper()

    def astring(self) -> bytes:
        match = _ASTRING.match(self.raw, self.pos)
        if match is None:
            return self._other_string()
        self.pos = match.end()
        return match[match.lastindex or 0]

    def string(self) -> bytes:
        """Quoted or literal; an atom is refused."""
        if self.peek() not in (_QUOTE, _NEWLINE):
            raise Malformed(INVALID_ARGUMENTS)
        return self._other_string()

    def nstring(self) -> bytes | None:
        """A string, or None for NIL."""
        if self.raw[self.pos : self.pos + 3].upper() == b"NIL":
            self.pos += 3
            return None
        return self.string()

    def literal(self) -> object:
        """The value of a literal: bytes, or what ``take_literal`` was given, or None if it was thrown away."""
        match = _LITERAL.match(self.raw, self.pos)
        if match is None:
            raise Malformed(INVALID_ARGUMENTS)
        self.pos = match.end()
        return self.literals[self.raw.count(b"\n", 0, self.pos) - 1]

    def literal_is_binary(self) -> bool:
        """A literal8 (``~{n}``) comes next."""
        return self.raw.startswith(b"~\n", self.pos)

    def mailbox(self) -> str:
        """A mailbox name, decoded from modified UTF-7. Raises InvalidName for one that cannot be."""
        return mailbox_name.decode(self.astring())

    def last_two_astrings(self) -> tuple[bytes, bytes] | None:
        """Two astrings, each after one space, and nothing after them; None, standing still, when they are not there
        in their simplest forms."""
        match = _TWO_ASTRINGS.match(self.raw, self.pos)
        if match is None:
            return None
        first, first_quoted, second, second_quoted = match.groups()
        self.pos = len(self.raw)
        return first_quoted if first is None else first, second_quoted if second is None else second

    def list_mailbox(self) -> bytes:
        """A LIST pattern, as written: an atom that may hold ``%`` and ``*``, or a string."""
        match = _LIST_MAILBOX.match(self.raw, self.pos)
        if match is None:
            return self._other_string()
        self.pos = match.end()
        return match[match.lastindex or 0]

    def number(self, maximum: int = MAX_NUMBER) -> int:
        match = _NUMBER.match(self.raw, self.pos)
        if match is None or (value := int(match[0])) > maximum:
            raise Malformed(INVALID_ARGUMENTS)
        self.pos = match.end()
        return value

    def nz_number(self, maximum: int = MAX_NUMBER) -> int:
        value = self.number(maximum)
        if not value:
            raise Malformed(INVALID_ARGUMENTS)
        return value

    def number64(self) -> int:
        """0 … 2**63-1: modseqs and sizes."""
        return self.number(MAX_NUMBER64)

    def seqset(self) -> seqset.SeqSet:
        match = seqset.PATTERN.match(self.raw, self.pos)
        if match is None or (match.end() < len(self.raw) and self.raw[match.end()] not in b" )"):
            raise Malformed(seqset.INVALID_SET)
        self.pos = match.end()
        return seqset.from_matched(match[0])

    def flag_list(self) -> tuple[int, tuple[str, ...]]:
        """``(\\Seen $Junk)`` or, as STORE allows, flags without parentheses to the end: (system mask, keywords)."""
        match = _FLAG_LIST.match(self.raw, self.pos)
        if match is not None:
            self.pos = match.end()
            return parse_flags(match[1].split())
        names = []
        while found := _FLAG.match(self.raw, self.pos):
            names.append(found[0])
            self.pos = found.end()
            if self.at_end():
                return parse_flags(names)
            self.space()
        raise Malformed("Missing flags" if self.pos >= len(self.raw) else "Flags list contains non-atoms.")

    def date(self) -> int:
        """``1-Feb-2026``, quoted or not, with or without a leading zero: days since 1970-01-01."""
        quoted = self.next_is(b'"')
        match = self.match(dates.DATE)
        day = dates.day_of(match) if match else None
        if day is None or (quoted and not self.next_is(b'"')):
            raise Malformed("Invalid search date parameter")
        return day

    def date_time(self) -> int:
        """``" 1-Feb-2026 10:00:00 +0100"`` in quotes: seconds since 1970."""
        secs = dates.parse_internal_date(self.string())
        if secs is None:
            raise Malformed("Invalid internal date.")
        return secs

    # --- strings that no single pattern covers

    def _other_string(self) -> bytes:
        next_octet = self.peek()
        if next_octet == _QUOTE:
            match = _QUOTED_WITH_ESCAPES.match(self.raw, self.pos)
            if match is None:
                raise Malformed("Missing '\"'")
            self.pos = match.end()
            return _ESCAPED.sub(rb"\1", match[1]) if b"\\" in match[1] else match[1]
        if next_octet == _NEWLINE:
            value = self.literal()
            if not isinstance(value, bytes):
                raise Malformed("Too long argument")
            return value
        raise Malformed(self._why_no_atom())

    def _why_no_atom(self) -> str:
        next_octet = self.peek()
        if next_octet in (-1, _SPACE):
            return MISSING_ARGUMENTS
        if next_octet >= 0x80:
            return "8bit data in atom"
        return INVALID_ARGUMENTS if next_octet in b'()"\n' else "Invalid characters in atom"
