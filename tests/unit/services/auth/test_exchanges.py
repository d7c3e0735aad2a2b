"""SASL exchanges in the room, without sockets: whatever a client sends ends that exchange and leaves nothing."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.sasl_client import ScramClient, cram_md5, digest_md5

from roost.auth.api import TOKEN_FAILURE, Entry, Outcome, Query
from roost.errors import Unavailable
from roost.events.log import Log, Sink
from roost.proc.contract import ListenerInfo
from roost.sasl import MECHANISMS
from roost.settings import load
from roost.util.secret import Secret
from roost.worker.service import Worker
from services.auth import main
from services.auth.client import ClientConnection
from services.auth.passdb import PASSDBS

CONF = """
base_dir = {folder}/run
state_dir = {folder}/state
default_internal_user =
default_internal_group =
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_username_chars =
auth_mechanisms = {mechanisms}
auth_max_response_octets = 2000
passdb static {{
  static_password = pw
}}
userdb static {{
}}
"""


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({})
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True

    abort = close


class Room:
    """The room and one connection of a client that speaks version 1.4."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        path = folder / "roost.conf"
        path.write_text(CONF.format(folder=folder, mechanisms=" ".join(MECHANISMS).lower()))
        config = load(str(path))
        self.loop = loop
        self.null = os.open(os.devnull, os.O_WRONLY)
        self.worker = Worker(config, config.services["auth"], loop, Log("auth: ", Sink(self.null)))
        self.room = loop.run_until_complete(main.start(self.worker))
        self.client = self.connect()

    def connect(self) -> ClientConnection:
        connection = self.room.connection(ListenerInfo(-1, "unix", "auth-client", "auth"))
        assert isinstance(connection, ClientConnection)
        self.transport = Transport()
        connection.connection_made(self.transport)
        self.client = connection
        self.say(b"VERSION\t1\t4\nCPID\t1\n")
        return connection

    def close(self) -> None:
        self.loop.run_until_complete(self.room.drain(politely=False))
        self.loop.close()
        os.close(self.null)

    def say(self, octets: bytes) -> list[bytes]:
        """The lines that come back until nothing is at work."""
        self.transport.written = b""
        self.client.data(memoryview(octets))
        self.client.flush()
        while tasks := [request.task for request in self.client.requests.values() if request.task]:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=20))
        self.client.flush()
        return self.transport.written.splitlines()

    def left(self) -> tuple[int, ...]:
        room = self.room
        timers, tasks = len(self.worker._timers), len(self.worker._tasks)
        return (len(self.client.requests), len(room.failures), len(room.internal), timers, tasks, len(room.clients))


@pytest.fixture
def room(tmp_path: Path) -> Any:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    made = Room(tmp_path, loop)
    yield made
    assert not made.transport.closed, "the room ended the connection"
    made.close()


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets) or b"="


def steps(name: str) -> list[Callable[[bytes], bytes]]:
    """A right client's answers."""
    scram = ScramClient("sha1" if "SHA-1" in name else "sha256", b"u", b"pw", header=b"n,,")
    if name.endswith("-PLUS"):
        scram = ScramClient(scram.algorithm, b"u", b"pw", header=b"p=tls-unique,,", binding=b"data")
    bearer = b"auth=Bearer pw\x01\x01"
    known: dict[str, list[Callable[[bytes], bytes]]] = {
        "PLAIN": [lambda _: b"\0u\0pw"],
        "LOGIN": [lambda _: b"u", lambda _: b"pw"],
        "CRAM-MD5": [lambda text: cram_md5(b"u", b"pw", text)],
        "DIGEST-MD5": [lambda text: digest_md5(b"u", b"pw", text)[0], lambda _: b""],
        "EXTERNAL": [lambda _: b"u"],
        "ANONYMOUS": [lambda _: b"trace"],
        "OAUTHBEARER": [lambda _: b"n,a=u,\x01" + bearer],
        "XOAUTH2": [lambda _: b"user=u\x01" + bearer],
    }
    return known.get(name, [lambda _: scram.first(), scram.final, lambda _: b""])


def run(room: Room, name: str, answers: list[Callable[[bytes], bytes]], number: int = 1) -> bytes:
    """The whole exchange; the last line."""
    lines = room.say(b"AUTH\t%d\t%b\tservice=imap\tsecured=tls\n" % (number, name.encode()))
    left = list(answers)
    for _ in range(8):
        assert len(lines) == 1, lines
        parts = lines[0].split(b"\t")
        if parts[0] != b"CONT":
            return lines[0]
        if parts[2] == b"#":
            lines = room.say(b"CONT\t%d\t#\tchannel_binding=%b\n" % (number, b64(b"data")))
            continue
        answer = left.pop(0)(base64.b64decode(parts[2])) if left else b""
        lines = room.say(b"CONT\t%d\t%b\n" % (number, base64.b64encode(answer)))
    raise AssertionError(lines)


@pytest.mark.parametrize("name", sorted(set(MECHANISMS) - {"EXTERNAL"}))
def test_a_right_client_gets_in(room: Room, name: str) -> None:
    assert run(room, name, steps(name)).startswith(b"OK\t1\tuser=")
    assert not room.client.requests


@pytest.mark.parametrize(("name", "at"), [(name, at) for name in sorted(MECHANISMS) for at in range(len(steps(name)))])
@pytest.mark.parametrize(
    "octets", [b"", b"\0", b"\xff\xfe\xfd", b"\x01" * 40, b"," * 300, b"a" * 2001, b"\r\n\t\x01t", b"*"], ids=repr
)
def test_any_octets_at_any_step_end_that_exchange_only(room: Room, name: str, at: int, octets: bytes) -> None:
    right = steps(name)
    answers = [*right[:at], lambda _: octets]
    last = run(room, name, answers)
    if name in ("ANONYMOUS",) and len(octets) < 256 and octets.isascii() and octets.decode().isprintable():
        assert last.startswith(b"OK\t1")
    elif octets == b"" and at > 0 and at == len(right) - 1 and name not in ("LOGIN",):
        assert last.startswith(b"OK\t1")  # that is the right answer to the server's last words
    else:
        assert last.startswith(b"FAIL\t1"), last
    assert room.left()[:3] == (0, 0, 0)
    assert run(room, "PLAIN", steps("PLAIN"), 2).startswith(b"OK\t2\tuser=u")


@pytest.mark.parametrize("name", sorted(MECHANISMS))
@pytest.mark.parametrize("text", [b"!", b"a", b"YQ", b"YQ=", b"YQ==YQ==", b"Y Q="])
def test_broken_base64_ends_that_exchange_only(room: Room, name: str, text: bytes) -> None:
    room.say(b"AUTH\t1\t%b\tservice=imap\tsecured=tls\n" % name.encode())
    lines = room.say(b"CONT\t1\t" + text + b"\n")
    assert lines and lines[0].startswith(b"FAIL\t1"), lines
    lines = room.say(b"AUTH\t1\t%b\tservice=imap\tsecured=tls\tresp=%b\n" % (name.encode(), text))
    assert lines and lines[0].startswith(b"FAIL\t1"), lines
    assert room.left()[:3] == (0, 0, 0)


@pytest.mark.parametrize("name", ["SCRAM-SHA-256-PLUS"])
@pytest.mark.parametrize(
    "answer", [b"#", b"", b"#\tchannel_binding=", b"#\tchannel_binding=!", b"YQ==", b"#\tchannel_binding=b3RoZXI="]
)
def test_odd_answers_to_the_question_for_binding_data(room: Room, name: str, answer: bytes) -> None:
    client = ScramClient("sha256", b"u", b"pw", header=b"p=tls-unique,,", binding=b"data")
    room.say(b"AUTH\t1\t%b\tservice=imap\tsecured=tls\n" % name.encode())
    assert room.say(b"CONT\t1\t%b\n" % b64(client.first())) == [b"CONT\t1\t#\tchannel_binding=tls-unique"]
    lines = room.say(b"CONT\t1\t%b\n" % answer)
    if lines[0].startswith(b"CONT"):  # the wrong data shows in the proof
        challenge = base64.b64decode(lines[0].split(b"\t")[2])
        lines = room.say(b"CONT\t1\t%b\n" % b64(client.final(challenge)))
    assert lines[0].startswith(b"FAIL\t1")


def test_ten_thousand_aborted_exchanges_leave_nothing(room: Room) -> None:
    names = sorted(MECHANISMS)

    def abort(count: int, first: int) -> None:
        for number in range(first, first + count):
            name = names[number % len(names)].encode()
            begun = room.say(b"AUTH\t%d\t%b\tservice=imap\tsecured=tls\n" % (number, name))
            assert begun[0].startswith(b"CONT\t%d\t" % number)
            if number % 3 == 0 and name.startswith(b"SCRAM"):
                header = b"p=tls-unique" if name.endswith(b"PLUS") else b"n"
                room.say(b"CONT\t%d\t%b\n" % (number, b64(header + b",,n=u,r=abc")))
            assert room.say(b"CANCEL\t%d\n" % number)[-1] == b"CANCELLED\t%d" % number

    abort(600, 1)
    before = room.left()
    gc.collect()
    objects = len(gc.get_objects())
    abort(10_000, 1001)
    assert room.left() == before and before[0] == 0
    gc.collect()
    assert len(gc.get_objects()) - objects < 500
    room.client.connection_lost(None)
    assert room.left()[-1] == before[-1] - 1
    room.connect()


@pytest.mark.parametrize("name", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "CRAM-MD5", "DIGEST-MD5"])
def test_what_was_right_once_is_refused_again(room: Room, name: str) -> None:
    said: list[bytes] = []

    def recorded(step: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        def answer(challenge: bytes) -> bytes:
            said.append(step(challenge))
            return said[-1]

        return answer

    assert run(room, name, [recorded(step) for step in steps(name)]).startswith(b"OK\t1")
    replay: list[Callable[[bytes], bytes]] = [lambda _, text=text: text for text in said]  # type: ignore[misc]
    assert run(room, name, replay).startswith(b"FAIL\t1")


def test_a_token_that_will_not_do_is_explained_first(room: Room) -> None:
    lines = room.say(b"AUTH\t1\tOAUTHBEARER\tservice=imap\tresp=%b\n" % b64(b"n,a=u,\x01auth=Bearer no\x01\x01"))
    assert base64.b64decode(lines[0].split(b"\t")[2]) == b'{"status": "invalid_token"}'
    assert room.say(b"CONT\t1\tAQ==\n")[0].startswith(b"FAIL\t1")
    lines = room.say(b"AUTH\t1\tXOAUTH2\tservice=imap\tresp=%b\n" % b64(b"user=u\x01auth=Bearer no\x01\x01"))
    assert base64.b64decode(lines[0].split(b"\t")[2]) == b'{"status": "401", "schemes": "bearer", "scope": "mail"}'
    assert room.say(b"CONT\t1\t\n")[0].startswith(b"FAIL\t1")
    assert room.left()[:3] == (0, 0, 0)


class Tokens:
    """A passdb that verifies tokens by itself."""

    variables = None
    scope = "imap"
    openid_configuration = "https://id.example/"

    async def find(self, query: Query) -> Entry | None:
        return None

    def decoy(self) -> str:
        return ""

    async def verify_token(self, query: Query, token: Secret) -> Entry | None:
        answers = {
            b"good": Entry(fields={"user": "u@example.org"}),
            b"narrow": Entry(outcome=Outcome.MISMATCH, fields={TOKEN_FAILURE: "insufficient_scope"}),
            b"odd": Entry(outcome=Outcome.MISMATCH, fields={TOKEN_FAILURE: "nonsense"}),
        }
        if token.reveal() == b"down":
            raise Unavailable("Down.", detail="the server is down")
        return answers.get(token.reveal())


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("narrow", "insufficient_scope"),
        ("odd", "invalid_token"),
        ("unknown", "invalid_token"),
        ("good", ""),
        ("down", ""),
    ],
)
def test_a_database_that_verifies_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, status: str
) -> None:
    monkeypatch.setitem(cast("dict[str, object]", PASSDBS), "static", lambda settings, context: Tokens())
    room = Room(tmp_path, asyncio.new_event_loop())
    lines = room.say(
        b"AUTH\t1\tOAUTHBEARER\tservice=imap\tresp=%b\n" % b64(b"n,a=u,\x01auth=Bearer %b\x01\x01" % token.encode())
    )
    if token == "good":
        assert lines[0].startswith(b"OK\t1\tuser=u@example.org")
    elif token == "down":
        assert lines[0].startswith(b"FAIL\t1") and b"code=temp_fail" in lines[0]
    else:
        told = json.loads(base64.b64decode(lines[0].split(b"\t")[2]))
        assert told == {"status": status, "scope": "imap", "openid-configuration": "https://id.example/"}
        assert room.say(b"CONT\t1\tAQ==\n")[0].startswith(b"FAIL\t1")
    assert room.left()[:3] == (0, 0, 0)
    room.close()


EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2), st.binary(max_size=3)), min_size=1, max_size=4)


@given(name=st.sampled_from(sorted(MECHANISMS)), at=st.integers(0, 2), edits=EDITS)
@settings(max_examples=200, deadline=None)
def test_random_octets_at_each_step(
    tmp_path_factory: pytest.TempPathFactory, name: str, at: int, edits: list[tuple[float, int, bytes]]
) -> None:
    global _shared
    if _shared is None:
        _shared = Room(tmp_path_factory.mktemp("random"), asyncio.new_event_loop())
    room = _shared
    right = steps(name)
    at = min(at, len(right) - 1)

    def broken(challenge: bytes) -> bytes:
        octets = bytearray(right[at](challenge))
        for where, removed, added in edits:
            place = int(where * len(octets))
            octets[place : place + removed] = added
        return bytes(octets)

    last = run(room, name, [*right[:at], broken])
    assert last.startswith((b"OK\t1\tuser=", b"FAIL\t1")), last
    assert room.left()[:3] == (0, 0, 0)


_shared: Room | None = None
