"""passdb imap against scripted servers: every outcome, TLS, bounds, hostile ones."""

from __future__ import annotations

import asyncio
import base64
import socketserver
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme

from roost.auth.api import Entry, Outcome, Passdb, Query
from roost.errors import ConfigError, Unavailable
from roost.settings.schema.auth import PassdbSettings
from roost.testing.passdb import KNOWN_PASSWORD, PassdbSuite, StoredUser, driver_context
from roost.util.secret import Secret
from services.auth.passdb.imap import Imap

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GREETING = b"* OK [CAPABILITY IMAP4rev1] hi\r\n"
IN_SECS = 20


def answering(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        line = await reader.readline()
        tag = line.partition(b" ")[0]
        good = line.strip().endswith(b'LOGIN "alice" "pw"')
        writer.write(
            tag + b" " + (b"OK in" if good and not answer else answer or b"NO [AUTHENTICATIONFAILED] x") + b"\r\n"
        )
        await reader.read()

    return talk


class Server:
    """One scripted server; ``most``: connections open at once."""

    def __init__(self, talk: Talk, tls: ssl.SSLContext | None = None) -> None:
        self.talk, self.tls = talk, tls
        self.open = self.most = self.seen = 0

    async def __aenter__(self) -> Server:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.seen += 1
        self.most = max(self.most, self.open)
        try:
            await self.talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort()

    def driver(self, **settings: Any) -> Imap:
        given = {"imapc_host": "localhost", "imapc_port": self.port, "imapc_timeout_secs": 5, **settings}
        return Imap(PassdbSettings(name="imap", **given), driver_context())


def verify(talk: Talk, password: bytes = b"pw", user: str = "alice", **settings: Any) -> Entry | None:
    async def run() -> Entry | None:
        async with Server(talk) as server, asyncio.timeout(IN_SECS):
            return await server.driver(**settings).verify(Query(user), Secret(password))

    return asyncio.run(run())


def outcome(talk: Talk, password: bytes = b"pw", **settings: Any) -> Outcome:
    entry = verify(talk, password, **settings)
    assert entry is not None
    return entry.outcome


def test_outcomes() -> None:
    assert outcome(answering(b"")) is Outcome.OK
    assert outcome(answering(b""), b"no") is Outcome.MISMATCH
    assert outcome(answering(b""), b"p\0w") is Outcome.MISMATCH
    assert outcome(answering(b"NO [EXPIRED] old")) is Outcome.EXPIRED
    for answer in (b"NO [UNAVAILABLE] x", b"BAD x", b"* BYE x", b"garbage"):
        with pytest.raises(Unavailable):
            verify(answering(answer))


def test_the_name_at_the_other_server() -> None:
    assert outcome(answering(b""), user="alice@example.org", imapc_user="%{user | username}") is Outcome.OK
    assert outcome(answering(b""), imapc_user="%{owner_user}") is Outcome.OK
    assert outcome(answering(b""), user="bob") is Outcome.MISMATCH


@pytest.mark.parametrize(
    "user", ["alice", "alice@", "a@.", "a@-x", "a@x y", "a@x/y", "a@x\r\n", "a@[::1]", "a@" + "x" * 300]
)
def test_a_name_that_makes_no_host_is_nobody(user: str) -> None:
    assert verify(answering(b""), user=user, imapc_host="%{user | domain}") is None


def test_servers_that_hang_up_or_say_nothing() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await reader.readline()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"* OK " + b"x" * 10_000 + b"\r\n")
            await writer.drain()

    for talk in (gone, endless):
        with pytest.raises(Unavailable):
            verify(talk)
    with pytest.raises(Unavailable) as caught:
        verify(silent, imapc_timeout_secs=1)
    assert "no answer within" in caught.value.detail
    with pytest.raises(Unavailable):
        verify(silent, imapc_port=1)
    with pytest.raises(Unavailable):
        verify(silent, imapc_host="no-such-host.invalid")


def tls_of(folder: Path, name: str) -> tuple[ssl.SSLContext, str]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    path = folder / f"{name}.pem"
    authority.cert_pem.write_to_path(str(path))
    return context, str(path)


def test_tls_at_once_and_its_certificate(tmp_path: Path) -> None:
    good, ca_file = tls_of(tmp_path, "localhost")
    other, other_ca = tls_of(tmp_path, "other.example")

    async def one(context: ssl.SSLContext, **settings: Any) -> Entry | None:
        async with Server(answering(b""), context) as server, asyncio.timeout(IN_SECS):
            return await server.driver(imapc_ssl="imaps", **settings).verify(Query("alice"), Secret(b"pw"))

    entry = asyncio.run(one(good, ssl_client_ca_file=ca_file))
    assert entry is not None and entry.outcome is Outcome.OK
    entry = asyncio.run(one(other, ssl_client_require_valid_cert=False))
    assert entry is not None and entry.outcome is Outcome.OK
    for context, authority in ((good, other_ca), (other, other_ca), (good, "")):
        with pytest.raises(Unavailable, match="Temporary"):
            asyncio.run(one(context, ssl_client_ca_file=authority))
    with pytest.raises(ConfigError):
        Imap(PassdbSettings(imapc_host="x", imapc_ssl="imaps", ssl_client_ca_file="/nonexistent"), driver_context())


def starttls(context: ssl.SSLContext, *, injected: bytes = b"", answer: bytes = b"OK go") -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR] hi\r\n")
        line = await reader.readline()
        assert line == b"A1 STARTTLS\r\n"
        writer.write(b"A1 " + answer + b"\r\n" + injected)
        if not answer.startswith(b"OK"):
            assert await reader.read() == b""
            return
        await writer.start_tls(context)
        assert await reader.readline() == b"A2 CAPABILITY\r\n"
        writer.write(b"* CAPABILITY IMAP4rev1\r\nA2 OK x\r\n")
        assert await reader.readline() == b'A3 LOGIN "alice" "pw"\r\n'
        writer.write(b"A3 OK in\r\n")
        await reader.read()

    return talk


def test_starttls(tmp_path: Path) -> None:
    context, ca_file = tls_of(tmp_path, "localhost")
    tls = {"imapc_ssl": "starttls", "ssl_client_ca_file": ca_file}
    assert outcome(starttls(context), **tls) is Outcome.OK
    for talk in (starttls(context, injected=b"* x\r\n"), starttls(context, answer=b"NO"), answering(b"OK")):
        with pytest.raises(Unavailable):
            verify(talk, imapc_timeout_secs=1, **tls)
    _, other_ca = tls_of(tmp_path, "elsewhere")
    with pytest.raises(Unavailable):
        verify(starttls(context), imapc_ssl="starttls", ssl_client_ca_file=other_ca)


def test_two_hundred_at_once_by_five_connections() -> None:
    async def run() -> None:
        async with Server(answering(b"")) as server, asyncio.timeout(IN_SECS):
            driver = server.driver(imapc_max_connections=5)

            async def one(number: int) -> None:
                entry = await driver.verify(Query("alice"), Secret(b"pw" if number % 2 else b"no"))
                assert entry is not None
                assert (entry.outcome is Outcome.OK) == bool(number % 2)

            await asyncio.gather(*(one(number) for number in range(200)))
            assert server.seen == 200
            full = server.driver(imapc_max_connections=1, imapc_max_waiting=3)
            done = await asyncio.gather(
                *(full.verify(Query("alice"), Secret(b"pw")) for _ in range(10)), return_exceptions=True
            )
            assert sum(isinstance(one, Unavailable) for one in done) in (6, 7)

    asyncio.run(run())


def test_settings() -> None:
    with pytest.raises(ConfigError):
        Imap(PassdbSettings(), driver_context())
    with pytest.raises(ConfigError):
        Imap(PassdbSettings(imapc_host="%{user | nosuch}"), driver_context())
    made = Imap(PassdbSettings(imapc_host="imap.%{user | domain}", imapc_ssl="imaps"), driver_context())
    assert made.variables == {"user"} and made._port == 993
    assert Imap(PassdbSettings(imapc_host="x"), driver_context())._port == 143
    by_field = Imap(PassdbSettings(imapc_host="%{passdb:host}"), driver_context())
    assert by_field.variables is None


class TestSuite(PassdbSuite):
    """Against a server in a thread that knows alice, and others by names only."""

    lookups = False
    fields = False

    @pytest.fixture(autouse=True)
    def server(self) -> Iterator[None]:
        self.known: dict[bytes, bytes] = {}
        suite = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi\r\n")
                tag, *words = self.rfile.readline().split()
                assert words[:2] == [b"AUTHENTICATE", b"PLAIN"]
                _, user, password = base64.b64decode(words[2]).split(b"\0")
                good = suite.known.get(user) == password
                self.wfile.write(tag + (b" OK in\r\n" if good else b" NO [AUTHENTICATIONFAILED] no\r\n"))
                assert self.rfile.readline() in (b"Z LOGOUT\r\n", b"")

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
            server.daemon_threads = True
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            yield
            server.shutdown()
            thread.join()

    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        self.known = {user.name.encode(): b"another" for user in users} | {b"alice": KNOWN_PASSWORD}
        return Imap(PassdbSettings(imapc_host="127.0.0.1", imapc_port=self.port), driver_context())

    def change(self, tmp_path: Path, users: Sequence[StoredUser]) -> None:
        self.known = {b"dora": b"new"}
