"""Snapshots: the columns of a mailbox as one blob, so that a cold SELECT is one read and the journal's last rows.

A blob is: ``RoS1`` · CRC-32 of what follows · the modseq it was taken at (8) · the number of messages (4) · uids (4
each) · flag masks (8 each) · modseqs (8 each), little-endian. ``mailbox.folded`` may be later than the blob's own
modseq when nothing changed in between. A damaged blob is made again from ``message`` and the journal that is left: no
message is lost, but flags older than the journal are those of arrival.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array

from roost import durable
from roost.storage.backends.sqlite.transaction import Transaction
from roost.storage.columns import Columns

_HEAD = struct.Struct("<4sIQI")
_MAGIC = b"RoS1"
_SUMMED_FROM = 8

_CHANGED = """SELECT 1 FROM journal WHERE mailbox = ? AND modseq <= ?
    AND modseq > (SELECT folded FROM mailbox WHERE id = ?) LIMIT 1"""

TRIM_ROWS = 5000  # journal rows removed in one transaction


class DamagedSnapshot(Exception):
    """The blob is not what was written."""


def encode(columns: Columns) -> bytes:
    """The blob of these columns."""
    parts = [_little(columns.uids), _little(columns.flags), _little(columns.modseqs)]
    head = _HEAD.pack(_MAGIC, 0, columns.modseq, len(columns.uids))
    blob = b"".join([head, *parts])
    return _MAGIC + zlib.crc32(memoryview(blob)[_SUMMED_FROM:]).to_bytes(4, "little") + blob[_SUMMED_FROM:]


def decode(blob: bytes, keywords: tuple[str, ...], uidnext: int) -> Columns:
    """Columns from a blob. Raises DamagedSnapshot."""
    if len(blob) < _HEAD.size:
        raise DamagedSnapshot("too short")
    magic, crc, modseq, count = _HEAD.unpack_from(blob)
    view = memoryview(blob)
    if magic != _MAGIC or len(blob) != _HEAD.size + 20 * count or zlib.crc32(view[_SUMMED_FROM:]) != crc:
        raise DamagedSnapshot("checksum")
    columns = Columns(keywords, uidnext, modseq)
    at = _HEAD.size
    for column, width in ((columns.uids, 4), (columns.flags, 8), (columns.modseqs, 8)):
        column.frombytes(view[at : at + width * count])
        if sys.byteorder != "little":
            column.byteswap()
        at += width * count
    return columns


def _little(column: array[int]) -> bytes:
    if sys.byteorder != "little":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def fold(tx: Transaction, mailbox: int, upto: int, blob: bytes | None) -> None:
    """Keep the snapshot taken at ``upto``; None: the one there holds until ``upto``. An older one never wins."""
    if tx.value("SELECT 1 FROM mailbox WHERE id = ? AND folded < ? AND selectable", mailbox, upto) is None:
        return
    if blob is not None:
        tx.execute("INSERT OR REPLACE INTO snapshot VALUES (?, ?)", (mailbox, blob))
    elif tx.value(_CHANGED, mailbox, upto, mailbox) is not None:
        return
    durable.crash_point("store-fold")
    tx.execute("UPDATE mailbox SET folded = ? WHERE id = ? AND folded < ?", (upto, mailbox, upto))


def trim(tx: Transaction, keep_secs: int) -> int:
    """Remove journal rows that every snapshot has in it and that are old enough; how many. The newest always stays."""
    oldest = tx.value("SELECT at FROM journal ORDER BY modseq LIMIT 1")
    if oldest is None or oldest >= tx.now - keep_secs:
        return 0
    rows = tx.execute(
        """SELECT j.modseq, j.mailbox FROM journal j LEFT JOIN mailbox m ON m.id = j.mailbox
           WHERE j.at < ? AND j.modseq <= ifnull(m.folded, j.modseq) AND j.modseq < (SELECT max(modseq) FROM journal)
           ORDER BY j.modseq LIMIT ?""",
        (tx.now - keep_secs, TRIM_ROWS),
    ).fetchall()
    newest: dict[int, int] = {}
    for modseq, mailbox in rows:
        newest[mailbox] = modseq
    for mailbox, modseq in newest.items():
        tx.execute("UPDATE mailbox SET trimmed = ? WHERE id = ? AND trimmed < ?", (modseq, mailbox, modseq))
    for modseq, _ in rows:
        tx.execute("DELETE FROM journal WHERE modseq = ?", (modseq,))
    return len(rows)
