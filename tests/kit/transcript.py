"""Conversations as data files: the reader, and the matcher for IMAP replies.

    about: one line saying what it shows            C: to the server      2C: the same on connection 2
    rfc: 9051 §6.4.5                                S: must come          !: must not come before the next tagged reply
    state: selected                                 L: a line of the literal that ``{=}`` or ``{=+}`` announced
    mailbox: 3 messages, uids 7 9 12

    C: A1 UID FETCH 1:* (FLAGS)
    S: * 1 FETCH (UID $first FLAGS (\\Seen))
    S: A1 OK $

Untagged replies may come in any order before their tagged one (``order: strict`` forbids that) and others beside them.
``$name`` captures on first sight and must agree afterwards, ``$`` is any one value, or the rest at the end of a list.
Lists of flags, LIST attributes, FETCH and STATUS pairs and capabilities are compared without order; FETCH pairs,
STATUS items and capabilities may be more than expected. ``S: (closed)`` is the end of the connection.

Header lines: ``state`` nonauth, auth or selected (default) · ``mailbox`` ``N messages[, uids …]`` or names of files in
``mail/`` · ``flags`` ``1 \\Seen; 3 \\Deleted $Junk`` · ``select`` SELECT or EXAMINE · ``settings`` key=value … (only in
memory) · ``needs`` capabilities · ``dovecot: differs, because …`` (not played against the reference).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Node = Any  # bytes, or a list of nodes; a Code is a list
ANY = b"$"


@dataclass(frozen=True)
class Step:
    """``kind`` is C, S or !; ``octets`` what is sent or expected, without the last CRLF; ``line`` in the file."""

    kind: str
    connection: int
    octets: bytes
    line: int
    waits: tuple[int, ...] = ()  # offsets in ``octets`` (C only) before which a "+" must come


@dataclass
class Transcript:
    path: Path
    header: dict[str, str]
    steps: list[Step] = field(default_factory=list)

    @property
    def connections(self) -> list[int]:
        return sorted({step.connection for step in self.steps})


_STEP = re.compile(r"(\d*)(C|S|L|!): ?(.*)")
_MARK = re.compile(r"\{=(\+?)\}$")


def read(path: Path) -> Transcript:
    """The transcript in ``path``. Raises ValueError naming the line that cannot be read."""
    lines = path.read_text(encoding="utf-8").split("\n")
    header: dict[str, str] = {}
    at = 0
    while at < len(lines) and lines[at].strip():
        key, colon, value = lines[at].partition(":")
        if not colon:
            raise ValueError(f"{path.name}:{at + 1}: no header line")
        header[key.strip()] = value.strip()
        at += 1
    transcript = Transcript(path, header)
    while at < len(lines):
        text = lines[at]
        at += 1
        if not text.strip() or text.startswith("#"):
            continue
        match = _STEP.fullmatch(text)
        if match is None or match[2] == "L":
            raise ValueError(f"{path.name}:{at}: not a step: {text!r}")
        connection, kind, start = int(match[1] or 1), match[2], at
        octets = _octets(match[3])
        waits: list[int] = []
        while mark := _MARK.search(octets.decode("latin-1")):
            literal = []
            while at < len(lines) and (found := re.fullmatch(r"L: ?(.*)", lines[at])):
                literal.append(_octets(found[1]) + b"\r\n")
                at += 1
            content = b"".join(literal)
            octets = octets[: mark.start()] + b"{%d%b}\r\n" % (len(content), mark[1].encode())
            if not mark[1]:
                waits.append(len(octets))
            octets += content
            if (
                at < len(lines)
                and (more := _STEP.fullmatch(lines[at]))
                and more[2] == kind
                and more[3][:1] in ("", " ", ")")
            ):
                octets += _octets(more[3])
                at += 1
        transcript.steps.append(Step(kind, connection, octets, start, tuple(waits)))
    return transcript


def _octets(text: str) -> bytes:
    """Text as UTF-8; ``\\xNN`` (and nothing else) is an octet."""
    parts = re.split(r"\\x([0-9a-f]{2})", text)
    return b"".join([bytes([int(p, 16)]) if n % 2 else p.encode() for n, p in enumerate(parts)])


# ---- replies as trees


class Code(list[Node]):
    """A response code, [BRACKETS]."""


_TOKEN = re.compile(
    rb'(?P<space> +)|(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\]|\\.)*)"|~?\{(?P<literal>\d+|=)\+?\}\r\n'
    rb"|(?P<atom>(?:[^\s()\[\]\"]|\[[^\]]*\])+(?:<\d+>)?)|(?P<end>\])",
)


def parse(line: bytes) -> list[Node]:
    """A reply as a tree: lists for parentheses, octets for atoms and strings alike."""
    words = line.split(b" ", 2)
    text_at = len(line)
    nodes: list[Node] = []
    if (len(words) > 1 and words[1].upper() in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")) or words[0] == b"+":
        head = words[:1] if words[0] == b"+" else words[:2]
        rest = line[len(b" ".join(head)) + 1 :]
        nodes += [word.upper() if n else word for n, word in enumerate(head)]
        if rest.startswith(b"["):
            close = _code_end(rest)
            nodes.append(Code(_tree(rest[1:close])))
            rest = rest[close + 1 :].lstrip(b" ")
        nodes.append(rest)
        return nodes
    return _tree(line[:text_at])


def _code_end(rest: bytes) -> int:
    quoted = False
    for at, octet in enumerate(rest):
        if octet == 0x22:
            quoted = not quoted
        elif octet == 0x5D and not quoted:
            return at
    return len(rest)


def _tree(line: bytes) -> list[Node]:
    stack: list[list[Node]] = [[]]
    at = 0
    while at < len(line):
        match = _TOKEN.match(line, at)
        if match is None:
            stack[-1].append(line[at:])
            break
        at = match.end()
        kind = match.lastgroup
        if kind == "open":
            stack.append([])
        elif kind == "close" and len(stack) > 1:
            inner = stack.pop()
            stack[-1].append(inner)
        elif kind == "quoted":
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", match["quoted"]))
        elif kind == "literal":
            size = int(match["literal"])
            stack[-1].append(line[at : at + size])
            at += size
        elif kind in ("atom", "end", "close"):
            stack[-1].append(match[0])
    while len(stack) > 1:
        inner = stack.pop()
        stack[-1].append(inner)
    return stack[0]


# ---- matching


class Matcher:
    """Compares replies with what is expected; ``captured`` holds the values of ``$name`` so far."""

    def __init__(self) -> None:
        self.captured: dict[bytes, Node] = {}

    def expand(self, octets: bytes) -> bytes:
        """A client line with captured values put in."""
        for name in sorted(self.captured, key=len, reverse=True):
            value = self.captured[name]
            if isinstance(value, bytes):
                octets = octets.replace(name, value)
        return octets

    def matches(self, expected: bytes, got: bytes) -> bool:
        """Whether ``got`` is what ``expected`` describes; captures only if it is."""
        before = dict(self.captured)
        if self._line(parse(expected), parse(got)):
            return True
        self.captured = before
        return False

    def _line(self, want: list[Node], got: list[Node]) -> bool:
        verb = [word.upper() if isinstance(word, bytes) else b"" for word in want[:3]]
        if verb[:1] == [b"*"]:
            if verb[1:2] == [b"CAPABILITY"]:
                return got[1:2] == [b"CAPABILITY"] and all(word in got[2:] for word in want[2:])
            if verb[2:] == [b"FETCH"] and len(got) > 3 and isinstance(got[3], list):
                return self._list(want[:3], got[:3]) and self._pairs(want[3], got[3])
            if verb[1:2] == [b"STATUS"] and len(got) > 3 and isinstance(got[3], list):
                return self._list(want[:3], got[:3]) and self._pairs(want[3], got[3])
            if verb[1:2] in ([b"LIST"], [b"LSUB"], [b"XLIST"]) and len(got) > 3:
                return (
                    self._list(want[:2], got[:2])
                    and self._set(want[2], got[2], _MARKS)
                    and self._list(want[3:], got[3:])
                )
            if verb[1:2] == [b"FLAGS"] and len(got) == 3:
                return self._list(want[:2], got[:2]) and self._set(want[2], got[2])
        return self._list(want, got)

    def _pairs(self, want: Node, got: list[Node]) -> bool:
        if want == [ANY]:
            return True
        if not isinstance(want, list):
            return False
        have = {_upper(name): value for name, value in zip(got[::2], got[1::2], strict=False)}
        for name, value in zip(want[::2], want[1::2], strict=True):
            found = have.get(_upper(name))
            if found is None:
                return False
            if _upper(name) == b"FLAGS":
                if not self._set(value, found, () if b"\\Recent" in value else (b"\\recent",)):
                    return False
            elif not self._node(value, found):
                return False
        return True

    def _set(self, want: Node, got: Node, ignored: tuple[bytes, ...] = ()) -> bool:
        if not isinstance(want, list) or not isinstance(got, list):
            return self._node(want, got)
        if want[-1:] == [ANY]:
            return {_lower(n) for n in want[:-1]} <= {_lower(n) for n in got}
        return {_lower(n) for n in want} == {_lower(n) for n in got} - set(ignored)

    def _list(self, want: list[Node], got: list[Node]) -> bool:
        for at, node in enumerate(want):
            if node == ANY and at == len(want) - 1:
                return True
            if at >= len(got) or not self._node(node, got[at]):
                return False
        return len(want) == len(got)

    def _node(self, want: Node, got: Node) -> bool:
        if isinstance(want, Code) != isinstance(got, Code) and want != ANY:
            return False
        if isinstance(want, list):
            if isinstance(want, Code) and want[:1] == [b"PERMANENTFLAGS"] and len(want) == 2 and len(got) == 2:
                return self._list(want[:1], got[:1]) and self._set(want[1], got[1])
            if isinstance(want, Code) and want[:1] == [b"CAPABILITY"]:
                return all(word in got for word in want if word != ANY)
            return isinstance(got, list) and self._list(want, got)
        if want == ANY:
            return True
        if want.startswith(b"$") and re.fullmatch(rb"\$[a-z][a-z0-9]*", want):
            return bool(self.captured.setdefault(want, got) == got)
        if not isinstance(got, bytes):
            return False
        if want.endswith(b" $"):  # a text
            return got.lower().startswith(want[:-2].lower())
        return want == got or (want.lower() == got.lower() and not re.search(rb"[\r\n]", want))


_MARKS = (b"\\marked", b"\\unmarked")


def _upper(node: Node) -> bytes:
    return node.upper() if isinstance(node, bytes) else b""


def _lower(node: Node) -> bytes:
    return node.lower() if isinstance(node, bytes) else b""


def split_replies(buffer: bytes) -> tuple[list[bytes], bytes]:
    """Whole replies (literals included, without their last CRLF) and the rest."""
    found = []
    start = at = 0
    while (end := buffer.find(b"\r\n", at)) >= 0:
        literal = re.search(rb"\{(\d+)\}$", buffer[at:end])
        if literal:
            at = end + 2 + int(literal[1])
            if at > len(buffer):
                break
            continue
        found.append(buffer[start:end])
        start = at = end + 2
    return found, buffer[start:]


def tag_of(reply: bytes) -> bytes:
    return reply.split(b" ", 1)[0]


def sections(folder: Path) -> Iterator[Path]:
    """All transcripts of a folder, sorted."""
    yield from sorted(folder.glob("*.txt"))
