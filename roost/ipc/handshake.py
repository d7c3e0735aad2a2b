"""``VERSION⇥name⇥major⇥minor``: the first line in both directions of every internal connection.

A different name means the wrong socket, a different major version an incompatible peer: both end the connection.
The minor version only says which additions the peer knows.
"""

from __future__ import annotations

from roost.errors import Malformed
from roost.ipc.lines import decode_text, encode


def version_line(name: str, major: int, minor: int) -> bytes:
    """The greeting of a peer that calls itself ``name`` (``anvil-client``), with its LF."""
    return encode("VERSION", name, str(major), str(minor))


def check_version(line: bytes, name: str, major: int) -> int:
    """The peer's minor version. Raises Malformed unless ``line`` greets as ``name`` with this major version."""
    fields = decode_text(line)
    if len(fields) != 4 or fields[0] != "VERSION":
        raise Malformed("VERSION expected.", detail=f"got {line[:80]!r}")
    if fields[1] != name:
        raise Malformed("Wrong service.", detail=f"peer is {fields[1][:80]!r}, wanted {name!r}")
    if not (is_number(fields[2]) and is_number(fields[3])):
        raise Malformed("VERSION expected.", detail=f"got {line[:80]!r}")
    if int(fields[2]) != major:
        raise Malformed("Incompatible version.", detail=f"peer speaks {name} version {fields[2]}, we speak {major}")
    return int(fields[3])


def is_number(text: str) -> bool:
    """ASCII digits only, at most 18 of them (so ``int`` is cheap and fits 63 bits)."""
    return 0 < len(text) <= 18 and text.isascii() and text.isdigit()
