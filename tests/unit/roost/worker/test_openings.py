"""What comes before the room: PROXY headers in plain and before TLS, trusted and not, late and broken."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from kit.toyroom import ToyRoom
from kit.worker import LOOPS, Lines, make_worker, run, served, tcp_socket, until

from roost.net.connection import Connection
from roost.net.tls import ServerTls
from roost.settings.schema.ssl import SslSettings
from roost.worker.openings import Opening, compile_networks, implicit_tls, is_within, proxied

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.2 56324 143\r\n"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ssl_settings(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> SslSettings:
    folder: Path = tmp_path_factory.mktemp("pki")
    pair = authority.issue_cert("mail.example")
    pair.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    return replace(SslSettings(), ssl_server_cert_file=str(folder / "both.pem"))


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def talk(opening: Opening, lines: Lines, octets: list[bytes], *, answer_lines: int) -> list[bytes]:
    worker = make_worker(lines.log())
    sock = tcp_socket()
    async with served(worker, ToyRoom(worker), sock, openings={0: opening}):
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        for part in octets:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        got = [await reader.readline() for _ in range(answer_lines)]
        writer.close()
        await until(lambda: worker.clients == 0)
        return got


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("step", [1, 1000])
def test_plain_with_the_first_commands_behind_it(kind: str, step: int) -> None:
    stream = V1 + b"peer\nhello\n"

    async def main() -> None:
        lines = Lines()
        opening = proxied(["127.0.0.0/8"], 3, None, lines.log())
        parts = [stream[at : at + step] for at in range(0, len(stream), step)]
        got = await talk(opening, lines, parts, answer_lines=3)
        assert got == [b"* OK door0 plain\n", b"192.0.2.7 56324 198.51.100.2 143\n", b"hello\n"]
        assert lines.text == ""

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_untrusted_proxies_are_turned_away(kind: str) -> None:
    async def main() -> None:
        lines = Lines()
        opening = proxied(["10.0.0.0/8", "::1"], 3, None, lines.log())
        assert await talk(opening, lines, [V1], answer_lines=1) == [b""]
        assert "Client not trusted (rip=127.0.0.1)" in lines.text

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_late_and_broken_headers(kind: str) -> None:
    async def main() -> None:
        lines = Lines()
        opening = proxied(["127.0.0.1"], 0.1, None, lines.log())
        assert await talk(opening, lines, [b"PROXY "], answer_lines=1) == [b""]
        assert "timed out" in lines.text
        assert await talk(opening, lines, [b"a1 LOGIN x y\r\n"], answer_lines=1) == [b""]
        assert "PROXY header expected" in lines.text

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("together", [True, False])
def test_tls_behind_the_header(kind: str, together: bool, authority: trustme.CA, ssl_settings: SslSettings) -> None:
    async def main() -> None:
        lines = Lines()
        tls = ServerTls(ssl_settings, lines.log())
        worker = make_worker(lines.log())
        sock = tcp_socket()
        async with served(worker, ToyRoom(worker), sock, openings={0: proxied(["127.0.0.1"], 3, tls, lines.log())}):
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            session = client_context(authority).wrap_bio(incoming, outgoing, server_hostname="mail.example")
            first = V1
            if not together:
                writer.write(V1)
                first = b""
            while True:
                try:
                    session.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(first + outgoing.read())
                    first = b""
                    incoming.write(await reader.read(65536))
            session.write(b"peer\n")
            writer.write(outgoing.read())
            got = b""
            while got.count(b"\n") < 2:
                try:
                    got += session.read(65536)
                except ssl.SSLWantReadError:
                    more = await reader.read(65536)
                    assert more, (got, lines.text)
                    incoming.write(more)
            assert got == b"* OK door0 secured\n192.0.2.7 56324 198.51.100.2 143\n"
            writer.close()

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_implicit_tls_and_plain_side_by_side(kind: str, authority: trustme.CA, ssl_settings: SslSettings) -> None:
    async def main() -> None:
        lines = Lines()
        worker = make_worker(lines.log())
        plain, secured = tcp_socket(), tcp_socket()
        opening = implicit_tls(ServerTls(ssl_settings, lines.log()))
        async with served(worker, ToyRoom(worker), plain, secured, openings={1: opening}):
            reader, writer = await asyncio.open_connection(*plain.getsockname())
            assert await reader.readline() == b"* OK door0 plain\n"
            tls_reader, tls_writer = await asyncio.open_connection(
                *secured.getsockname(), ssl=client_context(authority), server_hostname="mail.example"
            )
            assert await tls_reader.readline() == b"* OK door1 secured\n"
            silent, _ = await asyncio.open_connection(*secured.getsockname())
            await until(lambda: worker.clients == 3)  # a client in its handshake counts
            writer.close()
            tls_writer.close()
            _.close()
            await until(lambda: worker.clients == 0)
            assert await silent.read() == b""

    run(kind, main)


@pytest.mark.parametrize("kind", LOOPS)
def test_clients_gone_before_they_are_accepted_give_their_place_back(kind: str, ssl_settings: SslSettings) -> None:
    async def main() -> None:
        lines = Lines()
        worker = make_worker(lines.log())
        seen: list[int] = []
        real = implicit_tls(ServerTls(ssl_settings, lines.log()))

        def opening(connection: Connection) -> None:
            seen.append(worker.clients)
            real(connection)

        secured = tcp_socket()
        for _ in range(5):
            client = socket.create_connection(secured.getsockname())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.send(b"\x16")
            client.close()  # with a reset
        async with served(worker, ToyRoom(worker), secured, openings={0: opening}):
            await until(lambda: len(seen) == 5 and worker.clients == 0)
            assert "Traceback" not in lines.text

    run(kind, main)


def test_networks() -> None:
    networks = compile_networks(["192.0.2.7/24", "2001:db8::/32", "203.0.113.9"])
    assert is_within("192.0.2.200", networks) and is_within("2001:db8::5", networks)
    assert is_within("203.0.113.9", networks)
    assert not is_within("203.0.113.10", networks)
    assert not is_within("", networks) and not is_within("nonsense", networks)
