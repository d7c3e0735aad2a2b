"""AuthClient against a scripted server: its lines, its errors, reconnection, cancellation, time limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from roost.clients import auth_link
from roost.clients.auth import AuthClient, AuthOk, Challenge
from roost.errors import AuthTemporaryFailure, InvalidCredentials, LoginForbidden
from roost.events.log import Log, Sink
from roost.storage.api import ConnInfo
from roost.util.secret import Secret

HELLO = b"VERSION\t1\t4\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t5\nCUID\t6\nCOOKIE\tab\nDONE\n"
MASTER_HELLO = b"VERSION\t1\t4\nSPID\t5\n"
CONN = ConnInfo("imap", "s1", "192.0.2.1", 1000, "192.0.2.2", 993, True)
PW = Secret(b"pw")
PARAMETERS = b"\tservice=imap\tsecured\tsession=s1\tlip=192.0.2.2\trip=192.0.2.1\tlport=993\trport=1000\tuserdb"


class Script:
    """A server that writes a greeting and then does what the test says, connection by connection."""

    def __init__(self, path: Path, hello: bytes = HELLO) -> None:
        self.path = str(path)
        self.hello = hello
        self.connections: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self.server: asyncio.Server | None = None

    async def start(self) -> None:
        self.server = await asyncio.start_unix_server(self._accept, self.path)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.hello)
        await self.connections.put((reader, writer))

    async def next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.wait_for(self.connections.get(), 10)

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        os.unlink(self.path)


async def line(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readline(), 10)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))  # type: ignore[arg-type]


def quiet() -> Log:
    return Log("test: ", Sink(os.open(os.devnull, os.O_WRONLY)))


async def connected(script: Script, **options: object) -> tuple[AuthClient, asyncio.StreamReader, asyncio.StreamWriter]:
    await script.start()
    client = AuthClient(script.path, quiet(), pid=77, **options)  # type: ignore[arg-type]
    await client.start()
    reader, writer = await script.next()
    assert await line(reader) == b"VERSION\t1\t4\n"
    assert await line(reader) == b"CPID\t77\n"
    return client, reader, writer


def test_a_login_is_one_line_each_way(tmp_path: Path) -> None:
    async def test() -> None:
        client, reader, writer = await connected(Script(tmp_path / "s"), mail_home="/mail/%{user}")
        assert client.mechanisms == {"PLAIN": frozenset({"plaintext"}), "LOGIN": frozenset({"plaintext"})}
        task = asyncio.ensure_future(client.login("u", PW, CONN))
        assert await line(reader) == b"AUTH\t1\tPLAIN" + PARAMETERS + b"\tresp=AHUAcHc=\n"
        writer.write(b"OK\t1\tuser=U\tx=a\x01tb\tuserdb_uid=5\tuserdb_quota=1G\n")
        ok = await task
        assert ok == AuthOk("U", ok.identity, {"user": "U", "x": "a\tb"})
        assert ok.identity.username == "U" and ok.identity.home == "/mail/U"
        assert ok.identity.fields == {"uid": "5", "quota": "1G"}
        task = asyncio.ensure_future(client.login("u", PW, CONN))
        await line(reader)
        writer.write(b"OK\t2\tuser=u\tuserdb_user=real\tuserdb_home=/h/real\n")
        ok = await task
        assert ok.user == ok.identity.username == "real" and ok.identity.home == "/h/real"
        client.close()

    run(test)


FAILURES: list[tuple[bytes, type[Exception], str | None, str]] = [
    (b"FAIL\t1\tuser=u", InvalidCredentials, "AUTHENTICATIONFAILED", "Authentication failed."),
    (b"FAIL\t1", InvalidCredentials, "AUTHENTICATIONFAILED", "Authentication failed."),
    (b"FAIL\t1\treason=Go away", InvalidCredentials, "AUTHENTICATIONFAILED", "Go away"),
    (b"FAIL\t1\tcode=invalid_base64", InvalidCredentials, "AUTHENTICATIONFAILED", "Authentication failed."),
    (b"FAIL\t1\tcode=temp_fail", AuthTemporaryFailure, "UNAVAILABLE", "Temporary authentication failure."),
    (b"FAIL\t1\tcode=authz_fail", LoginForbidden, "AUTHORIZATIONFAILED", "Authorization failed."),
    (b"FAIL\t1\tcode=user_disabled\treason=Pay first", LoginForbidden, "CONTACTADMIN", "Pay first"),
    (b"FAIL\t1\tcode=pass_expired", LoginForbidden, "EXPIRED", "Password is expired."),
    (b"OK\t1\tuser=u\tnologin\treason=Moved", LoginForbidden, "CONTACTADMIN", "Moved"),
    (b"OK\t1", AuthTemporaryFailure, "UNAVAILABLE", "Temporary authentication failure."),
    (b"OK\t1\tuser=u\tuserdb_home=relative", AuthTemporaryFailure, "UNAVAILABLE", "Temporary authentication failure."),
    (b"CONT\t1\t", AuthTemporaryFailure, "UNAVAILABLE", "Temporary authentication failure."),
]


@pytest.mark.parametrize(("reply", "error", "code", "text"), FAILURES, ids=lambda value: str(value)[:40])
def test_errors(tmp_path: Path, reply: bytes, error: type[Exception], code: str | None, text: str) -> None:
    async def test() -> None:
        client, reader, writer = await connected(Script(tmp_path / "s"))
        task = asyncio.ensure_future(client.login("u", PW, CONN))
        await line(reader)
        writer.write(reply + b"\n")
        with pytest.raises(error) as caught:
            await task
        assert caught.value.code == code and caught.value.client_text == text  # type: ignore[attr-defined]
        assert "pw" not in str(caught.value)
        client.close()

    run(test)


def test_replies_out_of_order_and_to_nobody(tmp_path: Path) -> None:
    async def test() -> None:
        client, reader, writer = await connected(Script(tmp_path / "s"))
        tasks = [asyncio.ensure_future(client.login(f"u{number}", PW, CONN)) for number in range(1, 4)]
        for _ in tasks:
            await line(reader)
        writer.write(b"OK\t99\tuser=x\nOK\tx\nNEWS\n\nOK\t3\tuser=u3\nFAIL\t1\nFAIL\t3\nOK\t2\tuser=u2\n")
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], InvalidCredentials)
        assert [getattr(result, "user", "") for result in results[1:]] == ["u2", "u3"]
        client.close()

    run(test)


def test_an_exchange(tmp_path: Path) -> None:
    async def test() -> None:
        client, reader, writer = await connected(Script(tmp_path / "s"))
        exchange = client.begin("login", CONN, None)
        task = asyncio.ensure_future(exchange.next())
        assert await line(reader) == b"AUTH\t1\tLOGIN" + PARAMETERS + b"\n"
        writer.write(b"CONT\t1\tVXNlcm5hbWU6\n")
        assert await task == Challenge(b"Username:")
        task = asyncio.ensure_future(exchange.next(b"u"))
        assert await line(reader) == b"CONT\t1\tdQ==\n"
        writer.write(b"OK\t1\tuser=u\n")
        assert isinstance(await task, AuthOk)
        exchange.cancel()  # harmless now

        again = client.begin("PLAIN", CONN, b"")
        task = asyncio.ensure_future(again.next())
        assert (await line(reader)).endswith(b"\tresp==\n")
        writer.write(b"CONT\t2\t\n")
        assert await task == Challenge(b"")
        again.cancel()
        assert await line(reader) == b"CANCEL\t2\n"
        writer.write(b"CANCELLED\t2\n")
        with pytest.raises(AuthTemporaryFailure):
            await again.next(b"x")
        client.close()

    run(test)


def test_what_cannot_be_sent_is_refused_here(tmp_path: Path) -> None:
    async def test() -> None:
        client, reader, writer = await connected(Script(tmp_path / "s"))
        for user, password in (("a\0b", b"x"), ("a", b"x\0y"), ("u" * 20000, b"x"), ("u", b"x" * 20000)):
            with pytest.raises(InvalidCredentials):
                await client.login(user, Secret(password), CONN)
        with pytest.raises(InvalidCredentials):
            client.begin("PLAIN", CONN, b"x" * 20000)
        exchange = client.begin("LOGIN", CONN, None)
        task = asyncio.ensure_future(exchange.next())
        await line(reader)
        writer.write(b"CONT\t1\t\n")
        await task
        with pytest.raises(InvalidCredentials):
            await exchange.next(b"x" * 20000)
        assert await line(reader) == b"CANCEL\t1\n"
        client.close()

    run(test)


def test_a_name_cannot_start_a_field_or_a_line(tmp_path: Path) -> None:
    async def test() -> None:
        client, reader, _ = await connected(Script(tmp_path / "s"))
        hostile = ConnInfo("imap", "a\tb\nAUTH\t9", "1\t2", 1, "3\n4", 2)
        task = asyncio.ensure_future(client.login("u", PW, hostile))
        sent = await line(reader)
        assert sent.count(b"\t") == 10 and b"session=a\x01tb\x01nAUTH\x01t9\t" in sent
        task.cancel()
        client.close()

    run(test)


def test_a_cancelled_login_is_cancelled_at_the_server(tmp_path: Path) -> None:
    async def test() -> None:
        client, reader, writer = await connected(Script(tmp_path / "s"))
        task = asyncio.ensure_future(client.login("u", PW, CONN))
        await line(reader)
        task.cancel()
        assert await line(reader) == b"CANCEL\t1\n"
        writer.write(b"OK\t1\tuser=u\n")  # too late, for nobody
        task = asyncio.ensure_future(client.login("v", PW, CONN))
        assert (await line(reader)).startswith(b"AUTH\t2\t")
        writer.write(b"OK\t2\tuser=v\n")
        assert (await task).user == "v"
        client.close()

    run(test)


def test_an_unanswered_login_is_sent_again_once_to_the_next_server(tmp_path: Path) -> None:
    async def test() -> None:
        script = Script(tmp_path / "s")
        client, reader, writer = await connected(script)
        task = asyncio.ensure_future(client.login("u", PW, CONN))
        first = await line(reader)
        writer.close()
        reader, writer = await script.next()
        assert [await line(reader) for _ in range(2)] == [b"VERSION\t1\t4\n", b"CPID\t77\n"]
        again = await line(reader)
        assert again.split(b"\t", 2)[2] == first.split(b"\t", 2)[2]
        writer.write(b"OK\t" + again.split(b"\t")[1] + b"\tuser=u\n")
        assert (await task).user == "u"

        task = asyncio.ensure_future(client.login("poison", PW, CONN))
        for _ in range(2):
            while not (await line(reader)).startswith(b"AUTH"):
                pass
            writer.close()
            reader, writer = await script.next()
        with pytest.raises(AuthTemporaryFailure):
            await task
        client.close()

    run(test)


def test_a_conversation_does_not_survive_its_server(tmp_path: Path) -> None:
    async def test() -> None:
        script = Script(tmp_path / "s")
        client, reader, writer = await connected(script)
        exchange = client.begin("LOGIN", CONN, None)
        task = asyncio.ensure_future(exchange.next())
        await line(reader)
        writer.write(b"CONT\t1\t\n")
        await task
        waiting = asyncio.ensure_future(exchange.next(b"u"))
        await line(reader)
        writer.close()
        with pytest.raises(AuthTemporaryFailure):
            await waiting
        with pytest.raises(AuthTemporaryFailure):
            await exchange.next(b"u")
        client.close()

    run(test)


def test_a_server_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    async def test() -> None:
        script = Script(tmp_path / "s")
        client = AuthClient(script.path, quiet(), pid=77)
        starting = asyncio.ensure_future(client.start())
        await asyncio.sleep(0)
        login = None
        while login is None:
            try:
                login = asyncio.ensure_future(client.login("u", PW, CONN))
            except AuthTemporaryFailure:
                await asyncio.sleep(0)
        await script.start()
        reader, writer = await script.next()
        while not (await line(reader)).startswith(b"AUTH\t1\t"):
            pass
        writer.write(b"OK\t1\tuser=u\n")
        assert (await login).user == "u"
        await starting
        client.close()

    run(test)


def test_without_a_server_a_login_fails_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(auth_link, "CONNECT_WAIT_SECS", 0.1)
        monkeypatch.setattr(auth_link, "SWEEP_SECS", 0.05)
        monkeypatch.setattr("roost.clients.auth.START_WAIT_SECS", 0.1)
        client = AuthClient(str(tmp_path / "none"), quiet())
        await client.start()
        with pytest.raises(AuthTemporaryFailure):
            await client.login("u", PW, CONN)
        with pytest.raises(AuthTemporaryFailure):
            await client.user("u", CONN)
        client.close()

    run(test)


def test_a_server_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(auth_link, "SWEEP_SECS", 0.05)
        client, _reader, _writer = await connected(Script(tmp_path / "s"), timeout_secs=0.2)
        with pytest.raises(AuthTemporaryFailure):
            await client.login("u", PW, CONN)
        assert not client.login_link._pending
        client.close()

    run(test)


@pytest.mark.parametrize(
    "hello",
    [b"VERSION\t2\t0\n", b"DONE\n", b"x" * 20000, b"* OK IMAP4rev1 ready\r\nDONE\n"],
    ids=lambda value: str(value)[:20],
)
def test_a_server_that_is_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hello: bytes) -> None:
    async def test() -> None:
        monkeypatch.setattr("roost.clients.auth.START_WAIT_SECS", 0.2)
        script = Script(tmp_path / "s", hello)
        await script.start()
        client = AuthClient(script.path, quiet())
        await client.start()
        reader, _writer = await script.next()
        while await line(reader):
            pass  # until the client hangs up
        script.hello = HELLO
        await script.next()
        client.close()

    run(test)


def test_close_fails_who_waits(tmp_path: Path) -> None:
    async def test() -> None:
        client, reader, _writer = await connected(Script(tmp_path / "s"))
        task = asyncio.ensure_future(client.login("u", PW, CONN))
        await line(reader)
        client.close()
        with pytest.raises(AuthTemporaryFailure):
            await task
        with pytest.raises(AuthTemporaryFailure):
            await client.login("u", PW, CONN)

    run(test)


def test_user_lookups(tmp_path: Path) -> None:
    async def test() -> None:
        script = Script(tmp_path / "auth-userdb", MASTER_HELLO)
        await script.start()
        client = AuthClient(
            str(tmp_path / "auth-login"), quiet(), mail_home="/mail/%{user | domain}/%{user | username}"
        )
        lmtp = ConnInfo("lmtp")

        async def asked(name: str, reply: bytes) -> object:
            task = asyncio.ensure_future(client.user(name, lmtp))
            sent = await line(reader)
            request_id = sent.split(b"\t")[1]
            writer.write(reply.replace(b"ID", request_id) + b"\n")
            return await task

        task = asyncio.ensure_future(client.user("a\tb", lmtp))
        reader, writer = await script.next()
        assert await line(reader) == b"VERSION\t1\t4\n"
        assert await line(reader) == b"USER\t1\ta\x01tb\tservice=lmtp\n"
        writer.write(b"NOTFOUND\t1\n")
        assert await task is None
        found = await asked("U@X", b"USER\tID\tu@x\tuid=5")
        assert getattr(found, "username", "") == "u@x" and getattr(found, "home", "") == "/mail/x/u"
        with pytest.raises(AuthTemporaryFailure, match="sick"):
            await asked("u", b"FAIL\tID\treason=sick")
        with pytest.raises(AuthTemporaryFailure):
            await asked("u", b"USER\tID")
        assert await client.user("u" * 20000, lmtp) is None
        cancelled = asyncio.ensure_future(client.user("u", lmtp))
        await line(reader)
        cancelled.cancel()
        assert await asked("v@x", b"USER\tID\tv@x\thome=/h") is not None
        client.close()

    run(test)


def test_secrets_are_not_shown_by_what_the_client_keeps(tmp_path: Path) -> None:
    async def test() -> None:
        client, reader, writer = await connected(Script(tmp_path / "s"))
        task = asyncio.ensure_future(client.login("u", Secret(b"hunter2"), CONN))
        await line(reader)
        writer.write(b"OK\t1\tuser=u\tpass=hunter2\n")
        assert "hunter2" not in repr(await task)
        client.close()

    run(test)
