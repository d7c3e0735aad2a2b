"""Dovecot's dict-file: a line with a key, a line with its value, and so on; both escaped as in the TAB protocols.

When it expires is a pair of its own, ``expire/KEY`` and the unix time, which Dovecot passes over and keeps. Other pairs
that are no keys of a dict are kept as they are. A last line without LF or without a value is what a crash of another
program left: it does not count.
"""

from __future__ import annotations

from typing import NamedTuple

from roost.dict import keys
from roost.dict.api import Key
from roost.dict.table import Entry, Table
from roost.ipc.lines import escape, unescape

EXPIRE = b"expire/"
SHARED, PRIVATE = keys.SHARED.encode(), keys.PRIVATE.encode()


class Content(NamedTuple):
    table: Table
    foreign: dict[bytes, bytes]


def parse(data: bytes, user: str, alone: bool) -> Content:
    """``user``: whose the file is, when it is of one user ``alone``; else private keys carry the user's name."""
    lines = data.split(b"\n")
    lines.pop()
    raw: dict[bytes, bytes] = {}
    for at in range(0, len(lines) - 1, 2):
        raw[unescape(lines[at].removesuffix(b"\r"))] = unescape(lines[at + 1].removesuffix(b"\r"))
    times: dict[bytes, float] = {}
    content = Content({}, {})
    for name, value in raw.items():
        if name.startswith(EXPIRE) and value.isdigit() and len(value) < 16:
            times[name[len(EXPIRE) :]] = float(value)
    for name, value in raw.items():
        key = _key(name, user, alone)
        if key is not None:
            content.table[key] = Entry(value, times.get(name, 0))
        elif not (name.startswith(EXPIRE) and name[len(EXPIRE) :] in times):
            content.foreign[name] = value
    return content


def octets(content: Content, alone: bool, now: float) -> bytes:
    """The file. What has expired is left out."""
    made: list[bytes] = []
    for name, value in content.foreign.items():
        made += (escape(name), escape(value))
    for key, entry in content.table.items():
        if entry.alive(now):
            name = _name(key, alone)
            made += (escape(name), escape(entry.value))
            if entry.expires:
                made += (escape(EXPIRE + name), b"%d" % -(-entry.expires // 1))
    return b"\n".join([*made, b""])


def _key(name: bytes, user: str, alone: bool) -> Key | None:
    text = name.decode("utf-8", "surrogateescape")
    if name.startswith(SHARED):
        return Key("", text[len(SHARED) :])
    if not name.startswith(PRIVATE):
        return None
    rest = text[len(PRIVATE) :]
    if alone:
        return Key(user, rest) if user else None
    owner, slash, rest = rest.partition("/")
    return Key(keys.unescape(owner), rest) if slash and owner else None


def _name(key: Key, alone: bool) -> bytes:
    if not key.user:
        return SHARED + key.octets
    if alone:
        return PRIVATE + key.octets
    return PRIVATE + keys.escape(key.user).encode("utf-8", "surrogateescape") + b"/" + key.octets
