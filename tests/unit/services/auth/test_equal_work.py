"""Nobody learns by time who exists, by construction: a failure costs every name the same counted hash operations."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roost.events.log import Log, Sink
from roost.proc.contract import ListenerInfo
from roost.settings import load
from roost.worker.service import Worker
from services.auth import main
from services.auth.client import ClientConnection
from services.auth.schemes import SCHEMES, Stored, write

CONF = """
base_dir = {folder}/run
state_dir = {folder}/state
default_internal_user =
default_internal_group =
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_mechanisms = plain login {mechanisms}
passdb passwd-file {{
  passwd_file_path = {folder}/users
}}
userdb static {{
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
SCHEME_NAMES = ("PLAIN", "SSHA256", "SHA512", "SHA512-CRYPT", "BLF-CRYPT", "PBKDF2", "SCRAM-SHA-256")
ROUNDS = {"BLF-CRYPT": 4, "SHA512-CRYPT": 1000, "SCRAM-SHA-256": 4096, "PBKDF2": 1000}
FAILING = (b"learned", b"other", b"unknown", b"UNKNOWN2", b"nets", b"nopass")


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({})
        self.written = b""

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None: ...

    abort = close


class Counting:
    """A room whose hash operations are counted, and a login client of it."""

    def __init__(self, folder: Path, scheme: str, mechanisms: str, monkeypatch: pytest.MonkeyPatch) -> None:
        stored = write(SCHEMES[scheme], SCHEMES[scheme].generate(b"pw", ROUNDS.get(scheme, 0), os.urandom))
        rows = [f"{name}:{stored}::::::\n" for name in ("learned", "other", "third")]
        rows += [f"nets:{stored}::::::allow_nets=192.0.2.0/24\n", "nopass:::::::\n"]
        (folder / "users").write_text("".join(rows))
        (folder / "roost.conf").write_text(CONF.format(folder=folder, mechanisms=mechanisms))
        config = load(str(folder / "roost.conf"))
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.null = os.open(os.devnull, os.O_WRONLY)
        worker = Worker(config, config.services["auth"], self.loop, Log("auth: ", Sink(self.null)))
        self.room = self.loop.run_until_complete(main.start(worker))
        client = self.room.connection(ListenerInfo(-1, "unix", "auth-login", "login"))
        assert isinstance(client, ClientConnection)
        self.client = client
        self.transport = Transport()
        client.connection_made(self.transport)
        self.number = 0
        self.done: Counter[str] = Counter()
        verify, derive = Stored.verify, hashlib.pbkdf2_hmac

        def counted(stored: Stored, password: bytes) -> bool:
            self.done[f"verify {stored.scheme.name}"] += 1
            return verify(stored, password)

        def derived(name: str, password: bytes, salt: bytes, rounds: int, *rest: Any) -> bytes:
            self.done[f"derive {name} {rounds}"] += 1
            return derive(name, password, salt, rounds, *rest)

        monkeypatch.setattr(Stored, "verify", counted)
        monkeypatch.setattr(hashlib, "pbkdf2_hmac", derived)
        self.say(b"VERSION\t1\t4\nCPID\t1\n")

    def say(self, octets: bytes) -> bytes:
        self.transport.written = b""
        self.client.data(memoryview(octets))
        while tasks := [request.task for request in self.client.requests.values() if request.task]:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=20))
        self.client.flush()
        return self.transport.written

    def plain(self, name: bytes, password: bytes) -> bytes:
        self.number += 1
        response = base64.b64encode(b"\0" + name + b"\0" + password)
        return self.say(b"AUTH\t%d\tPLAIN\tservice=imap\trip=198.51.100.1\tuserdb\tresp=%b\n" % (self.number, response))

    def costs(self, ask: Any) -> dict[bytes, Counter[str]]:
        """What each name costs, asked twice (the second time counts: by then the process knows its files)."""
        found = {}
        for turn in range(2):
            for name in FAILING:
                self.done.clear()
                assert not ask(name).startswith(b"OK"), name
                if turn:
                    found[name] = Counter(self.done)
        return found

    def close(self) -> None:
        self.loop.run_until_complete(self.room.drain(politely=False))
        self.loop.close()
        os.close(self.null)


@pytest.fixture
def counting(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    scheme, mechanisms = request.param
    made = Counting(tmp_path, scheme, mechanisms, monkeypatch)
    yield made
    made.close()


def only_cost(costs: dict[bytes, Counter[str]]) -> Counter[str]:
    assert len({frozenset(cost.items()) for cost in costs.values()}) == 1, costs
    return next(iter(costs.values()))


@pytest.mark.parametrize("counting", [(name, "") for name in SCHEME_NAMES], indirect=True, ids=SCHEME_NAMES)
def test_plain(counting: Counting) -> None:
    assert only_cost(counting.costs(lambda name: counting.plain(name, b"no"))), "something is verified"
    for _ in range(3):
        assert counting.plain(b"learned", b"pw").startswith(b"OK"), "from now on the process knows this name"
    only_cost(counting.costs(lambda name: counting.plain(name, b"no")))


CHALLENGED = [("PLAIN", "scram-sha-256"), ("SCRAM-SHA-256", "scram-sha-256"), ("SHA512-CRYPT", "scram-sha-256")]


@pytest.mark.parametrize("counting", CHALLENGED, indirect=True, ids=[scheme for scheme, _ in CHALLENGED])
def test_scram_until_its_challenge(counting: Counting) -> None:
    def ask(name: bytes) -> bytes:
        counting.number += 1
        response = base64.b64encode(b"n,,n=" + name + b",r=abcdefgh")
        reply = counting.say(
            b"AUTH\t%d\tSCRAM-SHA-256\tservice=imap\trip=198.51.100.1\tresp=%b\n" % (counting.number, response)
        )
        assert reply.startswith(b"CONT\t")
        counting.say(b"CANCEL\t%d\n" % counting.number)
        return reply

    costs = counting.costs(ask)
    only_cost({name: cost for name, cost in costs.items() if name != b"nopass"})
