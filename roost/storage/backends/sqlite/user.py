"""One session of a user: ``roost.storage.api.User`` over a ``Store``."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from roost.errors import NoSuchMailbox
from roost.storage import names
from roost.storage.api import MailboxInfo
from roost.storage.backends.sqlite import mailboxes
from roost.storage.backends.sqlite.copy import copy, plan_copy
from roost.storage.backends.sqlite.mailbox import SqliteMailbox
from roost.storage.backends.sqlite.store import Store
from roost.storage.backends.sqlite.transaction import Transaction
from roost.storage.columns import Columns
from roost.storage.upload import Upload
from roost.util.ranges import Ranges


class SqliteUser:
    """Cheap: it holds the store, which may be open or not."""

    __slots__ = ("append_limit", "store", "username")

    def __init__(self, store: Store, username: str, append_limit: int | None) -> None:
        self.store = store
        self.username = username
        self.append_limit = append_limit

    async def _open(self) -> Store:
        store = self.store
        if not store.ready:
            await store.open()
        store.refresh()
        return store

    async def list_mailboxes(self, *, subscribed: bool = False) -> Sequence[MailboxInfo]:
        store = await self._open()
        subscriptions = store.subscriptions()
        parents = names.with_children(store.names)
        out = []
        for name in sorted(subscriptions if subscribed else store.names, key=names.sort_key):
            box = store.names.get(name)
            if box is not None:
                out.append(box.info(subscribed=name in subscriptions, has_children=name in parents))
            else:
                out.append(MailboxInfo(name, "", attributes=frozenset({"\\NonExistent"}), subscribed=True,
                                       has_children=name in parents))  # fmt: skip
        return out

    async def get_mailbox(self, name: str) -> SqliteMailbox:
        store = self.store
        if not store.ready:
            await store.open()
        store.refresh()
        box = store.names.get(name) or store.names.get(names.canonical(name))
        if box is None or not box.selectable:
            raise NoSuchMailbox("Mailbox doesn't exist")
        return SqliteMailbox(self, box)

    async def create_mailbox(self, name: str, *, special_use: Collection[str] = ()) -> MailboxInfo:
        store = await self._open()
        limits = store.backend.limits
        stored = await store.submit(lambda tx: mailboxes.create(tx, name, special_use, limits))
        await self._open()
        box = store.names.get(stored)
        if box is None:
            raise NoSuchMailbox("Mailbox was deleted meanwhile")
        parents = names.with_children(store.names)
        return box.info(subscribed=stored in store.subscriptions(), has_children=stored in parents)

    async def delete_mailbox(self, name: str) -> None:
        store = await self._open()
        await store.submit(lambda tx: mailboxes.delete(tx, name))
        await self._open()
        store.care.collect_soon()

    async def rename_mailbox(self, existing: str, new: str) -> None:
        store = await self._open()
        limits = store.backend.limits
        if names.canonical(existing) != names.INBOX:
            await store.submit(lambda tx: mailboxes.rename(tx, existing, new, limits))
        else:
            await self._rename_inbox(store, new)
        await self._open()

    async def _rename_inbox(self, store: Store, new: str) -> None:
        """Its messages move to a new mailbox, in one change."""

        def run(tx: Transaction, columns: Columns) -> None:
            inbox, target = mailboxes.rename_inbox(tx, new, store.backend.limits)
            plan = plan_copy(columns, Ranges.span(1, (1 << 32) - 1))
            copy(tx, inbox, plan, target, store.backend.limits, move=True)

        await store.change(store.names[names.INBOX], Columns.copy, run)

    async def set_subscribed(self, name: str, subscribed: bool) -> None:
        store = await self._open()
        limits = store.backend.limits
        await store.submit(lambda tx: mailboxes.subscribe(tx, name, subscribed, limits))

    def new_upload(self, size_octets: int) -> Upload:
        store = self.store
        return Upload(
            size_octets,
            memory_octets=store.backend.limits.store_body_inline_max,
            folder=store.blobs.upload_folder,
            limit_octets=self.append_limit,
        )

    async def logout(self) -> None:
        """Nothing is held for a session."""
