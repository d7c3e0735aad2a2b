"""The auth room alone, without a master: ``python -I -m services.auth -c FILE [-o key=value]…``.

Binds the unix listeners of ``service auth`` as configured, logs to stderr, runs until TERM or INT. For tests, and to
look at a configuration's databases without starting anything else.
"""

from __future__ import annotations

import getopt
import os
import socket
import sys

from roost.errors import ConfigError
from roost.proc.contract import EXIT_CONFIG
from roost.settings import DEFAULT_PATH, load
from roost.settings.schema.services import ServiceSettings, UnixListener
from roost.worker.run import listener_info, standalone
from services.auth.main import SERVICE

USAGE = "usage: python -I -m services.auth [-c FILE] [-o key=value]..."
EXIT_USAGE = 64
BACKLOG = 511


def bind(listener: UnixListener) -> socket.socket:
    """The listener's socket; a stale one of the same path is replaced. Raises OSError."""
    os.makedirs(os.path.dirname(listener.path), exist_ok=True)
    if os.path.exists(listener.path):
        os.unlink(listener.path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(listener.path)
    os.chmod(listener.path, listener.mode)
    sock.listen(BACKLOG)
    return sock


def main(argv: list[str]) -> int:
    """Returns the exit code."""
    try:
        options, rest = getopt.getopt(argv, "c:o:")
    except getopt.GetoptError as error:
        print(f"{error}\n{USAGE}", file=sys.stderr)
        return EXIT_USAGE
    if rest:
        print(USAGE, file=sys.stderr)
        return EXIT_USAGE
    path = next((value for name, value in options if name == "-c"), DEFAULT_PATH)
    try:
        config = load(path, overrides=[value for name, value in options if name == "-o"])
        service: ServiceSettings = config.services["auth"]
        listeners = [one for one in service.listeners if isinstance(one, UnixListener) and one.mode]
        sockets = [bind(listener) for listener in listeners]
    except ConfigError as error:
        print(f"auth: Fatal: {error}", file=sys.stderr)
        return EXIT_CONFIG
    infos = [
        listener_info(sock, listener.path, type=listener.type)
        for sock, listener in zip(sockets, listeners, strict=True)
    ]
    try:
        return standalone(SERVICE, config, infos)
    finally:
        for sock, listener in zip(sockets, listeners, strict=True):
            sock.close()
            os.unlink(listener.path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
