"""IMAP on stdin and stdout for one user, already logged in: ``python -I -m services.imap --preauth USER [-c CONF]``.

For tests, for ssh tunnels and to see the room alone. Whoever may run it with access to the mail may read it; there is
no password. Ends with the conversation; the exit status is 0 unless it could not begin.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from roost.clients.auth import AuthOk, BindingData, Exchange
from roost.clients.notify import Hub
from roost.errors import AuthTemporaryFailure, ConfigError, RoostError
from roost.events.log import Log
from roost.net.inline import run_inline
from roost.proc.contract import EXIT_CONFIG, EXIT_OK, EXIT_TEMPORARY
from roost.settings import Config, load
from roost.settings.schema.imap import ImapSettings
from roost.settings.schema.mail import MailSettings
from roost.settings.schema.master import MasterSettings
from roost.settings.schema.notify import NotifySettings
from roost.settings.variables import expand_path
from roost.storage.api import ConnInfo, Identity
from roost.storage.backends import open_backend
from roost.util.secret import Secret
from roost.worker.loop import new_loop
from services.imap.connection import ImapConnection
from services.imap.main import store_context
from services.imap.room import new_ids
from services.imap.shared import Shared

RELAY_OCTETS = 65536


class NoAuth:
    """There is nobody to ask: the user is known."""

    mechanisms: Mapping[str, frozenset[str]] = {}

    async def login(self, user: str, password: Secret, conn: ConnInfo) -> AuthOk:
        raise AuthTemporaryFailure("There is no login here.")

    def begin(
        self, mechanism: str, conn: ConnInfo, initial: bytes | None, binding: BindingData | None = None
    ) -> Exchange:
        raise AuthTemporaryFailure("There is no login here.")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -I -m services.imap", description=__doc__.split("\n")[0])
    parser.add_argument("--preauth", required=True, metavar="USER", help="the user whose mail it is")
    parser.add_argument("-c", dest="config", default="", metavar="CONF", help="configuration file")
    parser.add_argument("-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="one setting")
    arguments = parser.parse_args(argv)
    log = Log("imap: ")
    loop = new_loop()
    try:
        config = load(arguments.config, arguments.overrides)
        loop.run_until_complete(converse(config, arguments.preauth, log))
    except ConfigError as error:
        log.fatal(str(error))
        return EXIT_CONFIG
    except RoostError as error:
        log.fatal(str(error))
        return EXIT_TEMPORARY
    finally:
        loop.close()
    return EXIT_OK


async def converse(config: Config, username: str, log: Log) -> None:
    """One conversation, from PREAUTH to the end."""
    loop = asyncio.get_running_loop()
    mail = config.section(MailSettings, protocol="imap")
    hub = Hub(hint_socket(config), log)
    await hub.start()
    backend = open_backend(mail.mail_driver, store_context(config, mail, hub, log))
    await backend.start()
    identity = Identity(username, expand_path(mail.mail_home, {"user": username}))
    shared = Shared(
        backend=backend,
        auth=NoAuth(),
        anvil=None,
        watch=hub.watch,
        spawn=lambda coro, name: run_inline(loop, coro),
        log=log,
        imap=config.section(ImapSettings, protocol="imap"),
        mail=mail,
    )
    connection = ImapConnection(loop, shared, log, new_ids()[0])
    conn = ConnInfo("imap", connection.session_id, secured=True)
    connection.secured = True
    connection.proved = identity, await backend.open_user(conn, identity)
    ended = loop.create_future()
    connection.on_lost = lambda _: ended.set_result(None)
    ours, theirs = socket.socketpair()
    await loop.create_connection(lambda: connection, sock=ours)
    threading.Thread(target=copy_in, args=(theirs,), daemon=True).start()
    out = threading.Thread(target=copy_out, args=(theirs, lambda: loop.call_soon_threadsafe(connection.abort)))
    out.start()
    await ended
    await loop.run_in_executor(None, out.join)
    await backend.aclose()
    await hub.stop()


def hint_socket(config: Config) -> str | None:
    """The notify room's socket, if it runs: then changes go both ways."""
    path = os.path.join(config.section(MasterSettings).base_dir, config.section(NotifySettings).notify_socket_path)
    return path if os.path.exists(path) else None


def copy_in(theirs: socket.socket) -> None:
    """stdin to the connection; its end is the client's."""
    try:
        while data := os.read(0, RELAY_OCTETS):
            theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def copy_out(theirs: socket.socket, broken: Callable[[], object]) -> None:
    """The connection to stdout; ``broken`` when nobody reads it any more."""
    try:
        while data := theirs.recv(RELAY_OCTETS):
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]
    except OSError:
        broken()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
