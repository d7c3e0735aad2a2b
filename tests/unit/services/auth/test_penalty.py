"""Penalties in the auth service: whose they are, what anvil is told and tells, who waits, what bounds the waiting."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from pathlib import Path
from typing import Any

import pytest
from kit.worker import LOOPS, Lines, make_worker, run, served, unix_socket, until

from roost.net.connection import Connection
from roost.proc.contract import ListenerInfo
from roost.settings import load
from roost.worker.service import Worker
from services.anvil.room import AnvilRoom
from services.auth import main
from services.auth.penalty import PenaltyKeeper, address_of, guess_of, shared_address
from services.auth.request import State


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::3", "2001:db8:1::"),
        ("2001:DB8:1:ffff::", "2001:db8:1::"),
        ("2001:db8:2::", "2001:db8:2::"),
        ("", ""),
        ("no address", ""),
    ],
)
def test_addresses(text: str, shared: str) -> None:
    assert shared_address(text) == shared


def test_who_has_none() -> None:
    assert address_of({"rip": "192.0.2.1"}) == "192.0.2.1"
    assert address_of({"rip": "192.0.2.1", "no-penalty": ""}) == ""
    assert address_of({}) == ""


def test_guesses() -> None:
    assert guess_of(b"pw", b"u") == guess_of(b"pw", b"u")
    assert len({guess_of(b"pw", b"u"), guess_of(b"pw", b"v"), guess_of(b"no", b"u")}) == 3


class Anvil(AnvilRoom):
    """All sockets of it are the auth processes'."""

    def __init__(self, worker: Any) -> None:
        super().__init__(worker, max_line_octets=8192, max_sessions=10, max_penalties=100)

    def connection(self, listener: ListenerInfo) -> Connection:
        return super().connection(ListenerInfo(-1, "unix", "anvil-auth-penalty", "penalty"))


def keeper(path: Path, log: Any) -> PenaltyKeeper:
    return PenaltyKeeper(str(path), log, limit=100, pid=os.getpid(), now=time.time)


@pytest.mark.parametrize("kind", LOOPS)
def test_the_store_outlives_an_auth_process_and_tells_the_others(kind: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        lines = Lines()
        path = tmp_path / "penalty"
        worker = make_worker(lines.log())
        room = Anvil(worker)
        async with served(worker, room, unix_socket(path)):
            one, other = keeper(path, lines.log()), keeper(path, lines.log())
            await one.start()
            await other.start()
            await until(lambda: len(room.penalties.listeners) == 2)
            one.failed("192.0.2.1", 0, 77)
            assert one.level("192.0.2.1") == 1
            await until(lambda: other.level("192.0.2.1") == 1)
            other.failed("192.0.2.1", 1, 77)
            assert other.level("192.0.2.1") == 1, "the other process knows this guess too"
            one.failed("192.0.2.1", 1, 78)
            await one.stop()
            third = keeper(path, lines.log())
            await third.start()
            await until(lambda: third.level("192.0.2.1") == 2)
            third.succeeded("192.0.2.1")
            await until(lambda: other.level("192.0.2.1") == 0)
            await other.stop()
            await third.stop()

    run(kind, scenario)


def test_without_anvil_nobody_is_delayed_and_the_log_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        lines = Lines()
        alone = keeper(tmp_path / "nowhere", lines.log())
        await alone.start()
        for number in range(5):
            alone.failed("192.0.2.1", 0, number)
        assert alone.level("192.0.2.1") == 0 and not alone.by_address
        assert "nowhere" in lines.text
        await alone.stop()

    asyncio.run(scenario())


def test_switched_off() -> None:
    off = PenaltyKeeper("", None, limit=10, pid=1, now=time.time)  # type: ignore[arg-type]
    off.failed("192.0.2.1", 0, 1)
    assert off.level("192.0.2.1") == 0
    asyncio.run(off.start())


CONF = """
base_dir = {folder}/run
default_internal_user =
default_internal_group =
auth_failure_delay = 0
auth_penalty_max_waiting = 2
auth_max_requests = 8
passdb passwd-file {{
  passwd_file_path = {folder}/users
}}
userdb static {{
}}
"""


class Transport(asyncio.Transport):
    """Takes what is written."""

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


class Up:
    """In place of the connection to anvil."""

    def __init__(self) -> None:
        self.up = True
        self.written: list[bytes] = []

    def write(self, line: bytes) -> None:
        self.written.append(line.rstrip(b"\n"))

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Site:
    """An auth room with a login client, and what was told to anvil."""

    def __init__(self, folder: Path) -> None:
        (folder / "users").write_text("u:{PLAIN}pw::::::\nquick:{PLAIN}pw::::::nodelay\n")
        (folder / "roost.conf").write_text(CONF.format(folder=folder))
        config = load(str(folder / "roost.conf"))
        worker = Worker(config, config.services["auth"], asyncio.get_running_loop(), Lines().log())
        self._worker = worker
        self.anvil = Up()
        self.transport = Transport()

    async def start(self) -> None:
        self.room = await main.start(self._worker)
        self.room.penalties._link = self.anvil  # type: ignore[assignment]
        self.client = self.room.connection(ListenerInfo(-1, "unix", "auth-login", "login"))
        self.client.connection_made(self.transport)
        self.say(b"VERSION\t1\t4\nCPID\t7\n")

    def say(self, octets: bytes) -> bytes:
        self.transport.written = b""
        self.client.data(memoryview(octets))
        self.client.flush()
        return self.transport.written

    def ask(self, number: int, password: str = "pw", user: str = "u", more: str = "", rip: str = "192.0.2.1") -> bytes:
        response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.say(f"AUTH\t{number}\tPLAIN\tservice=imap\trip={rip}{more}\tuserdb\tresp={response}\n".encode())

    def waiting(self) -> list[int]:
        found = self.client.requests.items()  # type: ignore[attr-defined]
        return [number for number, request in found if request.state is State.WAITING]

    def secs(self, number: int) -> float:
        request = self.client.requests[number]  # type: ignore[attr-defined]
        return float(round(request.timer.when() - self.room.loop.time()))

    def let_go(self, number: int) -> bytes:
        """The waiting is over."""
        self.transport.written = b""
        self.client._start(self.client.requests[number])  # type: ignore[attr-defined]
        self.client.flush()
        return self.transport.written


def at(tmp_path: Path, scenario: Any) -> None:
    async def run_it() -> None:
        site = Site(tmp_path)
        await site.start()
        await scenario(site)
        site.room.clients.clear()
        await site.room.drain(politely=False)
        await site._worker.aclose()

    asyncio.run(run_it())


def test_each_failure_makes_the_next_attempt_wait_longer(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        assert site.ask(1, "no").startswith(b"FAIL\t1")
        told = [site.anvil.written[-1]]
        for number, secs in ((2, 4), (3, 8), (4, 15), (5, 15)):
            assert site.ask(number, f"no{number}") == b""
            assert site.secs(number) == secs
            assert site.let_go(number).startswith(b"FAIL\t%d" % number)
            told.append(site.anvil.written[-1])
        assert [line.rpartition(b"\t")[2] for line in told] == [b"1", b"2", b"3", b"4", b"4"]
        assert all(line.startswith(b"PENALTY-INC\t192.0.2.1\t") for line in told)
        assert len(set(told)) == 5
        assert site.ask(6, rip="192.0.2.2").startswith(b"OK\t6"), "another address"
        assert site.ask(7, more="\tno-penalty").startswith(b"OK\t7")
        assert site.ask(8) == b"" and site.secs(8) == 15, "the right password waits too"
        assert site.let_go(8).startswith(b"OK\t8")
        assert site.anvil.written[-1] == b"PENALTY-INC\t192.0.2.1\t0\t0"
        assert site.ask(9).startswith(b"OK\t9")

    at(tmp_path, scenario)


def test_one_wrong_password_tried_again_and_again_counts_once(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        site.ask(1, "no")
        for number in range(2, 6):
            site.ask(number, "no")
            assert site.secs(number) == 4
            site.let_go(number)

    at(tmp_path, scenario)


def test_who_is_not_punished(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        site.ask(1, "no", more="\tno-penalty")
        site.ask(2, "no", user="quick")
        site.ask(3, "no", rip="unknown")
        assert site.anvil.written == []
        assert site.ask(4).startswith(b"OK\t4")

    at(tmp_path, scenario)


def test_what_waits_is_bounded_and_leaves_when_it_is_given_up(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        site.ask(1, "no")
        site.ask(2)
        site.ask(3)
        assert b"code=temp_fail" in site.ask(4)
        assert site.waiting() == [2, 3]
        assert site.say(b"CONT\t3\tAA==\n").startswith(b"FAIL\t3"), "it is not the client's turn"
        assert site.say(b"CANCEL\t2\n") == b"CANCELLED\t2\n"
        assert site.waiting() == []
        assert site.ask(5) == site.ask(6) == b""
        site.client.expire(site.room.loop.time() + 1000)  # type: ignore[attr-defined]
        assert site.waiting() == [5, 6]
        site.client.lost(None)
        assert site.room.penalties._waiting == {}

    at(tmp_path, scenario)


def test_many_addresses_leave_room_for_others(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        for number in range(5):
            site.room.penalties.table.set(f"192.0.2.{number}", 0, 1, time.time(), time.time())
            site.ask(2 * number + 1, rip=f"192.0.2.{number}")
            site.ask(2 * number + 2, rip=f"192.0.2.{number}")
        assert site.waiting() == [1, 2, 3, 4]
        assert site.ask(20, rip="198.51.100.1").startswith(b"OK")
        site.say(b"CANCEL\t1\n")
        site.ask(21, rip="192.0.2.4")
        assert site.waiting() == [2, 3, 4, 21]

    at(tmp_path, scenario)


def test_an_attempt_that_waits_asks_nobody(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        asked: list[str] = []
        site.room.core.authenticate = lambda *_args, **_more: asked.append("!")  # type: ignore[method-assign,assignment]
        site.room.penalties.table.set("2001:db8::", 0, 1, time.time(), time.time())
        site.ask(1, rip="2001:db8::5")
        assert site.waiting() == [1] and asked == []

    at(tmp_path, scenario)
