"""Every command the room knows: one file a verb, one row here (and its UID form). To add one, see CONTRIBUTING."""

from __future__ import annotations

from typing import Any, Final

from services.imap.command import Command
from services.imap.commands.append import APPEND
from services.imap.commands.authenticate import AUTHENTICATE
from services.imap.commands.capability import CAPABILITY
from services.imap.commands.check import CHECK
from services.imap.commands.close import CLOSE
from services.imap.commands.copy import COPY, UID_COPY
from services.imap.commands.create import CREATE
from services.imap.commands.delete import DELETE
from services.imap.commands.enable import ENABLE
from services.imap.commands.examine import EXAMINE
from services.imap.commands.expunge import EXPUNGE, UID_EXPUNGE
from services.imap.commands.fetch import FETCH, UID_FETCH
from services.imap.commands.id import ID
from services.imap.commands.idle import IDLE
from services.imap.commands.list import LIST
from services.imap.commands.login import LOGIN
from services.imap.commands.logout import LOGOUT
from services.imap.commands.lsub import LSUB
from services.imap.commands.move import MOVE, UID_MOVE
from services.imap.commands.namespace import NAMESPACE
from services.imap.commands.noop import NOOP
from services.imap.commands.rename import RENAME
from services.imap.commands.search import SEARCH, UID_SEARCH
from services.imap.commands.select import SELECT
from services.imap.commands.starttls import STARTTLS
from services.imap.commands.status import STATUS
from services.imap.commands.store import STORE, UID_STORE
from services.imap.commands.subscribe import SUBSCRIBE
from services.imap.commands.unselect import UNSELECT
from services.imap.commands.unsubscribe import UNSUBSCRIBE
from services.imap.commands.xlist import XLIST

_ROWS: Final[tuple[Command[Any], ...]] = (
    # any state
    CAPABILITY,
    ID,
    LOGOUT,
    NOOP,
    # before login
    AUTHENTICATE,
    LOGIN,
    STARTTLS,
    # after login
    APPEND,
    CREATE,
    DELETE,
    ENABLE,
    EXAMINE,
    IDLE,
    LIST,
    LSUB,
    NAMESPACE,
    RENAME,
    SELECT,
    STATUS,
    SUBSCRIBE,
    UNSUBSCRIBE,
    XLIST,
    # with a mailbox selected
    CHECK,
    CLOSE,
    COPY,
    EXPUNGE,
    FETCH,
    MOVE,
    SEARCH,
    STORE,
    UID_COPY,
    UID_EXPUNGE,
    UID_FETCH,
    UID_MOVE,
    UID_SEARCH,
    UID_STORE,
    UNSELECT,
)

COMMANDS: Final[dict[bytes, Command[Any]]] = {command.name: command for command in _ROWS}
