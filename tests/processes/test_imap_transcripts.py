"""The IMAP transcripts against real processes: master, auth, anvil, notify, imap workers, SQLite."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.imap_player import play
from kit.instance import Instance
from kit.transcript import read, sections

FOLDER = Path(__file__).resolve().parents[1] / "transcripts" / "imap"
PATHS = list(sections(FOLDER))
CONF = """
auth_failure_delay = 0
mail_max_userip_connections = 100
"""


class SocketChannel:
    """A TCP connection. ``kit.imap_player.Channel``."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 10)

    def send(self, octets: bytes) -> None:
        try:
            self.sock.sendall(octets)
        except ConnectionError:
            pass  # the server has ended it; what it said before is still to be read

    def receive(self, secs: float) -> bytes | None:
        self.sock.settimeout(secs)
        try:
            return self.sock.recv(65536) or None
        except TimeoutError:
            return b""
        except ConnectionError:
            return None

    def close(self) -> None:
        self.sock.close()


class Processes:
    """One running instance; every transcript has a user of its own. ``kit.imap_player.Server``."""

    preauth = False
    password = "pw"

    def __init__(self, roost: Instance, user: str) -> None:
        self.roost = roost
        self.user = user

    def connect(self) -> SocketChannel:
        return SocketChannel(self.roost.imap_port)


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("roost"), CONF, [f"u{n}" for n in range(1, len(PATHS) + 2)]) as instance:
        yield instance
        log = instance.log_text()
        bad = [line for line in log.splitlines() if ": Error: " in line or ": Panic: " in line or ": Fatal: " in line]
        assert not bad, bad


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_processes(path: Path, roost: Instance) -> None:
    transcript = read(path)
    if transcript.header.get("settings"):
        pytest.skip("settings of its own")
    if "only" in transcript.header:
        pytest.skip(transcript.header["only"])
    nonauth = transcript.header.get("state") == "nonauth"
    play(transcript, Processes(roost, "u1" if nonauth else f"u{PATHS.index(path) + 2}"))
