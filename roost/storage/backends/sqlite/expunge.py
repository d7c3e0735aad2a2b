"""EXPUNGE: message rows go, their bodies wait for the collector."""

from __future__ import annotations

from collections.abc import Iterable

from roost import durable
from roost.storage.backends.sqlite.transaction import Transaction
from roost.storage.journal import Kind
from roost.util.ranges import Ranges

FEW_PAIRS = 8

_RANGE = "mailbox = ? AND uid BETWEEN ? AND ?"
_LIST = "mailbox = ? AND uid IN (SELECT value FROM json_each(?))"


def expunge(tx: Transaction, mailbox: int, uids: Ranges) -> int:
    """Remove messages that are there; the modseq."""
    tx.require(mailbox, "id")
    remove_messages(tx, mailbox, uids)
    durable.crash_point("store-expunge")
    return tx.log(mailbox, Kind.EXPUNGE, uids)


def remove_messages(tx: Transaction, mailbox: int, uids: Ranges | None, *, keep_bodies: bool = False) -> None:
    """Delete message rows (None: all) and count the mailbox down. ``keep_bodies``: a move has them now."""
    if uids is None:
        uids = Ranges.span(1, (1 << 32) - 1)
    count = size = 0
    for where, args in _selections(mailbox, uids):
        messages, octets = tx.execute(f"SELECT count(*), total(size) FROM message WHERE {where}", args).fetchone()
        if not keep_bodies:
            tx.execute(f"INSERT INTO garbage (body) SELECT body FROM message WHERE {where}", args)
        tx.execute(f"DELETE FROM message WHERE {where}", args)
        count += messages
        size += int(octets)
    tx.execute(
        "UPDATE mailbox SET messages = messages - ?, size_octets = size_octets - ? WHERE id = ?",
        (count, size, mailbox),
    )


def _selections(mailbox: int, uids: Ranges) -> list[tuple[str, tuple[object, ...]]]:
    """WHERE clauses that together take in the uids: ranges when they are few, else one list."""
    if len(uids.pairs) <= FEW_PAIRS:
        return [(_RANGE, (mailbox, low, high)) for low, high in uids.pairs]
    return [(_LIST, (mailbox, json_list(uids)))]


def json_list(uids: Iterable[int]) -> str:
    """For json_each."""
    return "[" + ",".join(map(str, uids)) + "]"
