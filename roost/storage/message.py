"""What depends on a message alone and is worked out once: wire-ready ENVELOPE, BODY and BODYSTRUCTURE, and its header.

Linear time; depth, parts and header octets are bounded by the settings, beyond which a part counts as plain octets.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from roost.storage.limits import Limits

_BARE_LF = re.compile(rb"(?<!\r)\n")
_HEADER_END = re.compile(rb"(?:\A|\n)\r?\n")
_FIELD = re.compile(rb"([^\x00-\x20:\x7f-\xff]+)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*")


@dataclass(frozen=True, slots=True)
class Derived:
    """``header_octets`` counts the header with its empty line (the whole message when there is no empty line)."""

    header_octets: int
    envelope: bytes
    body: bytes
    bodystructure: bytes


def with_crlf(data: bytes) -> bytes:
    """The message with every line ended by CRLF, as it goes over the wire."""
    if data.count(b"\n") == data.count(b"\r\n"):
        return data
    return _BARE_LF.sub(b"\r\n", data)


def header_octets(data: bytes) -> int:
    """The length of the header with its empty line."""
    found = _HEADER_END.search(data)
    return found.end() if found else len(data)


def select_fields(header: bytes, wanted: Collection[bytes]) -> bytes:
    """The raw fields with these lower-case names, in message order, each ending in CRLF, without the empty line."""
    out = []
    for found in _FIELD.finditer(header):
        if found[1].lower() in wanted:
            out.append(found[0])
    return b"".join(out)


def derive(data: bytes, limits: Limits) -> Derived:
    """Parse one message. Never raises for what is in it."""
    from roost.imap.bodystructure import bodystructure
    from roost.imap.envelope import envelope
    from roost.mime.parts import parse

    return Derived(
        header_octets(data), envelope(data), bodystructure(parse(data), False), bodystructure(parse(data), True)
    )
