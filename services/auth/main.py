"""The auth room in its process: built from the configuration, one connection object for each accepted client."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from roost.errors import ConfigError
from roost.ipc.anvil import PENALTY_SOCKET
from roost.net.connection import Connection
from roost.proc.contract import ListenerInfo
from roost.sasl import MECHANISMS
from roost.sasl.base import Surroundings
from roost.settings.schema.anvil import AnvilSettings
from roost.settings.schema.auth import AuthSettings
from roost.settings.schema.logging import LoggingSettings
from roost.settings.schema.master import MasterSettings
from roost.settings.schema.policy import AuthPolicyHttpSettings, AuthPolicySettings
from roost.settings.schema.services import UnixListener
from roost.worker.service import Service, Worker
from services.auth.build import Builder
from services.auth.client import ClientConnection
from services.auth.core import Authenticator, Verdict
from services.auth.failures import FailureQueue
from services.auth.hashing import Hasher
from services.auth.http_settings import http_settings
from services.auth.lookups import LookupConnection
from services.auth.penalty import PenaltyKeeper
from services.auth.policy import Policy
from services.auth.remembered import Caching
from services.auth.request import Request, State
from services.auth.short import ShortWay
from services.auth.tokens import TokenMaker
from services.auth.workers.naming import hashes
from services.auth.workers.pool import WorkerPool

SWEEP_SECS = 5.0
DRAIN_SECS = 5.0
AUTH_WORKER = "auth-worker"
CLIENT_TYPES = ("auth", "login", "auth-legacy")
LOOKUP_TYPES = ("master", "userdb")


class AuthRoom:
    """What all connections share."""

    def __init__(
        self,
        worker: Worker,
        settings: AuthSettings,
        core: Authenticator,
        hasher: Hasher,
        short: ShortWay,
        workers: WorkerPool,
    ) -> None:
        self.loop = worker.loop
        self.log = worker.log
        self.pid = worker.pid
        self.settings = settings
        self.adopt = worker.adopt
        self.entropy = os.urandom
        self.surroundings = Surroundings(os.urandom, time.time, os.uname().nodename, realms=settings.auth_realms)
        self.checks_certificates = settings.auth_ssl_require_client_cert or settings.auth_ssl_username_from_cert
        self.clients: set[ClientConnection] = set()
        self.lookups: set[LookupConnection] = set()
        self.by_cpid: dict[int, ClientConnection] = {}
        self.mechanism_flags = _mechanisms(settings)
        self.hasher = hasher
        self.workers = workers
        self.core = core
        self.short = short
        self.caching: Caching | None = None
        self.penalties = _penalties(worker)
        worker.spawn(self.penalties.start(), "penalties")
        self.end: Callable[[], Awaitable[None]] = _nothing  # what drivers hold
        self.tokens = TokenMaker(worker.config.section(MasterSettings).state_dir, os.urandom)
        self._random = random.SystemRandom()
        self.failures = FailureQueue(
            worker.loop,
            delay_secs=settings.auth_failure_delay_secs,
            limit=settings.auth_failure_queue_limit,
            random=self._random,
        )
        self.internal: set[Request] = set()  # internal failures and others that wait for a delay of their own
        self._cuid = 0
        worker.every(min(SWEEP_SECS, settings.auth_request_timeout_secs / 2), self._sweep)

    def next_cuid(self) -> int:
        self._cuid = self._cuid % 0xFFFFFFFF + 1
        return self._cuid

    def connection(self, listener: ListenerInfo) -> Connection:
        kind = type_of(listener)
        if kind in LOOKUP_TYPES:
            return LookupConnection(self, master=kind == "master", socket_path=listener.path)
        return ClientConnection(self, login=kind == "login", legacy=kind == "auth-legacy")

    def hold_internal(self, request: Request) -> None:
        """An internal failure waits its own delay, up to half longer, so that a sick database is not hammered."""
        delay_secs = self.settings.auth_internal_failure_delay_msecs / 1000
        if delay_secs <= 0 or len(self.internal) >= self.settings.auth_failure_queue_limit:
            request.release()
            return
        self.internal.add(request)
        request.timer = self.loop.call_later(delay_secs * (1 + self._random.random() / 2), request.release)

    def hold_until(self, request: Request, verdict: Verdict, wait_secs: float) -> None:
        """A field of a passdb wants the answer later (``delay_until``), a success too."""
        request.delayed = verdict
        request.state = State.HELD
        self.internal.add(request)
        request.timer = self.loop.call_later(wait_secs, request.release)

    async def drain(self, *, politely: bool) -> None:
        """Answer what is held back or at work, then close every connection: our clients reconnect to the next process.

        Conversations that wait for their client get DRAIN_SECS, unless the process is to stop at once.
        """
        policy = self.core.policy
        if policy is not None:
            policy.end()
        patience = self.loop.time() + (0 if politely else DRAIN_SECS)
        while True:
            self.failures.flush()
            for request in list(self.internal):
                request.release()
            unfinished = [request for client in self.clients for request in client.requests.values()]
            working = any(request.state is State.WORKING for request in unfinished)
            if not working and (not unfinished or self.loop.time() >= patience):
                break
            await asyncio.sleep(0.02)
        for connection in (*self.clients, *self.lookups):
            connection.close()
        self.workers.close()
        await self.penalties.stop()
        if policy is not None:
            await policy.close()
        await self.end()
        self.hasher.close()

    def _sweep(self) -> None:
        before = self.loop.time() - self.settings.auth_request_timeout_secs
        for client in list(self.clients):
            client.expire(before)


def type_of(listener: ListenerInfo) -> str:
    """The listener's type: given, or the part of its name after the last ``-``; anything unknown is ``auth``."""
    kind = listener.type or listener.name.rpartition("/")[2].rpartition("-")[2]
    return kind if kind in CLIENT_TYPES + LOOKUP_TYPES else "auth"


async def _nothing() -> None:
    """There are no drivers to end."""


def _told(builder: Builder, what: str) -> str:
    """What the first database that verifies tokens and has this text wants clients to know (``TokenVerifier``)."""
    verifiers = (row.token_verifier for row in builder.passdbs("").rows)
    return next((text for one in verifiers if one is not None and (text := str(getattr(one, what, "")))), "")


def _mechanisms(settings: AuthSettings) -> Mapping[str, frozenset[str]]:
    """The offered mechanisms and their flags. Raises ConfigError."""
    chosen: dict[str, frozenset[str]] = {}
    for name in settings.auth_mechanisms:
        mechanism = MECHANISMS.get(name.upper())
        if mechanism is None:
            raise ConfigError(f"Unknown authentication mechanism '{name}'", key="auth_mechanisms")
        if "anonymous" in mechanism.flags and not settings.auth_anonymous_username:
            raise ConfigError(f"{mechanism.name} needs a user's name", key="auth_anonymous_username")
        chosen[mechanism.name] = mechanism.flags
    if not chosen:
        raise ConfigError("No authentication mechanisms configured", key="auth_mechanisms")
    return chosen


async def start(worker: Worker) -> AuthRoom:
    """Raises ConfigError when the configuration makes no sense."""
    config = worker.config
    settings = config.section(AuthSettings, service="auth")
    logging = config.section(LoggingSettings, service="auth")
    hasher = Hasher(worker.loop, threads=settings.auth_worker_threads, limit=settings.auth_worker_queue_limit)
    workers = _workers(worker, settings)
    builder = Builder(config, settings, logging, hasher, worker.offload, worker.log, workers)
    await builder.check()
    if "external" in settings.auth_mechanisms and not settings.auth_ssl_username_from_cert:
        worker.log.warning("EXTERNAL lets nobody in: auth_ssl_username_from_cert = no, so certificates name nobody")
    policy = builder.core.policy = _policy(worker)
    short = ShortWay(
        settings, builder.passdbs, builder.userdbs, debug=logging.auth_debug, told_to_others=policy is not None
    )
    room = AuthRoom(worker, settings, builder.core, hasher, short, workers)
    room.caching = builder.caching
    room.end = builder.close
    scope, openid_configuration = _told(builder, "scope"), _told(builder, "openid_configuration")
    room.surroundings = replace(room.surroundings, scope=scope, openid_configuration=openid_configuration)
    return room


def _penalties(worker: Worker) -> PenaltyKeeper:
    """Of addresses; none when the service anvil has no socket for them (``mode = 0``)."""
    service = worker.config.services.get("anvil")
    listeners = service.listeners if service is not None else ()
    path = next((one.path for one in listeners if isinstance(one, UnixListener) and one.type == PENALTY_SOCKET), "")
    limit = worker.config.section(AnvilSettings).anvil_max_penalties
    return PenaltyKeeper(path, worker.log, limit=limit, pid=worker.pid, now=time.time)


def _policy(worker: Worker) -> Policy | None:
    """Who else has a say, if anybody has. Raises ConfigError."""
    settings = worker.config.section(AuthPolicySettings)
    if not settings.auth_policy_server_url:
        return None
    from roost.clients.http.client import HttpClient

    http = worker.config.element(AuthPolicyHttpSettings, (("auth_policy", ""),))
    client = HttpClient(http_settings(http), worker.log)
    return Policy(settings, client, lambda report: worker.spawn(report, "policy report"))


def _workers(worker: Worker, settings: AuthSettings) -> WorkerPool:
    """The way to the service auth-worker; no process is started before the first question."""
    config = worker.config
    service = config.services.get(AUTH_WORKER)
    return WorkerPool(
        worker.loop,
        worker.log,
        os.path.join(config.section(MasterSettings).base_dir, settings.auth_worker_socket_path),
        limit=service.process_limit if service is not None else 1,
        queue_limit=settings.auth_worker_queue_limit,
        timeout_secs=settings.auth_worker_request_timeout_secs,
        idle_secs=settings.auth_worker_idle_timeout_secs,
        hashes=hashes(config),
    )


SERVICE = Service("auth", start)
