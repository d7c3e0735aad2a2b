"""The schema of a user's database, its version, and the steps from older ones (``docs/storage.md`` explains it).

Version 1. Tables are readable in the ``sqlite3`` shell. What is derived and may be thrown away: ``snapshot`` apart from
flags older than the journal, ``cache``.
"""

from __future__ import annotations

from functools import cache

import apsw

from roost.errors import Corrupt
from roost.storage.backends.sqlite.connection import build_image

VERSION = 1
APPLICATION_ID = 0x526F6F73  # "Roos"

TABLES = [
    # schema: version. uidvalidity: the greatest given out. autos: names of mailboxes made without being asked.
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID",
    # id: the modseq of its creation. folded: the snapshot holds until here; trimmed: the journal begins after this.
    """CREATE TABLE mailbox (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        selectable INTEGER NOT NULL,
        uidvalidity INTEGER NOT NULL,
        uidnext INTEGER NOT NULL DEFAULT 1,
        first_recent INTEGER NOT NULL DEFAULT 1,
        messages INTEGER NOT NULL DEFAULT 0,
        size_octets INTEGER NOT NULL DEFAULT 0,
        folded INTEGER NOT NULL,
        trimmed INTEGER NOT NULL,
        keywords TEXT NOT NULL DEFAULT '',
        special_use TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE TABLE subscription (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    # Greatest UIDVALIDITY a name ever had, for names that lost their mailbox.
    "CREATE TABLE former_name (name TEXT PRIMARY KEY, uidvalidity INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    # Every change, in order: roost/storage/journal.py. at: seconds since 1970. uids: one number or a set (1:5,9).
    """CREATE TABLE journal (
        modseq INTEGER PRIMARY KEY,
        mailbox INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        at INTEGER NOT NULL,
        uids ANY,
        data BLOB
    ) STRICT""",
    # flags: as they were on arrival; they are now what the journal and the snapshot say.
    """CREATE TABLE message (
        mailbox INTEGER NOT NULL,
        uid INTEGER NOT NULL,
        body INTEGER NOT NULL,
        internal_date INTEGER NOT NULL,
        save_date INTEGER NOT NULL,
        size INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        PRIMARY KEY (mailbox, uid)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE body (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
    # Bodies too large for a row: the file's name under blobs/.
    "CREATE TABLE blob (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    # Only bodies that several messages share: how many messages beyond the first.
    "CREATE TABLE shared (body INTEGER PRIMARY KEY, more INTEGER NOT NULL) STRICT",
    # One row for each message removed whose body has not been looked at yet.
    "CREATE TABLE garbage (id INTEGER PRIMARY KEY, body INTEGER NOT NULL) STRICT",
    # Wire-ready items and common header fields: roost/storage/backends/sqlite/cache.py.
    """CREATE TABLE cache (
        body INTEGER PRIMARY KEY,
        envelope BLOB NOT NULL,
        structure BLOB NOT NULL,
        bodystructure BLOB NOT NULL,
        header_octets INTEGER NOT NULL,
        fields BLOB
    ) STRICT""",
    # Columns of a mailbox as of some modseq: roost/storage/backends/sqlite/folding.py.
    "CREATE TABLE snapshot (mailbox INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
]

# UPGRADES[n] leads from version n to n + 1, inside one transaction.
UPGRADES: dict[int, list[str]] = {}


@cache
def image() -> bytes:
    """A new database, without any mailbox."""
    return build_image(
        [*TABLES, f"INSERT INTO meta VALUES ('schema', {VERSION})", f"PRAGMA application_id={APPLICATION_ID}"]
    )


def check_schema(connection: apsw.Connection, path: str) -> None:
    """Upgrade an older database, refuse a newer one. Raises Corrupt (this program cannot read it), apsw.Error."""
    version = _version(connection)
    if version == VERSION:
        return
    if version is None or version > VERSION:
        raise Corrupt(
            "The mail store was written by a newer version",
            detail=f"{path}: schema {version}, this one knows {VERSION}",
        )
    connection.execute("BEGIN IMMEDIATE")
    try:
        at = _version(connection)
        while at is not None and at < VERSION:
            for statement in UPGRADES[at]:
                connection.execute(statement)
            at += 1
            connection.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (at,))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: apsw.Connection) -> int | None:
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    return row[0] if row and isinstance(row[0], int) else None
