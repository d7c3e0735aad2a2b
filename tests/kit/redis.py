"""A private Redis server on a UNIX socket, for tests; a visible skip where there is none."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.wait import wait_for


@contextmanager
def redis_server() -> Iterator[str]:
    """The path of its socket. The server listens on no port and is gone afterwards."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    pytest.importorskip("redis")
    with tempfile.TemporaryDirectory(prefix="redis") as folder:
        path = str(Path(folder) / "socket")
        command = [program, "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", "--appendonly", "no"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: answers(path), what="redis-server answers")
            yield path
        finally:
            process.kill()
            process.wait(10)


def answers(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(5)
            one.connect(path)
            one.sendall(b"PING\r\n")
            return one.recv(100).startswith(b"+PONG")
    except OSError:
        return False
