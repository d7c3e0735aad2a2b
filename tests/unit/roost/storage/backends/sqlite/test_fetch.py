"""FETCH of messages that are not parsed yet, while the writer parses them or somebody removes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from roost.storage.api import Backend, BackendContext, FetchRequest, Items, MessageBatch
from roost.storage.backends import open_backend
from roost.storage.backends.sqlite.append import cache_row
from roost.storage.backends.sqlite.mailbox import SqliteMailbox
from roost.storage.backends.sqlite.store import Store
from roost.testing.backend.harness import ALL, Harness, Scene, scenario


class Between:
    """Does something between the first and the second statement of a store."""

    def __init__(self, store: Store, action: Any) -> None:
        self.store, self.action, self.query = store, action, store.query
        store.query = self  # type: ignore[method-assign]  # the seam this test needs

    def __call__(self, sql: str, args: tuple[Any, ...] = ()) -> list[Any]:
        rows = self.query(sql, args)
        action, self.action = self.action, None
        if action is not None:
            action()
        return rows


class TestRaces(Harness):
    def make_backend(self, folder: Path, context: BackendContext) -> Backend:
        return open_backend("sqlite", context)

    async def fetch(self, scene: Scene, sql: tuple[str, ...], *, parse: bool) -> list[MessageBatch]:
        mailbox = await scene.inbox()
        assert isinstance(mailbox, SqliteMailbox)
        await scene.fill(mailbox, 3)
        store = mailbox._store

        def meanwhile() -> None:
            assert store.connection is not None
            for statement in sql:
                store.connection.execute(statement)
            if parse:
                rows = store.query("SELECT m.body, b.data FROM message m JOIN body b ON b.id = m.body")
                limits = store.backend.mime_limits
                store.keep_cache_rows([cache_row(body, data, limits) for body, data in rows])

        store.connection.execute("DELETE FROM cache") if store.connection is not None else None
        Between(store, meanwhile)
        request = FetchRequest(Items.ENVELOPE | Items.FLAGS, (b"subject",))
        return [batch async for batch in mailbox.list_messages(ALL, request)]

    @scenario
    async def test_parsed_meanwhile_by_the_writer(self, scene: Scene) -> None:
        (batch,) = await self.fetch(scene, (), parse=True)
        assert list(batch.uids) == [1, 2, 3]
        assert batch.envelopes is not None and all(batch.envelopes)
        assert batch.headers is not None and all(b"Subject" in header for header in batch.headers)

    @scenario
    async def test_removed_meanwhile_by_another_process(self, scene: Scene) -> None:
        (batch,) = await self.fetch(scene, ("DELETE FROM message WHERE uid = 2",), parse=False)
        assert list(batch.uids) == [1, 3]
        assert batch.envelopes is not None and len(batch.envelopes) == 2 and all(batch.envelopes)
        assert batch.flags is not None and len(batch.flags) == 2

    @scenario
    async def test_all_removed_meanwhile(self, scene: Scene) -> None:
        assert await self.fetch(scene, ("DELETE FROM message",), parse=False) == []
