"""The embedded store: one SQLite database a user, a journal that is the truth, columns in memory (``docs/storage.md``).

``backend.py`` what a process shares · ``store.py`` one open database · ``user.py`` ``mailbox.py`` the sessions ·
``writer.py`` durable writes on threads · ``append.py`` ``copy.py`` ``expunge.py`` ``flags.py`` ``mailboxes.py`` the
changes · ``fetch.py`` reading · ``schema.py`` ``transaction.py`` ``connection.py`` ``watch.py`` the database ·
``bodies.py`` ``cache.py`` ``folding.py`` what is in it. Only this folder imports apsw, only ``connection.py`` opens.
"""

from __future__ import annotations

from roost.storage.api import Backend, BackendContext
from roost.storage.backends.sqlite.backend import SqliteBackend


def open_sqlite(context: BackendContext) -> Backend:
    """The factory (``mail_driver = sqlite``). Raises ConfigError."""
    return SqliteBackend(context)
