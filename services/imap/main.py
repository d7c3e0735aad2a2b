"""SERVICE: the imap room as the worker frame sees it."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from roost.clients.anvil import Anvil
from roost.clients.auth import AuthClient
from roost.clients.mail_hooks import mail_hooks
from roost.clients.notify import Hub
from roost.events.log import Log
from roost.net.inline import run_inline
from roost.settings.schema.anvil import AnvilSettings
from roost.settings.schema.auth import AuthSettings
from roost.settings.schema.imap import ImapSettings
from roost.settings.schema.mail import MailSettings
from roost.settings.schema.master import MasterSettings
from roost.settings.schema.notify import NotifySettings
from roost.settings.schema.ssl import SslSettings
from roost.storage.api import BackendContext
from roost.storage.backends import open_backend
from roost.worker.service import Service
from services.imap.room import ImapRoom
from services.imap.shared import Settings, Shared

if TYPE_CHECKING:
    from roost.settings import Config
    from roost.worker.service import Worker


async def start(worker: Worker) -> ImapRoom:
    """Open the store and the connections to auth, anvil and notify. Raises ConfigError for a store that cannot be."""
    config = worker.config
    master = config.section(MasterSettings)
    mail = config.section(MailSettings, protocol="imap")
    auth_settings = config.section(AuthSettings, protocol="imap")
    log = worker.log.child(f"imap({worker.pid}): ")
    hub = Hub(os.path.join(master.base_dir, config.section(NotifySettings).notify_socket_path), log)
    backend = open_backend(mail.mail_driver, store_context(config, mail, hub, log))
    await backend.start()
    auth = AuthClient(
        os.path.join(master.base_dir, auth_settings.auth_login_socket_path),
        log,
        timeout_secs=auth_settings.auth_client_timeout_secs,
        mail_home=mail.mail_home,
    )
    await auth.start()
    counting = config.section(AnvilSettings)
    anvil = Anvil(
        os.path.join(master.base_dir, counting.anvil_socket_path),
        log,
        service="imap",
        timeout_secs=counting.anvil_timeout_secs,
    )
    await anvil.start()
    await hub.start()
    shared = Shared(
        backend=backend,
        auth=auth,
        anvil=anvil,
        watch=hub.watch,
        spawn=spawner(worker),
        log=log,
        imap=config.section(ImapSettings, protocol="imap"),
        mail=mail,
        auth_settings=auth_settings,
        ssl=config.section(SslSettings, protocol="imap"),
        tls_ready=worker.tls is not None,
        hooks=mail_hooks(config, "imap", log, worker.spawn),
    )
    if config.by_address:
        shared.choose_by(chooser(config))
    return ImapRoom(worker, shared, auth, hub, anvil)


def chooser(config: Config) -> Callable[[str, str], Settings]:
    """The settings for two addresses. The configuration remembers what it has worked out."""

    def choose(local_ip: str, remote_ip: str) -> Settings:
        local, remote = local_ip or None, remote_ip or None
        return (
            config.section(ImapSettings, protocol="imap", local_ip=local, remote_ip=remote),
            config.section(MailSettings, protocol="imap", local_ip=local, remote_ip=remote),
            config.section(AuthSettings, protocol="imap", local_ip=local, remote_ip=remote),
            config.section(SslSettings, protocol="imap", local_ip=local, remote_ip=remote),
        )

    return choose


def store_context(config: Config, mail: MailSettings, hub: Hub, log: Log) -> BackendContext:
    """What a backend is given."""
    values: dict[str, object] = {field.name: getattr(mail, field.name) for field in fields(mail)}
    values["mailboxes"] = config.mailboxes
    methods = {"debug": log.debug, "info": log.info, "warning": log.warning, "error": log.error}
    return BackendContext(values, hub.publish, lambda level, text: methods[level](text))


def spawner(worker: Worker) -> Callable[[Coroutine[Any, Any, None], str], object]:
    """Background work that mostly does not wait: a task only when it does."""

    def spawn(coro: Coroutine[Any, Any, None], name: str) -> None:
        try:
            task = run_inline(worker.loop, coro)
        except Exception as exc:
            worker.log.exception(f"{name} failed", exc=exc)
            return
        if task is not None:
            task.set_name(name)
            worker.adopt(task)

    return spawn


SERVICE = Service("imap", start)
PRELOAD = ("roost.storage.backends.sqlite.backend",)
"""Imported by the master before it forks, so that processes share the code of the default store."""
