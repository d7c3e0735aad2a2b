"""SIGHUP: a new configuration beside the old one, then a swap; whoever is connected stays.

Everything is built and checked first; any error keeps the old configuration and says why. Listeners that stay the
same are taken over, so no client is refused. Old processes go on accepting until the new ones of their service are
ready, then finish their clients (QUIT). Services that hold what others rely on (KEPT) keep their processes as long
as their own settings stay the same.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable

from master.build import Generation, build
from master.logpipes import Journal, open_journal
from master.notify_systemd import Inherited
from master.precheck import precheck
from master.service import Service
from master.states import Event
from master.supervisor import Supervisor
from roost.errors import ConfigError, RoostError
from roost.settings import Config
from roost.settings.schema import LoggingSettings, MasterSettings

KEPT = frozenset({"anvil", "notify"})
"""Executables whose state must survive: who is connected, who waits for news."""
FIXED = ("base_dir", "instance_name")
"""Settings that a reload cannot change."""


class Reloader:
    """Does reloads, and lets old processes go when their successors are ready."""

    def __init__(self, supervisor: Supervisor, load: Callable[[], Config]) -> None:
        self._supervisor = supervisor
        self._load = load
        self.problem = ""
        """Why the last reload was refused, "" when it was not."""
        self._waiting: list[Service] = []
        supervisor.watchers.append(self._let_go)

    def reload(self) -> str:
        """Returns "" or why nothing changed."""
        supervisor = self._supervisor
        supervisor.notifier.reloading()
        try:
            generation, journal = self._build()
        except RoostError as error:
            self.problem = str(error)
        except Exception as error:
            self.problem = f"internal error: {error!r}"
            supervisor.journal.error("internal error in a reload:\n" + traceback.format_exc())
        else:
            self.problem = ""
            self._swap(generation, journal)
        if self.problem:
            supervisor.journal.error(f"Config reload failed: {self.problem}; the old configuration stays in force")
            supervisor.notifier.ready(f"reload failed: {self.problem}")
        else:
            supervisor.journal.info("Configuration reloaded")
            supervisor.notifier.ready(supervisor.summary())
        return self.problem

    def _build(self) -> tuple[Generation, Journal]:
        supervisor = self._supervisor
        config = self._load()
        old, new = supervisor.generation.settings, config.section(MasterSettings)
        for before, now, name in zip(_fixed(old), _fixed(new), FIXED, strict=True):
            if before != now:
                raise ConfigError(f"cannot change from {before} to {now} in a reload; stop and start", key=name)
        journal = open_journal(config.section(LoggingSettings), new.instance_name)
        try:
            generation = build(
                config,
                supervisor.rooms,
                before=supervisor.generation.listeners,
                inherited=Inherited({}),
                warn=supervisor.journal.warning,
            )
        except BaseException:
            journal.close()
            raise
        try:
            precheck(generation.services.values(), supervisor.journal.warning)
        except BaseException:
            generation.discard(supervisor.generation.listeners)
            journal.close()
            raise
        return generation, journal

    def _swap(self, generation: Generation, journal: Journal) -> None:
        supervisor = self._supervisor
        supervisor.journal.replace(journal)
        old = supervisor.generation
        supervisor.rooms.preload((s.module for s in generation.services.values()), supervisor.journal.error)
        for name, service in old.services.items():
            successor = generation.services.get(name)
            if successor is not None and _is_kept(service, successor):
                service.config, service.slots, service.infos = successor.config, successor.slots, successor.infos
                generation.services[name] = service
                successor.close()
            else:
                supervisor.pause(service)
                supervisor.old_services.append(service)
                self._waiting.append(service)
        for service in generation.services.values():
            if service is not old.services.get(service.name):
                supervisor.watch(service)
        supervisor.generation = generation
        supervisor.generations += 1
        generation.listeners.commit()
        old.listeners.discard(generation.listeners)

    def _let_go(self) -> None:
        """Old processes finish as soon as somebody of the present configuration can take their place."""
        waiting = []
        for service in self._waiting:
            successor = self._supervisor.generation.services.get(service.name)
            if successor is None or _ready(successor):
                self._supervisor.tell(service, Event.DRAIN)
            else:
                waiting.append(service)
        self._waiting = waiting


def _fixed(settings: MasterSettings) -> tuple[str, str]:
    return settings.base_dir, settings.instance_name


def _is_kept(old: Service, new: Service) -> bool:
    return (
        old.settings.executable in KEPT
        and not old.stopped
        and (old.settings, old.privileges, old.module) == (new.settings, new.privileges, new.module)
        and old.verbose_proctitle == new.verbose_proctitle
    )


def _ready(service: Service) -> bool:
    if service.stopped or service.settings.process_min_avail == 0:
        return True
    return any(process.reported for process in service.processes.values())
