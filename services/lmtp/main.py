"""SERVICE: the lmtp room as the worker frame sees it."""

from __future__ import annotations

import base64
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import TYPE_CHECKING

from roost.clients.anvil import Anvil
from roost.clients.auth import AuthClient
from roost.clients.mail_hooks import mail_hooks
from roost.clients.notify import Hub
from roost.settings.schema.anvil import AnvilSettings
from roost.settings.schema.auth import AuthSettings
from roost.settings.schema.lmtp import LmtpSettings
from roost.settings.schema.mail import MailSettings
from roost.settings.schema.master import MasterSettings
from roost.settings.schema.notify import NotifySettings
from roost.storage.api import BackendContext
from roost.storage.backends import open_backend
from roost.worker.service import Service
from services.lmtp.room import LmtpRoom, log_by_level
from services.lmtp.shared import Shared

if TYPE_CHECKING:
    from roost.worker.service import Worker


async def start(worker: Worker) -> LmtpRoom:
    """Open the store and the connections to auth, anvil and notify. Raises ConfigError for a store that is none."""
    config = worker.config
    master = config.section(MasterSettings)
    lmtp = config.section(LmtpSettings, protocol="lmtp")
    mail = config.section(MailSettings, protocol="lmtp")
    auth_settings = config.section(AuthSettings, protocol="lmtp")
    notify = config.section(NotifySettings)
    log = worker.log.child(f"lmtp({worker.pid}): ")
    hub = Hub(os.path.join(master.base_dir, notify.notify_socket_path), log)
    values: dict[str, object] = {field.name: getattr(mail, field.name) for field in fields(mail)}
    values["mailboxes"] = config.mailboxes
    backend = open_backend(mail.mail_driver, BackendContext(values, hub.publish, log_by_level(log)))
    await backend.start()
    auth = AuthClient(
        os.path.join(master.base_dir, auth_settings.auth_login_socket_path),
        log,
        userdb_socket_path=os.path.join(master.base_dir, auth_settings.auth_socket_path),
        mail_home=mail.mail_home,
    )
    counting = config.section(AnvilSettings)
    anvil = Anvil(
        os.path.join(master.base_dir, counting.anvil_socket_path),
        log,
        service="lmtp",
        timeout_secs=counting.anvil_timeout_secs,
    )
    await anvil.start()
    await hub.start()
    shared = Shared(
        settings=lmtp,
        backend=backend,
        users=auth,
        log=log,
        hostname=master.hostname or socket.getfqdn(),
        pid=worker.pid,
        now=time.time,
        new_id=new_id,
        max_message_octets=mail.mail_max_message_octets or None,
        tls_context=worker.tls_context,
        in_thread=in_thread(worker),
        anvil=anvil,
        hooks=mail_hooks(config, "lmtp", log, worker.spawn),
    )
    return LmtpRoom(worker, shared, auth, hub, anvil)


def new_id() -> str:
    """A session id that nobody else has: 96 random bits, 16 characters."""
    return base64.urlsafe_b64encode(os.urandom(12)).decode("ascii")


def in_thread(worker: Worker) -> Callable[[Callable[[], None]], Awaitable[None]]:
    """Copying big messages from file to file happens beside the loop."""

    def run(fn: Callable[[], None]) -> Awaitable[None]:
        return worker.offload(fn)

    return run


SERVICE = Service("lmtp", start)
PRELOAD = ("roost.storage.backends.sqlite.backend",)
"""Imported by the master before it forks, so that processes share the code of the default store."""
