"""APPEND, MULTIAPPEND and delivery: prepared outside the transaction, then a handful of rows in it."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from roost import durable
from roost.errors import LimitExceeded, NoSuchMailbox
from roost.mime import lines, parts
from roost.mime.header import header_stop
from roost.storage import flagbits
from roost.storage.api import AppendResult, NewMessage
from roost.storage.backends.sqlite.bodies import BlobFolder
from roost.storage.backends.sqlite.cache import encode_fields, encode_lines
from roost.storage.backends.sqlite.transaction import LOG, Transaction
from roost.storage.journal import Kind, masks_octets
from roost.storage.limits import Limits
from roost.storage.message import derive, with_crlf
from roost.storage.upload import read_all
from roost.util.ranges import Ranges

BODY_BITS = 20  # a body's id is its modseq, then its number inside the append: never used twice
MAX_UID = (1 << 32) - 1

# RETURNING would cost three times as much as asking before, which is seldom needed (``Transaction.boxes``).
_BOX = "SELECT uidnext, uidvalidity, keywords FROM mailbox WHERE id = ? AND selectable"
_COUNT = "UPDATE mailbox SET uidnext = ?, messages = messages + ?, size_octets = size_octets + ? WHERE id = ?"
_BODY = "INSERT INTO body VALUES (?, ?)"
_BLOB = "INSERT INTO blob VALUES (?, ?)"
_MESSAGE = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)"
_SMALL_ONE = ";".join((_COUNT, _BODY, _MESSAGE, LOG))  # all that one small message needs
_CACHE = "INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?, ?, ?)"
_CACHE_LATE = """INSERT OR IGNORE INTO cache SELECT ?1, ?2, ?3, ?4, ?5, ?6
    WHERE EXISTS (SELECT 1 FROM body WHERE id = ?1) OR EXISTS (SELECT 1 FROM blob WHERE id = ?1)"""


@dataclass(slots=True)
class _Prepared:
    size: int
    data: bytes | None  # None: in the file ``blob``
    blob: str
    cached: tuple[object, ...] | None  # a large message is parsed at once, while it is at hand


def cache_row(body: int, data: bytes, limits: parts.Limits, marks: list[int] | None = None) -> tuple[object, ...]:
    """The row of ``cache`` for a body."""
    derived = derive(data, limits, marks)
    body_at = derived.header_octets
    if derived.header is not None:
        fields = encode_lines(*derived.header)
    else:
        fields = encode_fields(data, header_stop(data, 0, body_at))
    return (body, derived.envelope, derived.body, derived.bodystructure, body_at, fields)


class Append:
    """The three parts of the job for the writer. Small messages are parsed later (``fresh``: body id → octets)."""

    def __init__(
        self,
        mailbox: int,
        messages: Sequence[NewMessage],
        blobs: BlobFolder,
        limits: Limits,
        mime: parts.Limits,
    ) -> None:
        self.mailbox = mailbox
        self.messages = messages
        self.blobs = blobs
        self.limits = limits
        self.fresh: dict[int, bytes] = {}
        self._mime_limits = mime
        self._ready: list[_Prepared] = []
        # Taken over now: the uploads belong to a caller that may be cancelled while the writer works.
        self._sources: list[bytes | tuple[int, str, int]] = []
        try:
            for message in messages:
                upload = message.upload
                if upload.path is not None and upload.size_octets > limits.store_body_inline_max:
                    self._sources.append((*upload.take_file(), upload.size_octets))
                else:
                    self._sources.append(upload.data())
        except BaseException:
            self.undo()
            raise

    def prepare(self) -> None:
        """Outside the transaction: line ends, large bodies to their files. Raises Unavailable, ReadOnly, OSError."""
        for n, source in enumerate(self._sources):
            self._sources[n] = b""
            if isinstance(source, bytes):
                self._ready.append(self._prepare(with_crlf(source)))
            else:
                self._ready.append(self._prepare_file(*source))
        self._sources = []

    def _prepare(self, data: bytes) -> _Prepared:
        if len(data) <= self.limits.store_body_inline_max:
            return _Prepared(len(data), data, "", None)
        cached = cache_row(0, data, self._mime_limits)
        return _Prepared(len(data), None, self.blobs.put(data), cached)

    def _prepare_file(self, fd: int, path: str, size_octets: int) -> _Prepared:
        """A large upload is in a file already: renamed when its line ends are right, else written again."""
        try:
            data = read_all(fd, size_octets)
            marks = lines.marks(data)
            if marks is None:
                os.close(fd)
                fd = -1
                _unlink(path)
                return self._prepare(with_crlf(data))
            cached = cache_row(0, data, self._mime_limits, marks)
            handed, fd = fd, -1
            return _Prepared(size_octets, None, self.blobs.adopt(handed, path), cached)
        except BaseException:
            if fd >= 0:
                os.close(fd)
            _unlink(path)
            raise

    def undo(self) -> None:
        """Nothing came of it: no file stays."""
        for source in self._sources:
            if not isinstance(source, bytes):
                os.close(source[0])
                _unlink(source[1])
        self._sources = []
        for each in self._ready:
            if each.blob:
                self.blobs.remove(each.blob)
        self._ready = []

    def run(self, tx: Transaction) -> AppendResult:
        """Inside the transaction. Raises NoSuchMailbox, LimitExceeded."""
        ready = self._ready
        size = ready[0].size if len(ready) == 1 else sum([each.size for each in ready])
        found = tx.boxes.get(self.mailbox) or tx.execute(_BOX, (self.mailbox,)).fetchone()
        if found is None:
            raise NoSuchMailbox("Mailbox doesn't exist any more")
        uidnext, uidvalidity, text = found
        after = uidnext + len(ready)
        self.fresh.clear()
        if after > MAX_UID:
            raise LimitExceeded("No UIDs are left in this mailbox")
        table = before = tuple(text.split()) if text else ()
        masks: array[int] = array("Q")
        for message in self.messages:
            if message.flags.keywords:
                table = flagbits.add_keywords(table, message.flags.keywords, self.limits)
            masks.append(flagbits.mask_of(table, message.flags))
        if table != before:
            set_keywords(tx, self.mailbox, table)
            text = " ".join(table)
        tx.boxes[self.mailbox] = (after, uidvalidity, text)
        uids = Ranges.span(uidnext, after - 1)
        modseq = tx.modseq + 1
        first_body = modseq << BODY_BITS
        count = (after, len(ready), size, self.mailbox)
        log = tx.note(self.mailbox, Kind.APPEND, uids, masks_octets(masks))
        first = ready[0]
        if len(ready) == 1 and first.data is not None:
            self.fresh[first_body] = first.data
            date = self.messages[0].internal_date
            row = (self.mailbox, uidnext, first_body, tx.now if date is None else date, tx.now, size, masks[0])
            tx.execute(_SMALL_ONE, (*count, first_body, first.data, *row, *log))
            durable.crash_point("store-append")
            return AppendResult(uidvalidity, uids, modseq)
        tx.execute(_COUNT, count)
        for n, each in enumerate(ready):
            body = first_body + n
            if each.data is not None:
                tx.execute(_BODY, (body, each.data))
                self.fresh[body] = each.data
            else:
                tx.execute(_BLOB, (body, each.blob))
            if each.cached is not None:
                tx.execute(_CACHE, (body, *each.cached[1:]))
            date = self.messages[n].internal_date
            row = (self.mailbox, uidnext + n, body, tx.now if date is None else date, tx.now, each.size, masks[n])
            tx.execute(_MESSAGE, row)
        durable.crash_point("store-append")
        tx.execute(LOG, log)
        return AppendResult(uidvalidity, uids, modseq)


def keep_cache_rows(tx: Transaction, rows: list[tuple[object, ...]]) -> None:
    """Store what was derived later; not for bodies that are gone by now."""
    tx.executemany(_CACHE_LATE, rows)


def set_keywords(tx: Transaction, mailbox: int, table: tuple[str, ...]) -> None:
    """The mailbox's keyword table grew."""
    text = " ".join(table)
    tx.execute("UPDATE mailbox SET keywords = ? WHERE id = ?", (text, mailbox))
    tx.log(mailbox, Kind.KEYWORDS, data=text.encode())


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
