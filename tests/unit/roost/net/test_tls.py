"""TLS over real sockets on both loops: implicit, STARTTLS, hostile peers; contexts that follow their files."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from kit.worker import LOOPS, Lines, run, until

from roost.errors import ConfigError
from roost.net import connection as module
from roost.net.connection import Connection
from roost.net.tls import CHECK_SECS, ServerTls, build_server_context
from roost.settings.schema.ssl import SslSettings


class Pki:
    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        self.issue("one.example")
        self.settings = replace(SslSettings(), ssl_server_cert_file=str(self.cert), ssl_server_key_file=str(self.key))

    def issue(self, name: str) -> None:
        pair = self.ca.issue_cert(name)
        self.cert.write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
        self.key.write_bytes(pair.private_key_pem.bytes())

    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


class Talk(Connection):
    """Greets; STARTTLS begins TLS; anything else is echoed."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lines: Lines, context: ssl.SSLContext, implicit: bool) -> None:
        super().__init__(loop, lines.log())
        self.events: list[str] = []
        self.got = b""
        self.context = context
        if implicit:
            self.opening = lambda conn: conn.start_tls(context)

    def ready(self) -> None:
        self.events.append("secured" if self.secured else "plain")
        self.write(b"hello\r\n")

    def data(self, chunk: memoryview) -> None:
        self.got += bytes(chunk)
        if self.got.startswith(b"STARTTLS\r\n"):
            self.got = b""
            self.write(b"go\r\n")
            self.start_tls(self.context)
        else:
            self.write(bytes(chunk))

    def lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")


class Server:
    def __init__(self, kind: str, context: ssl.SSLContext, *, implicit: bool) -> None:
        self.lines = Lines()
        self.context, self.implicit = context, implicit
        self.conns: list[Talk] = []
        self.loop = asyncio.get_running_loop()

    async def client(self) -> socket.socket:
        """A plain client socket with a connection of ours behind it."""
        listener = socket.create_server(("127.0.0.1", 0))
        theirs = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        listener.close()
        theirs.setblocking(False)
        conn = Talk(self.loop, self.lines, self.context, self.implicit)
        self.conns.append(conn)
        await self.loop.connect_accepted_socket(lambda: conn, accepted)
        return theirs


async def read(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
    data = b""
    try:
        while chunk := await loop.sock_recv(sock, 65536):
            data += chunk
    except ConnectionError:
        pass
    return data


Case = Callable[[Server, Pki], Awaitable[None]]


def case(*, implicit: bool) -> Callable[[Case], Callable[[str, Pki], None]]:
    def make(test: Case) -> Callable[[str, Pki], None]:
        @pytest.mark.parametrize("kind", LOOPS)
        def wrapped(kind: str, shared: Pki) -> None:
            async def main() -> None:
                server = Server(kind, build_server_context(shared.settings), implicit=implicit)
                await test(server, shared)
                for conn in server.conns:
                    conn.abort()
                await until(lambda: all(conn.events.count("lost") == 1 for conn in server.conns))
                assert "Traceback" not in server.lines.text

            run(kind, main)

        wrapped.__name__ = test.__name__
        return wrapped

    return make


@case(implicit=True)
async def test_implicit(server: Server, pki: Pki) -> None:
    sock = await server.client()
    reader, writer = await asyncio.open_connection(sock=sock, ssl=pki.client(), server_hostname="one.example")
    assert await reader.readline() == b"hello\r\n"
    writer.write(b"x" * 300_000)
    assert await reader.readexactly(300_000) == b"x" * 300_000
    conn = server.conns[0]
    assert conn.events == ["secured"] and conn.secured
    tls = conn.tls_object()
    assert tls is not None and tls.version() == "TLSv1.3"
    assert conn.peer.remote_ip == "127.0.0.1"
    conn.write(b"bye\r\n")
    conn.close()
    assert await reader.read() == b"bye\r\n"
    writer.close()


@case(implicit=False)
async def test_starttls(server: Server, pki: Pki) -> None:
    sock = await server.client()
    reader, writer = await asyncio.open_connection(sock=sock)
    assert await reader.readline() == b"hello\r\n"
    writer.write(b"STARTTLS\r\n")
    assert await reader.readline() == b"go\r\n"
    await writer.start_tls(pki.client(), server_hostname="one.example")
    assert await reader.readline() == b"hello\r\n"
    writer.write(b"secret\r\n")
    assert await reader.readline() == b"secret\r\n"
    assert server.conns[0].events == ["plain", "secured"]
    writer.close()


@case(implicit=False)
async def test_plain_octets_before_the_handshake_are_never_data(server: Server, pki: Pki) -> None:
    """CVE-2021-33515: what is sent in plain after STARTTLS was accepted only spoils the handshake."""
    sock = await server.client()
    conn = server.conns[0]
    await server.loop.sock_sendall(sock, b"STARTTLS\r\n")
    await until(lambda: conn._diverted is not None)
    await server.loop.sock_sendall(sock, b"a1 LOGIN evil\r\n")
    assert b"evil" not in await read(server.loop, sock)
    await until(lambda: conn.events == ["plain", "lost"])
    assert conn.got == b""
    sock.close()


@case(implicit=False)
async def test_plain_octets_in_the_starttls_segment_do_not_reach_the_secured_session(server: Server, pki: Pki) -> None:
    sock = await server.client()
    await server.loop.sock_sendall(sock, b"STARTTLS\r\na1 LOGIN evil\r\n")
    reader, writer = await asyncio.open_connection(sock=sock)
    assert await reader.readline() == b"hello\r\n"
    assert await reader.readline() == b"go\r\n"
    await writer.start_tls(pki.client(), server_hostname="one.example")
    assert await reader.readline() == b"hello\r\n"
    writer.write(b"mine\r\n")
    assert await reader.readline() == b"mine\r\n"
    assert server.conns[0].got == b"mine\r\n"
    writer.close()


@pytest.mark.parametrize(
    ("words", "reason"),
    [(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http request"), (b"EHLO there\r\n" * 3, "wrong version number")],
)
@pytest.mark.parametrize("kind", LOOPS)
def test_plain_protocols_on_the_tls_port_are_one_line(kind: str, words: bytes, reason: str, shared: Pki) -> None:
    async def main() -> None:
        server = Server(kind, build_server_context(shared.settings), implicit=True)
        sock = await server.client()
        await server.loop.sock_sendall(sock, words)
        await read(server.loop, sock)
        await until(lambda: server.conns[0].events == ["lost"])
        text = server.lines.text
        assert text.count("\n") == 1 and "Info: TLS handshaking failed" in text
        assert "does not speak TLS" in text and reason in text and "rip=127.0.0.1" in text

    run(kind, main)


@case(implicit=True)
async def test_leaving_before_and_in_the_handshake(server: Server, pki: Pki) -> None:
    (await server.client()).close()
    sock = await server.client()
    await server.loop.sock_sendall(sock, b"\x16\x03\x01\x02\x00\x01")
    sock.close()
    await until(lambda: all(conn.events == ["lost"] for conn in server.conns))


@pytest.mark.parametrize("kind", LOOPS)
def test_a_handshake_that_never_ends(kind: str, shared: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TLS_HANDSHAKE_SECS", 0.1)

    async def main() -> None:
        server = Server(kind, build_server_context(shared.settings), implicit=True)
        await server.client()
        await until(lambda: server.conns[0].events == ["lost"])
        assert server.lines.text.count("\n") == 1

    run(kind, main)


@case(implicit=True)
async def test_truncated_and_damaged_tls_end_that_connection_only(server: Server, pki: Pki) -> None:
    good = await server.client()
    reader, writer = await asyncio.open_connection(sock=good, ssl=pki.client(), server_hostname="one.example")
    assert await reader.readline() == b"hello\r\n"
    for damage in (b"", b"\x17\x03\x03\x00\x20" + b"\0" * 32, b"garbage" * 20):
        sock = await server.client()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = pki.client().wrap_bio(incoming, outgoing, server_hostname="one.example")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                if data := outgoing.read():
                    await server.loop.sock_sendall(sock, data)
                incoming.write(await server.loop.sock_recv(sock, 65536))
        await server.loop.sock_sendall(sock, outgoing.read() + damage)
        conn = server.conns[-1]
        await until(lambda conn=conn: "secured" in conn.events)
        if not damage:
            sock.close()
        await until(lambda conn=conn: conn.events[-1] == "lost")
        sock.close()
    writer.write(b"still here\r\n")
    assert await reader.readline() == b"still here\r\n"
    writer.close()


def test_minimum_protocol(shared: Pki) -> None:
    assert build_server_context(shared.settings).minimum_version is ssl.TLSVersion.TLSv1_2
    newest = build_server_context(replace(shared.settings, ssl_min_protocol="TLSv1.3"))
    assert newest.minimum_version is ssl.TLSVersion.TLSv1_3


def test_errors_name_the_setting(pki: Pki, tmp_path: Path) -> None:
    def key_of(**values: str) -> str:
        with pytest.raises(ConfigError) as caught:
            build_server_context(replace(pki.settings, **values))
        return caught.value.key

    assert key_of(ssl_server_cert_file="") == "ssl_server_cert_file"
    assert key_of(ssl_server_cert_file=str(tmp_path / "none")) == "ssl_server_cert_file"
    assert key_of(ssl_server_key_file=str(tmp_path / "none")) == "ssl_server_key_file"
    other = Pki(tmp_path / "other") if (tmp_path / "other").mkdir() is None else None
    assert other is not None and key_of(ssl_server_key_file=str(other.key)) == "ssl_server_key_file"
    junk = tmp_path / "junk"
    junk.write_text("not PEM")
    assert key_of(ssl_server_cert_file=str(junk)) == "ssl_server_cert_file"
    assert key_of(ssl_cipher_list="NONSENSE") == "ssl_cipher_list"
    assert key_of(ssl_curve_list="nonsense") == "ssl_curve_list"
    assert key_of(ssl_server_dh_file=str(junk)) == "ssl_server_dh_file"
    assert key_of(ssl_server_request_client_cert="yes") == "ssl_server_ca_file"
    assert key_of(ssl_server_request_client_cert="any-cert") == "ssl_server_request_client_cert"


def test_the_context_follows_the_files(pki: Pki) -> None:
    now = [0.0]
    lines = Lines()
    tls = ServerTls(pki.settings, lines.log(), clock=lambda: now[0])
    first = tls.context
    pki.issue("two.example")
    assert tls.context is first  # looked at no more than once a minute
    now[0] += CHECK_SECS
    second = tls.context
    assert second is not first and "loaded again" in lines.text


def test_a_broken_pair_keeps_the_old_one_and_is_said_once(pki: Pki) -> None:
    now = [0.0]
    lines = Lines()
    tls = ServerTls(pki.settings, lines.log(), clock=lambda: now[0])
    first = tls.context
    pki.key.write_text("half written")
    for _ in range(3):
        now[0] += CHECK_SECS
        assert tls.context is first
    assert lines.text.count("stays in use") == 1
    os.unlink(pki.cert)
    now[0] += CHECK_SECS
    assert tls.context is first
    pki.issue("three.example")
    now[0] += CHECK_SECS
    assert tls.context is not first
