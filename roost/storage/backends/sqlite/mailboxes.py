"""CREATE, DELETE, RENAME, SUBSCRIBE: what they do to the rows, inside a write transaction."""

from __future__ import annotations

from collections.abc import Collection

from roost.errors import MailboxAlreadyExists, NoSuchMailbox
from roost.storage import names
from roost.storage.backends.sqlite.expunge import remove_messages
from roost.storage.backends.sqlite.transaction import Transaction
from roost.storage.journal import Kind
from roost.storage.limits import Limits

FORMER_NAMES = 20_000  # remembered; the oldest go first

_INSERT = (
    "INSERT INTO mailbox (id, name, selectable, uidvalidity, folded, trimmed, special_use) VALUES (?, ?, ?, ?, ?, ?, ?)"
)


def first_mailboxes(tx: Transaction, limits: Limits) -> None:
    """INBOX and the configured mailboxes, for a user who has none."""
    if tx.value("SELECT 1 FROM mailbox"):
        return
    _create(tx, names.INBOX, "")
    subscribe(tx, names.INBOX, True, limits)
    for auto in limits.mailboxes:
        try:
            create(tx, auto.name, auto.special_use.split(), limits)
        except MailboxAlreadyExists:
            continue
        if auto.subscribe:
            subscribe(tx, auto.name, True, limits)


def create(tx: Transaction, name: str, special_use: Collection[str], limits: Limits) -> str:
    """Make a mailbox and its missing parents; the name as stored."""
    name = names.check(name, limits)
    uses = " ".join(sorted(special_use))
    selectable = {row[0] for row in tx.execute("SELECT name FROM mailbox WHERE selectable")}
    for each in names.to_create(selectable, name, limits):
        _create(tx, each, uses if each == name else "")
    return name


def _create(tx: Transaction, name: str, special_use: str) -> int:
    tx.execute("DELETE FROM mailbox WHERE name = ? AND NOT selectable", (name,))
    uidvalidity = tx.next_uidvalidity()
    number = tx.log(tx.modseq + 1, Kind.CREATE, data=name.encode())
    tx.execute(_INSERT, (number, name, 1, uidvalidity, number, number, special_use))
    return number


def _placeholder(tx: Transaction, name: str, number: int) -> None:
    """A \\Noselect name."""
    tx.execute(_INSERT, (number, name, 0, 0, number, number, ""))


def delete(tx: Transaction, name: str) -> None:
    name = names.canonical(name)
    rows = {row[0]: row for row in tx.execute("SELECT name, id, selectable, uidvalidity FROM mailbox")}
    what = names.to_delete(rows, {each for each, row in rows.items() if not row[2]}, name)
    _, number, selectable, uidvalidity = rows[name]
    modseq = tx.log(number, Kind.DELETE)
    if selectable:
        remove_messages(tx, number, None)
        tx.execute("DELETE FROM snapshot WHERE mailbox = ?", (number,))
        _remember(tx, name, uidvalidity)
    tx.execute("DELETE FROM mailbox WHERE id = ?", (number,))
    if what.keep_name:
        _placeholder(tx, name, modseq)
    for parent in what.prune:
        tx.execute("DELETE FROM mailbox WHERE name = ?", (parent,))


def rename(tx: Transaction, existing: str, new: str, limits: Limits) -> None:
    existing, new = names.canonical(existing), names.check(new, limits)
    rows = {row[0]: row for row in tx.execute("SELECT name, id, selectable, uidvalidity FROM mailbox")}
    noselect = {name for name, row in rows.items() if not row[2]}
    what = names.to_rename(rows, noselect, existing, new, limits)
    for parent in what.create:
        _create(tx, parent, "")
    for old, target in what.pairs:
        _, number, selectable, uidvalidity = rows[old]
        kind = Kind.RENAME
        if selectable:
            former = tx.value("DELETE FROM former_name WHERE name = ? RETURNING uidvalidity", target) or 0
            _remember(tx, old, uidvalidity)
            if former > uidvalidity:
                kind = Kind.RESET
                uidvalidity = tx.next_uidvalidity()
        tx.execute("UPDATE mailbox SET name = ?, uidvalidity = ? WHERE id = ?", (target, uidvalidity, number))
        tx.log(number, kind, data=target.encode())
    _prune(tx, existing)


def rename_inbox(tx: Transaction, new: str, limits: Limits) -> tuple[int, int]:
    """Make the target of RENAME INBOX; (INBOX, target). The messages are then moved."""
    target = create(tx, new, (), limits)
    inbox = tx.value("SELECT id FROM mailbox WHERE name = ?", names.INBOX)
    number = tx.value("SELECT id FROM mailbox WHERE name = ?", target)
    if inbox is None or number is None:
        raise NoSuchMailbox("Mailbox doesn't exist")
    return inbox, number


def subscribe(tx: Transaction, name: str, subscribed: bool, limits: Limits) -> None:
    """By name; nothing is logged when it is so already."""
    name = names.check(name, limits) if subscribed else names.canonical(name)
    if (tx.value("SELECT 1 FROM subscription WHERE name = ?", name) is not None) == subscribed:
        return
    if subscribed:
        tx.execute("INSERT INTO subscription VALUES (?)", (name,))
    else:
        tx.execute("DELETE FROM subscription WHERE name = ?", (name,))
    tx.log(0, Kind.SUBSCRIPTION, data=name.encode())


def _remember(tx: Transaction, name: str, uidvalidity: int) -> None:
    """``name`` had this UIDVALIDITY: a mailbox that gets the name must have a greater one."""
    tx.execute(
        "INSERT INTO former_name VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET uidvalidity = max(uidvalidity, ?)",
        (name, uidvalidity, uidvalidity),
    )
    tx.execute(
        "DELETE FROM former_name WHERE uidvalidity <= (SELECT uidvalidity FROM former_name"
        " ORDER BY uidvalidity DESC LIMIT 1 OFFSET ?)",
        (FORMER_NAMES,),
    )


def _prune(tx: Transaction, name: str) -> None:
    """Remove \\Noselect parents of ``name`` that have no children any more."""
    for parent in reversed(names.parents(name)):
        row = tx.execute("SELECT id, selectable FROM mailbox WHERE name = ?", (parent,)).fetchone()
        children = tx.value("SELECT 1 FROM mailbox WHERE substr(name, 1, ?) = ?", len(parent) + 1, parent + "/")
        if row is None or row[1] or children:
            return
        tx.execute("DELETE FROM mailbox WHERE id = ?", (row[0],))
