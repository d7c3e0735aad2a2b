"""Sections of a message (RFC 9051 §6.4.5.1): part paths and part specifiers to octet ranges.

``BODY[1]`` of a message that is no multipart is its body. A path that goes on behind a message/rfc822 part numbers
the parts of the message inside. HEADER, TEXT and HEADER.FIELDS after a path belong to that inner message, MIME to the
part's own header.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from roost.mime.header import select_fields
from roost.mime.parts import Part


def find_part(tree: Part, path: Sequence[int]) -> Part | None:
    """The part at ``path`` (numbers from 1); the message itself for an empty one; None when there is none."""
    part = tree
    within: Part | None = tree  # whose parts the next number counts
    for number in path:
        if within is None:
            return None
        if within.type == b"multipart":
            if not 1 <= number <= len(within.children):
                return None
            part = within.children[number - 1]
        elif number == 1:
            part = within
        else:
            return None
        if part.type == b"multipart":
            within = part
        else:
            within = part.children[0] if part.children else None
    return part


def section_range(tree: Part, path: Sequence[int], part: str) -> tuple[int, int] | None:
    """``(start, stop)`` of a section in the message; None when the message has no such section.

    ``part`` is "", HEADER, TEXT or MIME; for HEADER.FIELDS and HEADER.FIELDS.NOT it is the range of the header.
    """
    found = find_part(tree, path)
    if found is None:
        return None
    if part == "MIME":
        return (found.start, found.body) if path else None
    if path and not part:
        return found.body, found.stop
    if path:
        if not found.is_message or not found.children:
            return None
        found = found.children[0]
    if part == "TEXT":
        return found.body, found.stop
    return (found.start, found.body if part else found.stop)


def header_fields(block: bytes, part: str, names: Collection[bytes]) -> bytes:
    """What HEADER.FIELDS or HEADER.FIELDS.NOT gives of a header ``block``, with the empty line at its end."""
    return select_fields(block, names, invert=part == "HEADER.FIELDS.NOT") + b"\r\n"
