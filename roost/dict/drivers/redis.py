"""redis: keys of a Redis or Valkey server; the door to the package ``redis`` (extra ``[redis]``).

Keys are written as Dovecot's driver does: ``PREFIX`` + ``NAME`` for ``shared/NAME``, ``PREFIX`` + ``USER/NAME`` for
``priv/NAME``. There ``shared/alice/x`` and alice's ``priv/x`` are one key; ``redis_full_keys = yes`` keeps them apart.
A transaction is MULTI … EXEC; the numbers to be increased are watched, so that an absent one is found before anything
is done. What is acknowledged is as durable as the server's ``appendfsync`` makes it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError, WatchError
from redis.exceptions import TimeoutError as Late

from roost.dict.api import COMMITTED, Batch, CommitResult, Flags, Key, Kind, Outcome, Surroundings, Values, increased
from roost.dict.keys import PRIVATE, SHARED, escape_user, selected
from roost.errors import Unavailable
from roost.settings.schema.dict import DictSettings

SCAN_COUNT = 1000  # keys looked at by one SCAN, values fetched by one MGET
LONGEST_PAUSE_SECS = 0.02  # before trying again after another writer was faster
LOST = (Disconnected, Late, OSError)
GLOB = str.maketrans({char: "\\" + char for char in "*?[]^\\"})


class RedisDriver:
    loop_bound = True

    def __init__(self, settings: DictSettings, surroundings: Surroundings) -> None:
        self._settings = settings
        self._timeout_secs = settings.redis_request_timeout_msecs / 1000
        options: dict[str, Any] = {"host": settings.redis_host, "port": settings.redis_port}
        kind: type[Connection] | type[UnixDomainSocketConnection] = Connection
        if settings.redis_socket_path:
            kind = UnixDomainSocketConnection
            options = {"path": os.path.join(surroundings.base_dir, settings.redis_socket_path)}
        pool = BlockingConnectionPool(
            settings.redis_connections,
            self._timeout_secs,
            kind,
            protocol=2,  # RESP2: all that is needed, and no HELLO that an older server refuses
            db=settings.redis_db_id,
            password=settings.redis_password or None,
            socket_timeout=self._timeout_secs,
            socket_connect_timeout=self._timeout_secs,
            retry=Retry(NoBackoff(), 0),  # what may have been done is never sent a second time
            **options,
        )
        self._client: Redis = Redis(connection_pool=pool)

    async def lookup(self, key: Key, user: str) -> Values | None:
        try:
            value = await self._client.get(self._name(key))
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from None
        return None if value is None else (_octets(value),)

    async def rows(self, path: Key, flags: Flags, user: str, limit: int) -> Sequence[tuple[Key, Values]]:
        if Flags.EXACT_KEY in flags and Flags.RECURSE not in flags:
            values = await self.lookup(path, user)
            return [] if values is None else [(path, values)]
        start = len(self._name(path._replace(path="")))
        pattern = self._name(path).decode("utf-8", "surrogateescape").translate(GLOB) + "*"
        found: dict[Key, Values] = {}
        cursor = 0
        try:
            while True:
                cursor, names = await self._client.scan(cursor, pattern.encode("utf-8", "surrogateescape"), SCAN_COUNT)
                keys = [Key(path.user, _octets(name)[start:].decode("utf-8", "surrogateescape")) for name in names]
                keys = [key for key in keys if selected(path, key, flags)]
                if keys:
                    answers = await self._client.mget([self._name(key) for key in keys])
                    for key, value in zip(keys, answers, strict=True):
                        if value is not None:  # gone in between, or of another kind
                            found[key] = (_octets(value),)
                if not cursor or len(found) >= limit:
                    return list(found.items())[:limit]
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from None

    async def apply(self, batch: Batch) -> CommitResult:
        expire_secs = batch.expire_secs or self._settings.redis_expire_secs
        pause = 0.0005
        try:
            async with asyncio.timeout(self._timeout_secs):
                while True:
                    result = await self._attempt(batch, expire_secs)
                    if result is not None:
                        return result
                    await asyncio.sleep(random.uniform(0, pause))
                    pause = min(pause * 1.5, LONGEST_PAUSE_SECS)
        except TimeoutError:
            return CommitResult(Outcome.UNCERTAIN, f"Commit timed out in {self._timeout_secs:.3f} secs")

    async def close(self) -> None:
        await self._client.aclose(close_connection_pool=True)

    async def _attempt(self, batch: Batch, expire_secs: int) -> CommitResult | None:
        """None: another writer changed a number in the meantime."""
        numbers = list(dict.fromkeys(change.key for change in batch.changes if change.kind is Kind.INC))
        sent = False
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                if numbers:
                    names = [self._name(key) for key in numbers]
                    await pipe.watch(*names)
                    answers = await pipe.mget(names)
                    present = {
                        key: None if value is None else _octets(value)
                        for key, value in zip(numbers, answers, strict=True)
                    }
                    wrong = _refused(batch, present)
                    if wrong is not None:
                        return wrong
                    pipe.multi()  # type: ignore[no-untyped-call]  # so in the package
                for kind, key, value, diff in batch.changes:
                    name = self._name(key)
                    if kind is Kind.SET:
                        pipe.set(name, value, ex=expire_secs or None)
                    elif kind is Kind.UNSET:
                        pipe.delete(name)
                    else:
                        pipe.incrby(name, diff)
                        if expire_secs:
                            pipe.expire(name, expire_secs)
                sent = True
                await pipe.execute()
                return COMMITTED
        except WatchError:
            return None
        except (RedisError, OSError) as error:
            uncertain = sent and isinstance(error, LOST) and "connecting to" not in str(error)
            return CommitResult(Outcome.UNCERTAIN if uncertain else Outcome.FAILED, f"redis: {error}")

    def _name(self, key: Key) -> bytes:
        prefix = self._settings.redis_key_prefix
        if key.user:
            middle = escape_user(key.user) + "/"
            middle = PRIVATE + middle if self._settings.redis_full_keys else middle
        else:
            middle = SHARED if self._settings.redis_full_keys else ""
        return (prefix + middle + key.path).encode("utf-8", "surrogateescape")

    def _unavailable(self, error: Exception) -> Unavailable:
        return Unavailable("The dict cannot be read", detail=f"redis: {error}")


def _octets(answer: bytes | str) -> bytes:
    """The client is not asked to decode, so it is octets always; its types do not know."""
    assert isinstance(answer, bytes)
    return answer


def _refused(batch: Batch, present: dict[Key, bytes | None]) -> CommitResult | None:
    """Whether a number of the batch is missing or cannot be changed, with the changes before it done."""
    now = dict(present)
    for kind, key, value, diff in batch.changes:
        if kind is not Kind.INC:
            now[key] = value if kind is Kind.SET else None
            continue
        old = now[key]
        if old is None:
            return CommitResult(Outcome.NOTFOUND, f"{key.full} doesn't exist")
        now[key] = increased(old, diff)
        if now[key] is None or old != old.strip().lstrip(b"+"):  # INCRBY takes plain numbers only
            return CommitResult(Outcome.FAILED, f"{key.full} is no number that can be changed by {diff}")
    return None


def open_redis(settings: DictSettings, surroundings: Surroundings) -> RedisDriver:
    return RedisDriver(settings, surroundings)
