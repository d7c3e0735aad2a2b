"""A configuration → everything it asks for, checked and bound: services with privileges and open listeners.

``build`` either returns a whole ``Generation`` or raises and leaves nothing behind, so that a reload with a wrong
configuration changes nothing.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from dataclasses import dataclass

from master.listeners import Listeners
from master.notify_systemd import Inherited
from master.rooms import Rooms
from master.service import Service, listener_infos
from roost.errors import ConfigError
from roost.proc import privileges
from roost.proc.privileges import Privileges
from roost.settings import Config
from roost.settings.schema import MasterSettings, ServiceSettings

FDS_RESERVED = 64
"""Descriptors of a worker beside its clients' connections: listeners, stores, internal sockets."""


@dataclass
class Generation:
    """One configuration in force."""

    config: Config
    settings: MasterSettings
    services: dict[str, Service]
    listeners: Listeners

    def discard(self, keep: Listeners | None) -> None:
        """Undo a generation that never came into force."""
        for service in self.services.values():
            service.close()
        self.listeners.discard(keep)


def build(
    config: Config, rooms: Rooms, *, before: Listeners | None, inherited: Inherited, warn: Callable[[str], None]
) -> Generation:
    """Raises: ConfigError, with everything that was opened closed again."""
    settings = config.section(MasterSettings)
    if not config.services:
        raise ConfigError("no services defined; see the protocols setting", key="protocols")
    _check_internal_user(config, settings)
    generation = Generation(config, settings, {}, Listeners(warn))
    try:
        for service in config.services.values():
            generation.services[service.name] = _build_service(service, generation, rooms, before, inherited)
    except BaseException:
        generation.discard(before)
        raise
    _check_fd_limit(config, warn)
    return generation


def _build_service(
    service: ServiceSettings, generation: Generation, rooms: Rooms, before: Listeners | None, inherited: Inherited
) -> Service:
    _check(service)
    rights = _rights(service, generation.settings)
    count = service.process_limit if service.reuse_port else 1
    slots: list[tuple[int, ...]] = []
    present: list[int] = []
    for slot in range(count):
        opened = [
            generation.listeners.open(service, listener, slot, before=before, inherited=inherited)
            if slot == 0 or hasattr(listener, "port")
            else slots[0][present.index(index)]
            for index, listener in enumerate(service.listeners)
        ]
        if slot == 0:
            present = [index for index, fd in enumerate(opened) if fd is not None]
        slots.append(tuple(fd for fd in opened if fd is not None))
    return Service(
        settings=service,
        config=generation.config,
        module=rooms.module_of(service.name, service.executable),
        privileges=rights,
        slots=tuple(slots),
        infos=listener_infos(service, present),
        instance_name=generation.settings.instance_name,
        verbose_proctitle=generation.settings.verbose_proctitle,
    )


def _check(service: ServiceSettings) -> None:
    where = f"service {service.name}"
    if service.process_limit < 1 or service.client_limit < 1:
        raise ConfigError("process_limit and client_limit must be greater than 0", key=where)
    if service.process_min_avail > service.process_limit:
        raise ConfigError("process_min_avail is greater than process_limit", key=where)
    if service.chroot and service.drop_priv_before_exec:
        raise ConfigError("drop_priv_before_exec=yes can't be used with chroot", key=where)
    if service.reuse_port and service.process_min_avail != service.process_limit:
        raise ConfigError("process_min_avail must be equal to process_limit when using reuse_port=yes", key=where)
    if service.type == "anvil" and service.process_limit != 1:
        raise ConfigError("process_limit must be 1", key=where)


def _rights(service: ServiceSettings, settings: MasterSettings) -> Privileges:
    stays = settings.shutdown_clients
    if os.geteuid() != 0:
        return Privileges(die_with_master=stays)
    where = f"service {service.name}"
    if service.type == "login" and service.user in ("", "root", "0"):
        raise ConfigError("a login service must not run as root", key=f"{where} {{ user }}")
    chroot = os.path.join(settings.base_dir, service.chroot) if service.chroot else ""
    return privileges.resolve(
        service.user, service.group, service.extra_groups, chroot, where=where, die_with_master=stays
    )


def _check_internal_user(config: Config, settings: MasterSettings) -> None:
    """As root we never run a room as root by accident: the internal user must exist, or be named root on purpose."""
    user, group = settings.default_internal_user, settings.default_internal_group
    if os.geteuid() != 0:
        return
    try:
        if any(service.user == user for service in config.services.values()):
            privileges.find_user(user, see="default_internal_user")
        if any(service.group == group for service in config.services.values()):
            privileges.find_group(group, see="default_internal_group")
    except ConfigError as error:
        raise ConfigError(
            f"{error.why}. Create it (systemd-sysusers, or: useradd --system --user-group {user}), "
            "start Roost as an ordinary user, or name another account; "
            "root is taken only when default_internal_user and default_internal_group say so",
            key="default_internal_user",
        ) from None


def _check_fd_limit(config: Config, warn: Callable[[str], None]) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    worst = max(config.services.values(), key=lambda service: service.client_limit)
    needed = worst.client_limit + FDS_RESERVED
    if limit < needed:
        warn(
            f"fd limit (ulimit -n) is lower than required under max. load ({limit} < {needed}), "
            f"because of service {worst.name} {{ client_limit }}"
        )


def describe_unprivileged() -> str:
    return f"not running as root but as uid {os.geteuid()}: user, group and chroot settings of services have no effect"
