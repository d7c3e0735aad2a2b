"""Flag masks of many messages at once: C speed from plain Python.

A mailbox's masks stand in one ``array('Q')``. Seen as octets, every eighth one belongs to the same eight flags (a
*plane*), so a question or a change about a flag is one ``bytes.translate`` of a strided slice, whatever the number of
messages. Two different keyword tables meet in ``remap``.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from functools import lru_cache

from roost.errors import LimitExceeded, Refused
from roost.storage.api import DELETED, KEYWORD_SHIFT, SEEN, SYSTEM_MASK, Flags, FlagsOp
from roost.storage.limits import Limits

# PLANES[k] is the offset, inside the eight octets of a mask, of the octet with bits 8k … 8k+7.
PLANES = tuple(range(8)) if sys.byteorder == "little" else tuple(range(7, -1, -1))

ADD, REMOVE, SET = FlagsOp.ADD, FlagsOp.REMOVE, FlagsOp.SET


@lru_cache(maxsize=1024)
def _changes_table(op: FlagsOp, mask: int) -> bytes:
    """Octet to 1 when ``op`` with ``mask`` would change it, else 0."""
    return bytes([apply_mask(op, octet, mask) != octet for octet in range(256)])


@lru_cache(maxsize=1024)
def _apply_table(op: FlagsOp, mask: int) -> bytes:
    return bytes([apply_mask(op, octet, mask) & 255 for octet in range(256)])


@lru_cache(maxsize=512)
def has_table(mask: int) -> bytes:
    """Octet to 1 when it has a bit of ``mask``, else 0."""
    return bytes([(octet & mask) != 0 for octet in range(256)])


def apply_mask(op: FlagsOp, old: int, mask: int) -> int:
    """One message's new mask."""
    if op is ADD:
        return old | mask
    if op is REMOVE:
        return old & ~mask
    return mask


def _octets_of(op: FlagsOp, mask: int) -> Iterator[tuple[int, int]]:
    """(offset of the plane, its octet of the mask) for the planes that ``op`` can touch."""
    for k in range(8):
        octet = (mask >> (8 * k)) & 255
        if octet or op is SET:
            yield PLANES[k], octet


def plane(flags: array[int], bit: int, start: int = 0, stop: int | None = None) -> bytes:
    """1 or 0 for each of ``flags[start:stop]``: has it the flag with this bit (a mask of one bit)?"""
    k, inside = divmod(bit.bit_length() - 1, 8)
    part = flags if start == 0 and (stop is None or stop >= len(flags)) else flags[start:stop]
    return part.tobytes()[PLANES[k] :: 8].translate(has_table(1 << inside))


def would_change(flags: array[int], start: int, stop: int, op: FlagsOp, mask: int) -> list[tuple[int, int]]:
    """Half-open row ranges inside ``start … stop`` whose masks ``op`` would change, ascending, not touching."""
    if stop - start == 1:
        old = flags[start]
        return [(start, stop)] if apply_mask(op, old, mask) != old else []
    raw = flags[start:stop].tobytes()
    marks = b""
    for offset, octet in _octets_of(op, mask):
        found = raw[offset::8].translate(_changes_table(op, octet))
        if 1 in found:
            marks = _either(marks, found) if marks else found
    return runs(marks, start)


def _either(a: bytes, b: bytes) -> bytes:
    both = int.from_bytes(a, "little") | int.from_bytes(b, "little")
    return both.to_bytes(len(a), "little")


def runs(marks: bytes, start: int = 0) -> list[tuple[int, int]]:
    """Half-open ranges of the ones in a string of octets 0 and 1, moved up by ``start``."""
    out = []
    at = marks.find(1)
    while at >= 0:
        end = marks.find(0, at)
        if end < 0:
            out.append((at + start, len(marks) + start))
            break
        out.append((at + start, end + start))
        at = marks.find(1, end)
    return out


def change(flags: array[int], start: int, stop: int, op: FlagsOp, mask: int) -> None:
    """Do it, in place."""
    if stop - start == 1:
        flags[start] = apply_mask(op, flags[start], mask)
        return
    if op is SET:
        flags[start:stop] = array("Q", [mask]) * (stop - start)
        return
    raw = bytearray(flags[start:stop].tobytes())
    for offset, octet in _octets_of(op, mask):
        raw[offset::8] = raw[offset::8].translate(_apply_table(op, octet))
    fresh: array[int] = array("Q")
    fresh.frombytes(raw)
    flags[start:stop] = fresh


def count_unseen(flags: array[int]) -> int:
    return len(flags) - plane(flags, SEEN).count(1)


def count_deleted(flags: array[int]) -> int:
    return plane(flags, DELETED).count(1)


def first_without(flags: array[int], bit: int) -> int:
    """The first row without the flag, or -1."""
    return plane(flags, bit).find(0)


# -- keywords -------------------------------------------------------------------------------------------------------


def add_keywords(table: tuple[str, ...], names: Sequence[str], limits: Limits) -> tuple[str, ...]:
    """The table with the missing names at its end (compared without case; the first spelling stays).

    Raises LimitExceeded, Refused for a name too long or empty.
    """
    have = {name.lower() for name in table}
    fresh: list[str] = []
    for name in names:
        folded = name.lower()
        if folded in have:
            continue
        if not name or len(name.encode()) > limits.mail_max_keyword_length:
            raise Refused("Invalid keyword name", code="CANNOT", detail="mail_max_keyword_length")
        have.add(folded)
        fresh.append(name)
    if not fresh:
        return table
    if len(table) + len(fresh) > limits.keyword_limit:
        raise LimitExceeded("Too many keywords in this mailbox", detail="keyword_limit")
    return (*table, *fresh)


def mask_of(table: Sequence[str], flags: Flags) -> int:
    """The mask of ``flags`` in a table; keywords that it lacks are left out."""
    mask = flags.system & SYSTEM_MASK
    if flags.keywords:
        folded = [name.lower() for name in table]
        for name in flags.keywords:
            key = name.lower()
            if key in folded:
                mask |= 1 << (KEYWORD_SHIFT + folded.index(key))
    return mask


def names_in(table: Sequence[str], mask: int) -> tuple[str, ...]:
    """The keywords of a mask."""
    return tuple([name for i, name in enumerate(table) if mask >> (KEYWORD_SHIFT + i) & 1])


def remap(masks: array[int], source: tuple[str, ...], dest: tuple[str, ...]) -> array[int]:
    """The same flags in another mailbox's table, which has every keyword in use."""
    if dest[: len(source)] == source:
        return masks
    distinct = set(masks)
    if max(distinct, default=0) <= SYSTEM_MASK:
        return masks
    moved = {mask: mask_of(dest, Flags(mask & SYSTEM_MASK, names_in(source, mask))) for mask in distinct}
    return array("Q", [moved[mask] for mask in masks])
