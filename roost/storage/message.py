"""What depends on a message alone and is worked out once: wire-ready ENVELOPE, BODY and BODYSTRUCTURE, and its header.

Linear time; depth, parts and header octets are bounded by the settings, beyond which a part counts as plain octets.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from roost.imap.bodystructure import both
from roost.imap.envelope import envelope
from roost.mime import parts
from roost.storage.limits import Limits

_LINES = re.compile(rb"(?:.*+(?<=\r)\n)*+.*+")  # a dot is quicker than [^\n]
_BARE_LF = re.compile(rb"(?<!\r)\n")


class Derived(NamedTuple):
    """``header_octets`` counts the header with its empty line (the whole message when there is no empty line).

    ``header``: its lines and their names, if they are known (``Part.header``).
    """

    header_octets: int
    envelope: bytes
    body: bytes
    bodystructure: bytes
    header: tuple[list[bytes], list[bytes]] | None


def with_crlf(data: bytes) -> bytes:
    """The message with every line ended by CRLF, as it goes over the wire."""
    if _LINES.fullmatch(data):
        return data
    return _BARE_LF.sub(b"\r\n", data)


def mime_limits(limits: Limits) -> parts.Limits:
    return parts.Limits(limits.mime_max_depth, limits.mime_max_parts, limits.mime_max_header_octets)


def derive(data: bytes, limits: parts.Limits, marks: list[int] | None = None) -> Derived:
    """Parse one message. Never raises for what is in it. ``marks``: ``roost.mime.lines.marks`` of it, if known."""
    root = parts.parse(data, limits, marks)
    bodystructure, body = both(root)
    return Derived(root.body, envelope(root.fields), body, bodystructure, root.header)
