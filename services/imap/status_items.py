"""STATUS items (RFC 9051 §6.3.11, 3501, 7162, 8438, 7889): names to values; shared by STATUS and LIST-STATUS. PURE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from roost.errors import Malformed
from roost.imap.args import Args
from roost.imap.replies import status_row
from roost.storage.api import MailboxStatus


def _append_limit(status: MailboxStatus) -> int | bytes:
    return b"NIL" if status.append_limit is None else status.append_limit


STATUS_ITEMS: Final[dict[bytes, Callable[[MailboxStatus], int | bytes]]] = {
    b"MESSAGES": lambda status: status.messages,
    b"RECENT": lambda status: status.recent,
    b"UIDNEXT": lambda status: status.uidnext,
    b"UIDVALIDITY": lambda status: status.uidvalidity,
    b"UNSEEN": lambda status: status.unseen,
    b"HIGHESTMODSEQ": lambda status: status.highest_modseq,
    b"SIZE": lambda status: status.size_octets,
    b"APPENDLIMIT": _append_limit,
}


def parse(args: Args) -> tuple[bytes, ...]:
    """``"(" status-att *(SP status-att) ")"``: names in upper case, without duplicates. Raises Malformed."""
    args.open_list()
    names: dict[bytes, None] = {}
    while not args.close_list():
        name = args.keyword()
        if name not in STATUS_ITEMS:
            raise Malformed(f"Invalid status item {name.decode('ascii')}")
        names[name] = None
    if not names:
        raise Malformed("Empty status list")
    return tuple(names)


def row(name: str, items: tuple[bytes, ...], status: MailboxStatus) -> bytes:
    """The untagged STATUS reply."""
    return status_row(name, [(item, STATUS_ITEMS[item](status)) for item in items])
