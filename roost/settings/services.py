"""Enabled services with their listeners, resolved from the tree; and the rules they must keep (spec: validation)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from roost.errors import ConfigError
from roost.settings.schema import (
    FifoListener,
    InetBlock,
    InetListener,
    Listener,
    MasterSettings,
    NamespaceSettings,
    ServiceSettings,
    SslSettings,
    UnixListener,
)
from roost.settings.schema.services import ROOMS
from roost.settings.tree import Context, Path
from roost.settings.variables import expand

if TYPE_CHECKING:
    from roost.settings.config import Config

SINGLE = ("anvil", "auth", "notify")
"""Rooms that keep state in memory: one process each."""

MAX_SOCKET_PATH = 107
"""Octets the kernel takes as the path of a UNIX socket."""

ANY_ADDRESS = {"*": "0.0.0.0", "::": "::", "[::]": "::"}


def enabled(config: Config) -> Mapping[str, ServiceSettings]:
    """Services whose protocol is wanted, by name. Raises ConfigError for what ``check`` refuses."""
    master = config.section(MasterSettings)
    found: dict[str, ServiceSettings] = {}
    for name, _ in config.tree.elements("service", Context()):
        service = config.element(ServiceSettings, (("service", name),))
        if not service.executable or (service.protocol and service.protocol not in master.protocols):
            continue
        found[name] = replace(
            service,
            user=expand(service.user, {}),
            group=expand(service.group, {}),
            chroot=_absolute(master.base_dir, expand(service.chroot, {})) if service.chroot else "",
            listeners=_listeners(config, name, master),
        )
    return found


def _listeners(config: Config, service: str, master: MasterSettings) -> tuple[Listener, ...]:
    outer: Path = (("service", service),)
    tls = config.section(SslSettings).ssl != "no"
    ordered: list[tuple[int, tuple[Listener, ...]]] = []
    for kind in ("unix_listener", "fifo_listener", "inet_listener"):
        for name, block in config.tree.elements(kind, Context(outer)):
            path = (*outer, (kind, name))
            if kind == "inet_listener":
                made: tuple[Listener, ...] = _inet(config.element(InetBlock, path), tls)
            elif kind == "unix_listener":
                made = _local(config.element(UnixListener, path), master)
            else:
                made = _local(config.element(FifoListener, path), master)
            ordered.append((block.order, made))
    ordered.sort(key=lambda pair: pair[0])
    return tuple(listener for _, made in ordered for listener in made)


def _local(listener: UnixListener | FifoListener, master: MasterSettings) -> tuple[Listener, ...]:
    if listener.mode == 0:
        return ()
    path = expand(listener.path, {})
    return (
        replace(
            listener,
            path=_absolute(master.base_dir, path),
            type=listener.type or _role(os.path.basename(path)),
            user=expand(listener.user, {}),
            group=expand(listener.group, {}),
        ),
    )


def _inet(block: InetBlock, tls: bool) -> tuple[Listener, ...]:
    if block.port == 0 or (block.ssl and not tls):
        return ()
    role = block.type or _role(block.name)
    return tuple(
        InetListener(
            block.name, role, ANY_ADDRESS.get(address, address.strip("[]")), block.port, block.ssl, block.haproxy
        )
        for address in block.listen
    )


def _role(name: str) -> str:
    return name.rpartition("-")[2] if "-" in name else ""


def _absolute(base_dir: str, path: str) -> str:
    return os.path.normpath(os.path.join(base_dir, path))


def check(config: Config) -> None:
    """The rules about services and directories. Raises ConfigError."""
    master = config.section(MasterSettings)
    for key in ("base_dir", "state_dir"):
        if not os.path.isabs(getattr(master, key)):
            raise _error(config, (), key, f"must be an absolute path, not '{getattr(master, key)}'")
    if not master.listen:
        raise _error(config, (), "listen", "listen can't be set empty")
    if not config.services:
        raise _error(config, (), "protocols", "No services defined")
    seen: dict[str, Path] = {}
    for name, _ in config.tree.elements("service", Context()):
        _check_executable(config, name)
    for service in config.services.values():
        _check_service(config, service)
        for listener in service.listeners:
            _check_listener(config, service, listener, seen)
    namespaces = config.namespaces
    if len(namespaces) != 1 or not namespaces[0].inbox:
        _refuse_namespaces(config, namespaces[-1])


def _check_executable(config: Config, name: str) -> None:
    service = config.element(ServiceSettings, (("service", name),))
    if not service.executable:
        raise _element_error(
            config,
            (("service", name),),
            f"service {name} is not one of Roost's ({', '.join(ROOMS)}); a service of your own needs executable = ROOM",
        )


def _check_service(config: Config, service: ServiceSettings) -> None:
    path: Path = (("service", service.name),)

    def refuse(key: str, why: str) -> ConfigError:
        return _error(config, path, f"service_{key}", f"service({service.name}): {why}")

    if service.process_min_avail > service.process_limit:
        raise refuse("process_min_avail", "process_min_avail is greater than process_limit")
    if service.executable in SINGLE and service.process_limit != 1:
        raise refuse("process_limit", "process_limit must be 1")
    if service.chroot and service.drop_priv_before_exec:
        raise refuse("drop_priv_before_exec", "drop_priv_before_exec=yes can't be used with chroot")
    if service.reuse_port and service.process_min_avail != service.process_limit:
        raise refuse("reuse_port", "process_min_avail must be equal to process_limit when using service_reuse_port=yes")


def _check_listener(config: Config, service: ServiceSettings, listener: Listener, seen: dict[str, Path]) -> None:
    where: Path = (("service", service.name),)
    if isinstance(listener, InetListener):
        name = f"{listener.host}:{listener.port}"
        where = (*where, ("inet_listener", listener.name))
        _check_address(config, service, listener)
    else:
        name = listener.path
        if len(os.fsencode(name)) > MAX_SOCKET_PATH:
            raise _element_error(config, where, f"The path of a socket is too long: {name}")
    if name in seen:
        other = seen[name]
        why = f"service({service.name}): duplicate listener: {name} (also in service {other[0][1]})"
        error = _element_error(config, where, why)
        raise error if error.line else _element_error(config, other, why)
    seen[name] = where


def _check_address(config: Config, service: ServiceSettings, listener: InetListener) -> None:
    if listener.host in ANY_ADDRESS.values():
        return
    import ipaddress

    try:
        ipaddress.ip_address(listener.host.partition("%")[0])
    except ValueError:
        where = (("service", service.name), ("inet_listener", listener.name))
        raise _error(config, where, "listen", f"Invalid address: {listener.host} (an IP address, * or ::)") from None


def _refuse_namespaces(config: Config, namespace: NamespaceSettings) -> None:
    raise _element_error(
        config,
        (("namespace", namespace.name),),
        "there is one namespace, inbox, with inbox = yes: all of a user's mail is one store",
    )


def _error(config: Config, path: Path, key: str, why: str) -> ConfigError:
    """With the file and line where the value that holds was written, if it was."""
    found = [one for one in config.tree.candidates(key, Context(path)) if one.line]
    if not found and key == "listen":
        found = [one for one in config.tree.candidates("inet_listener_listen", Context(path)) if one.line]
    if found and found[-1].level > 0:
        return ConfigError(why, file=found[-1].file, line=found[-1].line, key=key)
    return ConfigError(why, file=config.path, key=key)


def _element_error(config: Config, path: Path, why: str) -> ConfigError:
    for block in reversed(config.tree.blocks):
        if block.path[: len(path)] == path and block.level > 0:
            return ConfigError(why, file=block.file, line=block.line)
    return ConfigError(why, file=config.path)
