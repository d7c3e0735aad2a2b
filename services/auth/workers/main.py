"""The service auth-worker: answers the auth room's questions to databases that are better asked elsewhere."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from roost.auth.api import Query
from roost.ipc import auth_worker as wire
from roost.net.connection import Connection
from roost.proc.contract import ListenerInfo
from roost.settings.schema.auth import AuthSettings
from roost.settings.schema.logging import LoggingSettings
from roost.worker.service import Service, Worker
from services.auth import scripts
from services.auth.build import Builder
from services.auth.hashing import Hasher
from services.auth.schemes import ALL_SCHEMES, SCHEMES, BadHash, parse
from services.auth.workers.databases import DatabasesOfWorker
from services.auth.workers.naming import hashes
from services.auth.workers.serving import WorkerConnection
from services.auth.workers.watchdog import Watchdog

NO_SCHEME = "CRYPT"  # of a stored password that names none


class WorkerRoom:
    """What all connections share; as a rule there is one, for the service's ``client_limit`` is 1."""

    def __init__(self, worker: Worker, settings: AuthSettings, logging: LoggingSettings) -> None:
        self.loop = worker.loop
        self.log = worker.log
        self.adopt = worker.adopt
        self.hashes = hashes(worker.config)
        self.process_limit = worker.service.process_limit
        self._connections: set[WorkerConnection] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self.max_requests = settings.auth_worker_max_requests
        self.served = 0
        self._retired = False
        self._worn_out = False
        self.watchdog = Watchdog(
            worker.loop,
            worker.log,
            stuck_secs=settings.auth_worker_stuck_secs,
            call_secs=settings.auth_worker_request_timeout_secs,
        )
        self._hasher = Hasher(worker.loop, threads=1, limit=settings.auth_worker_queue_limit)
        self._schemes = ALL_SCHEMES if settings.auth_allow_weak_schemes else SCHEMES
        offload = self.watchdog.offload(worker.offload)
        builder = Builder(worker.config, settings, logging, self._hasher, offload, worker.log)  # type: ignore[arg-type]  # watched, the same call
        self.databases = DatabasesOfWorker(worker.config, builder)

    def connection(self, listener: ListenerInfo) -> Connection:
        return WorkerConnection(self)

    def entered(self, connection: WorkerConnection) -> None:
        self._connections.add(connection)
        self._empty.clear()

    def left(self, connection: WorkerConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    async def compare(self, stored_text: str, password: bytes, query: Query) -> int:
        """The result of PASSW."""
        try:
            stored = parse(stored_text, self._schemes, NO_SCHEME).of_user(query.user)
            matches = await self._hasher.verify(stored, password, "")
        except BadHash:
            return wire.RESULT_SCHEME
        return wire.RESULT_OK if matches else wire.RESULT_MISMATCH

    def has_served(self) -> bool:
        """Count a reply; True when this process has done enough and wants to be replaced."""
        self.served += 1
        return self._retired or self._worn_out or 0 < self.max_requests <= self.served

    def wear_out(self) -> None:
        """This process is not to be trusted much longer: it is replaced after the next reply."""
        self._worn_out = True

    def bound(self, max_requests: int) -> None:
        """A driver wants its process replaced after so many requests; 0: it does not care."""
        if max_requests and (not self.max_requests or max_requests < self.max_requests):
            self.max_requests = max_requests

    def retire(self) -> None:
        """No new connections; the process ends when the present ones do."""
        if not self._retired:
            self._retired = True
            os.kill(os.getpid(), signal.SIGQUIT)

    async def drain(self, *, politely: bool) -> None:
        """The auth room leaves by itself when it has no more questions; politely: it is sent away."""
        if politely:
            for connection in tuple(self._connections):
                connection.close()
        await self._empty.wait()
        await self.databases.close()
        self.watchdog.rest()
        self._hasher.close()


async def start(worker: Worker) -> WorkerRoom:
    config: Any = worker.config
    return WorkerRoom(
        worker,
        config.section(AuthSettings, service=worker.service.name),
        config.section(LoggingSettings, service=worker.service.name),
    )


SERVICE = Service("auth-worker", start)
PRECHECK = scripts  # what the master asks before a start or reload counts (master/precheck.py)
