"""The octets of messages: small ones are rows, large ones files under ``blobs/``; and their removal.

A file is complete, synced and named in a synced folder before the transaction that mentions it begins. A file that no
row names is what a crash left; ``sweep`` removes it when it is old enough to belong to nobody.
"""

from __future__ import annotations

import os
import re
import time

from roost import durable
from roost.errors import Corrupt, MessagesGone, RoostError
from roost.storage.backends.sqlite.connection import translate_os
from roost.storage.backends.sqlite.transaction import Transaction

BLOB_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}")
ORPHAN_SECS = 3600
SHARD_FILES = 64
COLLECT_ROWS = 200  # bodies looked at in one transaction of the collector

READ_CHUNK_OCTETS = 1 << 20


class BlobFolder:
    """``blobs/`` beside the database: folders named by two hexadecimal digits, files in them by 32."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._left = 0  # files that still go into the current folder
        self._durable: set[str] = set()  # shards whose own name is known to be on the disk
        self._turn()

    def _turn(self) -> None:
        """A random folder, kept for a while, as one that is new must be synced in its parent."""
        self.shard, self._left = os.urandom(1).hex(), SHARD_FILES
        self.upload_folder = os.path.join(self.path, self.shard)  # a large message arrives where it will stay

    def _next(self, shard: str) -> str:
        """A fresh name in ``shard``, whose folder is there and durable. Raises OSError."""
        self._left -= 1
        if self._left <= 0:
            self._turn()
        folder = os.path.join(self.path, shard)
        if shard not in self._durable or not os.path.isdir(folder):
            durable.make_folder(folder)
            durable.sync_folder(self.path)  # another process may have made it just now
            durable.sync_folder(os.path.dirname(self.path))
            self._durable.add(shard)
        return f"{shard}/{os.urandom(16).hex()}"

    def put(self, data: bytes) -> str:
        """Store octets durably under a fresh name; the name. Raises Unavailable, ReadOnly."""
        try:
            name = self._next(self.shard)
            target = os.path.join(self.path, name)
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                durable.write_all(fd, data)
                durable.crash_point("store-blob-written")
                os.fsync(fd)
            except BaseException:
                self.remove(name)
                raise
            finally:
                os.close(fd)
            durable.crash_point("store-blob-synced")
            durable.sync_folder(os.path.dirname(target))
        except OSError as exc:
            raise translate_os(exc, self.path) from exc
        durable.crash_point("store-blob-named")
        return name

    def adopt(self, fd: int, path: str) -> str:
        """Like ``put`` for octets that are in a file of this file system already; takes the descriptor over.

        Renamed before the syncs: where names go to the disk with the file (ext4), one journal commit is enough.
        """
        folder, shard = os.path.split(os.path.dirname(path))
        try:
            try:
                durable.crash_point("store-blob-written")
                name = self._next(shard if folder == self.path else self.shard)
                target = os.path.join(self.path, name)
                os.rename(path, target)
                try:
                    os.fsync(fd)
                    durable.crash_point("store-blob-synced")
                    durable.sync_folder(os.path.dirname(target))
                except BaseException:
                    self.remove(name)
                    raise
            finally:
                os.close(fd)
        except OSError as exc:
            raise translate_os(exc, self.path) from exc
        durable.crash_point("store-blob-named")
        return name

    def remove(self, name: str) -> None:
        """Harmless when it is gone already."""
        try:
            os.unlink(os.path.join(self.path, name))
        except OSError:
            pass

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Raises Corrupt when the file is missing or short, Unavailable."""
        target = os.path.join(self.path, name)
        if not BLOB_NAME.fullmatch(name):
            raise Corrupt("The mail store is damaged", detail=f"{self.path}: blob named {name!r}")
        try:
            fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                parts = []
                while start < stop:
                    part = os.pread(fd, min(stop - start, READ_CHUNK_OCTETS), start)
                    if not part:
                        raise Corrupt("The mail store is damaged", detail=f"{target}: shorter than its message")
                    parts.append(part)
                    start += len(part)
            finally:
                os.close(fd)
        except FileNotFoundError as exc:
            raise Corrupt("The mail store is damaged", detail=f"{target}: missing") from exc
        except OSError as exc:
            raise translate_os(exc, target) from exc
        return b"".join(parts)

    def sweep(self, named: set[str]) -> int:
        """Remove old files that are not ``named`` by any row; how many."""
        old = []
        deadline = time.time() - ORPHAN_SECS
        try:
            for folder in os.scandir(self.path):
                for item in os.scandir(folder) if folder.is_dir(follow_symlinks=False) else ():
                    name = f"{folder.name}/{item.name}"
                    ours = BLOB_NAME.fullmatch(name) or item.name.endswith(".tmp")
                    if ours and item.stat(follow_symlinks=False).st_mtime < deadline:
                        old.append(name)
        except OSError:
            return 0
        orphans = [name for name in old if name not in named]
        for name in orphans:
            self.remove(name)
        return len(orphans)


def gone() -> RoostError:
    return MessagesGone("The message was expunged by another session")


def collect(tx: Transaction) -> tuple[int, list[str]]:
    """Free bodies whose messages are gone, a bounded number; (rows looked at, files to remove after the commit)."""
    files = []
    rows = tx.execute("SELECT id, body FROM garbage ORDER BY id LIMIT ?", (COLLECT_ROWS,)).fetchall()
    for _, body in rows:
        more = tx.value("SELECT more FROM shared WHERE body = ?", body)
        if more is not None:
            if more > 1:
                tx.execute("UPDATE shared SET more = more - 1 WHERE body = ?", (body,))
            else:
                tx.execute("DELETE FROM shared WHERE body = ?", (body,))
            continue
        name = tx.value("DELETE FROM blob WHERE id = ? RETURNING name", body)
        if name is not None:
            files.append(name)
        else:
            tx.execute("DELETE FROM body WHERE id = ?", (body,))
        tx.execute("DELETE FROM cache WHERE body = ?", (body,))
    if rows:
        durable.crash_point("store-collect")
        tx.execute("DELETE FROM garbage WHERE id <= ?", (rows[-1][0],))
    return len(rows), files
