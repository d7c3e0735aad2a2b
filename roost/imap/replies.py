"""What the server writes: strings, tagged and untagged rows (RFC 9051 §7, §9).

Every function returns octets ready for the wire, rows with their CRLF. Strings are quoted when they can be and literals
when they hold CR, LF, NUL or 8-bit octets (a quoted string is 7-bit until the client enables UTF-8). Text that may come
from outside loses its control characters on the way, so that nobody else writes our lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from roost.imap import mailbox_name

_PLAIN = re.compile(rb'[^\x00-\x08\x0a-\x1f"\\\x7f-\xff]*')
_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]*")
_QUOTABLE_UTF8 = re.compile(rb"[^\x00\r\n]*")
_ATOM = re.compile(rb"""[!#$&'+-\[^-z|}~\]]++""")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")

CONTINUE = b"+ OK\r\n"
IDLING = b"+ idling\r\n"


def string(value: bytes, utf8: bool = False) -> bytes:
    """Quoted, or a literal when it must be. ``utf8``: the client has enabled UTF-8, quoted strings may carry it."""
    if _PLAIN.fullmatch(value):
        return b'"%s"' % value
    if (_QUOTABLE_UTF8 if utf8 else _QUOTABLE).fullmatch(value):
        return b'"%s"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b"{%d}\r\n%s" % (len(value), value)


def nstring(value: bytes | None, utf8: bool = False) -> bytes:
    """A string, or NIL for None."""
    return b"NIL" if value is None else string(value, utf8)


def astring(value: bytes, utf8: bool = False) -> bytes:
    """An atom if it is one (and not NIL), else a string."""
    if _ATOM.fullmatch(value) and value.upper() != b"NIL":
        return value
    return string(value, utf8)


def wire_mailbox(name: str, utf8: bool = False) -> bytes:
    """A mailbox name as it stands in a reply: encoded, then an atom or a string."""
    return astring(mailbox_name.encode(name, utf8), utf8)


def tagged(tag: bytes, status: bytes, text: str, code: bytes = b"") -> bytes:
    """``a1 OK [CODE] text``; ``status`` is OK, NO or BAD; ``code`` comes without brackets."""
    safe = _CONTROL.sub(" ", text).encode("ascii", "replace")
    return b"%s %s [%s] %s\r\n" % (tag, status, code, safe) if code else b"%s %s %s\r\n" % (tag, status, safe)


def untagged(status: bytes, text: str, code: bytes = b"") -> bytes:
    """``* OK [CODE] text``; ``status`` also PREAUTH or BYE."""
    return tagged(b"*", status, text, code)


def capability(words: bytes) -> bytes:
    """``words``: names with spaces between them."""
    return b"* CAPABILITY %s\r\n" % words


def list_row(
    attributes: Iterable[str],
    name: str,
    *,
    separator: str | None = "/",
    verb: bytes = b"LIST",
    extended: bytes = b"",
    utf8: bool = False,
) -> bytes:
    """``* LIST (\\HasNoChildren) "/" INBOX``; ``extended`` is a ready RFC 5258 list such as ``("CHILDINFO" (…))``."""
    return b"* %s (%s) %s %s%s\r\n" % (
        verb,
        " ".join(attributes).encode("ascii"),
        b"NIL" if separator is None else string(separator.encode()),
        wire_mailbox(name, utf8),
        b" " + extended if extended else b"",
    )


def status_row(name: str, values: Iterable[tuple[bytes, int | bytes]], utf8: bool = False) -> bytes:
    """``* STATUS INBOX (MESSAGES 3 UIDNEXT 4)``; a value given as octets is written as it is."""
    items = [b"%s %s" % (item, b"%d" % value if isinstance(value, int) else value) for item, value in values]
    return b"* STATUS %s (%s)\r\n" % (wire_mailbox(name, utf8), b" ".join(items))


def search_row(numbers: Iterable[int], highest_modseq: int = 0) -> bytes:
    """``* SEARCH 2 84 882 (MODSEQ 917162500)``; an empty result keeps the bare ``* SEARCH`` (RFC 7162 §3.1.5)."""
    text = " ".join(map(str, numbers)).encode("ascii")
    if not text:
        return b"* SEARCH\r\n"
    return b"* SEARCH %s (MODSEQ %d)\r\n" % (text, highest_modseq) if highest_modseq else b"* SEARCH %s\r\n" % text
