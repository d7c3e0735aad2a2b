"""A worker's life after the fork: settings → keys → privileges → loop → room → READY → clients → drain → exit code.

``main`` is what the master calls in a child; ``standalone`` runs a room without a master, for tests and by hand. The
part on the loop is ``roost/worker/life.py``.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from roost.errors import ConfigError, Unavailable
from roost.events.log import SINK, Log
from roost.net.tls import ServerTls
from roost.proc import privileges
from roost.proc.contract import (
    EXIT_CANNOT_BOOT,
    EXIT_CONFIG,
    EXIT_TEMPORARY,
    FD_DEAD_MASTER,
    FD_STATUS,
    ChildContext,
    ListenerInfo,
)
from roost.proc.title import set_title
from roost.settings.schema.logging import LoggingSettings
from roost.settings.schema.master import MasterSettings
from roost.settings.schema.ssl import SslSettings
from roost.worker.life import Life, Parent
from roost.worker.loop import new_loop
from roost.worker.openings import Opening, implicit_tls, proxied
from roost.worker.service import Service, Worker

if TYPE_CHECKING:
    from roost.settings import Config
    from roost.settings.schema.services import ServiceSettings

GC_THRESHOLDS = (20_000, 20, 50)  # sessions are few long-lived objects; the default would walk them all the time


def main(child: ChildContext) -> int:
    """The whole life of a child; returns its exit code (``roost/proc/contract.py``)."""
    log = Log(f"{child.service.name}: ")
    SINK.framed = True
    os.set_blocking(SINK.fd, False)  # a pipe of our own: a log that is full must not stop us
    SINK.debug = wants_debug(child.config.section(LoggingSettings, service=child.service.name), child.service.name)
    parent = Parent(FD_STATUS, FD_DEAD_MASTER, child.generation)

    def title(state: str) -> None:
        if child.verbose_proctitle:
            set_title(child.instance_name, child.service.name, state)

    try:
        service: Service = importlib.import_module(child.module).SERVICE
        tls = read_keys(child.config, child.service, child.listeners, log)
        set_title(child.instance_name, child.service.name)
        privileges.drop(child.privileges)
    except ConfigError as error:
        log.fatal(str(error))
        return EXIT_CONFIG
    except Exception as error:
        log.exception("Cannot start", exc=error)
        return EXIT_CANNOT_BOOT
    return _live(service, child.config, child.service, child.listeners, tls, log, parent, title)


def standalone(
    service: Service,
    config: Config,
    listeners: Sequence[ListenerInfo],
    *,
    settings: ServiceSettings | None = None,
    tls: ServerTls | None = None,
) -> int:
    """Run a room without a master until TERM or INT; plain text on stderr, no status, no privileges dropped.

    ``listeners`` carry listening sockets' descriptors (``listener_info``). ``settings`` and ``tls`` default to what the
    configuration says.
    """
    settings = settings if settings is not None else config.services[service.name]
    log = Log(f"{service.name}: ")
    try:
        tls = tls or read_keys(config, settings, listeners, log)
    except ConfigError as error:
        log.fatal(str(error))
        return EXIT_CONFIG
    return _live(service, config, settings, listeners, tls, log, None, lambda _state: None)


def listener_info(
    sock: socket.socket, name: str, *, type: str = "", ssl: bool = False, haproxy: bool = False
) -> ListenerInfo:
    """What a listener the caller has bound is to a room. The socket must stay open."""
    kind = "unix" if sock.family == socket.AF_UNIX else "inet"
    path = sock.getsockname() if kind == "unix" else ""
    return ListenerInfo(sock.fileno(), kind, name, type, ssl=ssl, haproxy=haproxy, path=path)  # type: ignore[arg-type]


def _live(
    service: Service,
    config: Config,
    settings: ServiceSettings,
    listeners: Sequence[ListenerInfo],
    tls: ServerTls | None,
    log: Log,
    parent: Parent | None,
    title: Callable[[str], None],
) -> int:
    loop = new_loop()
    try:
        worker = Worker(config, settings, loop, log)
        worker.tls = tls
        if parent is not None:
            SINK.hold(loop.call_later)
        life = Life(worker, service, listeners, make_openings(config, listeners, tls, log), parent, title)
        return loop.run_until_complete(life.run(tune_gc))
    except ConfigError as error:
        log.fatal(str(error))
        return EXIT_CONFIG
    except Unavailable as error:
        log.fatal(str(error))
        return EXIT_TEMPORARY
    except Exception as error:
        log.exception("Cannot start", exc=error)
        return EXIT_CANNOT_BOOT
    finally:
        SINK.release()
        gc.unfreeze()
        loop.close()


def tune_gc() -> None:
    """What lives until the end (modules, settings, the room) is not looked at by the collector any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def wants_debug(settings: LoggingSettings, service: str) -> bool:
    """Whether ``log_debug`` (or ``mail_debug``, ``auth_debug``) asks for this service's debug lines."""
    words = settings.log_debug.replace(",", " ").split()
    if "yes" in words or service in words or (words and not set(words) - {"category=" + service}):
        return True
    return settings.auth_debug if service in ("auth", "auth-worker") else settings.mail_debug


def read_keys(
    config: Config, settings: ServiceSettings, listeners: Sequence[ListenerInfo], log: Log
) -> ServerTls | None:
    """The certificate, if this service has TCP listeners and TLS is on.

    Raises ConfigError when it is needed (an ``ssl`` listener, ``ssl = required``) and missing, or set and broken.
    """
    ssl_settings = config.section(SslSettings, service=settings.name, protocol=settings.protocol)
    if ssl_settings.ssl == "no" or not any(info.kind == "inet" for info in listeners):
        return None
    needed = ssl_settings.ssl == "required" or any(info.ssl for info in listeners)
    if not ssl_settings.ssl_server_cert_file and not needed:
        log.warning("ssl_server_cert_file is not set: STARTTLS is not offered")
        return None
    return ServerTls(ssl_settings, log)


def make_openings(
    config: Config, listeners: Sequence[ListenerInfo], tls: ServerTls | None, log: Log
) -> Mapping[ListenerInfo, Opening]:
    """What comes before the room on each listener that is not plain."""
    openings: dict[ListenerInfo, Opening] = {}
    for info in listeners:
        under = tls if info.ssl else None
        if info.ssl and tls is None:
            raise ConfigError("ssl = yes on a listener needs a certificate", key="ssl_server_cert_file")
        if info.haproxy:
            master = config.section(MasterSettings)
            networks, timeout_secs = master.haproxy_trusted_networks, master.haproxy_timeout_secs
            openings[info] = proxied(networks, timeout_secs, under, log)
        elif under is not None:
            openings[info] = implicit_tls(under)
    return openings
