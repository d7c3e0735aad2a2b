"""Servers that are away, slow, hostile or broken; TLS that does not hold; proxies. Nothing of it raises."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from kit.http_server import LAST, Answer, HttpServer, Seen, reply
from kit.wait import until
from kit.worker import LOOPS, Lines, run

from roost.clients.http.client import HttpClient
from roost.clients.http.dns import LookupFailed, Resolver
from roost.clients.http.lanes import Lanes
from roost.clients.http.message import Request, Response
from roost.clients.http.settings import from_strings
from roost.events.log import Log

pytestmark = pytest.mark.parametrize("loop", LOOPS)


async def ask(url: str, method: str = "GET", body: bytes | None = None, **settings: str) -> Response:
    client = HttpClient(from_strings(settings), Log("test: "))
    try:
        return await client.request(Request(method, url, body=body))
    finally:
        await client.close()


def one(loop: str, answer: Answer, method: str = "GET", body: bytes | None = None, **settings: str) -> Response:
    async def whole() -> Response:
        async with HttpServer(answer) as server:
            return await ask(server.url, method, body, **settings)

    return run(loop, whole)


async def silent(seen: Seen) -> AsyncIterator[bytes]:
    await asyncio.get_running_loop().create_future()
    yield LAST


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


# --- away ---


def test_refused_and_bad_urls(loop: str) -> None:
    port = free_port()
    got = run(loop, lambda: ask(f"http://127.0.0.1:{port}/"))
    assert (got.status, got.reason) == (9003, f"connect(127.0.0.1:{port}) failed: Connection refused")
    got = run(loop, lambda: ask(f"http://127.0.0.1:{port}/", max_connect_attempts="3", connect_backoff_time="1ms"))
    assert got.status == 9003 and "Connection refused (3 attempts in " in got.reason
    got = run(loop, lambda: ask("http://h/#x"))
    assert (got.status, got.reason) == (9001, "Invalid HTTP URL: Fragment part not allowed")
    got = run(loop, lambda: ask("http://x/", proxy_socket_path="/nonexistent/socket"))
    assert (got.status, got.reason) == (9003, "connect(/nonexistent/socket) failed: No such file or directory")


def test_names_that_do_not_resolve(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_addresses(self: Resolver, host: str) -> list[str]:
        raise LookupFailed("Name or service not known")

    monkeypatch.setattr(Resolver, "addresses", no_addresses)
    got = run(loop, lambda: ask("http://nobody.invalid/"))
    assert (got.status, got.reason) == (9002, "Name or service not known")


def test_every_address_is_tried(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def several(self: Resolver, host: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.3", "127.0.0.1"]

    monkeypatch.setattr(Resolver, "addresses", several)

    async def whole() -> None:
        async with HttpServer(lambda seen: reply(200)) as server:
            for settings in ({}, {"soft_connect_timeout": "20ms"}):
                assert (await ask(f"http://name.example:{server.port}/", **settings)).status == 200
            got = await ask(f"http://name.example:{server.port}/", max_connect_attempts="2")
            assert got.status == 9003 and "(2 attempts in " in got.reason

    run(loop, whole)


def test_a_slow_address_is_overtaken(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first listener's queue is full, so connecting to it hangs."""

    async def both(self: Resolver, host: str) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"] if host == "name.example" else [host]

    monkeypatch.setattr(Resolver, "addresses", both)

    async def whole() -> None:
        async with HttpServer(lambda seen: reply(200)) as server:
            full = socket.socket()
            full.bind(("127.0.0.2", server.port))
            full.listen(0)
            stuffing = []
            for _ in range(4):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.2", server.port))
                stuffing.append(sock)
            try:
                assert (await ask(f"http://name.example:{server.port}/", soft_connect_timeout="30ms")).status == 200
                got = await ask(f"http://127.0.0.2:{server.port}/", connect_timeout="50ms")
                assert got.status == 9003 and "failed: Connection timed out in " in got.reason
            finally:
                for sock in (*stuffing, full):
                    sock.close()

    run(loop, whole)


def test_after_a_failure_connecting_waits(loop: str) -> None:
    async def whole() -> None:
        client = HttpClient(from_strings({"connect_backoff_time": "80ms"}), Log("test: "))
        now = asyncio.get_running_loop().time
        url = f"http://127.0.0.1:{free_port()}/"
        assert (await client.request(Request("GET", url))).status == 9003
        began = now()
        got = await asyncio.gather(*[client.request(Request("GET", url)) for _ in range(20)])
        assert {one.status for one in got} == {9003}
        assert now() - began > 0.04  # never shorter; how much longer says nothing
        await client.close()

    run(loop, whole)


def test_lookups_are_shared_and_kept(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def whole() -> None:
        running = asyncio.get_running_loop()

        class Slow:
            time = staticmethod(running.time)
            create_task = staticmethod(running.create_task)

            async def getaddrinfo(self, host: str, port: None, *, type: int) -> list[tuple[object, ...]]:
                asked.append(host)
                await asyncio.sleep(0)
                if host == "bad":
                    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
                return [(0, 0, 0, "", ("192.0.2.1", 0)), (0, 0, 0, "", ("192.0.2.1", 0))]

        resolver = Resolver(Slow(), 1000, 1000)  # type: ignore[arg-type]
        found = await asyncio.gather(*[resolver.addresses("good") for _ in range(5)])
        assert found == [["192.0.2.1"]] * 5 and await resolver.addresses("good") == ["192.0.2.1"]
        assert await resolver.addresses("::1") == ["::1"]
        for _ in range(2):
            with pytest.raises(LookupFailed, match="Name or service"):
                await resolver.addresses("bad")

    run(loop, whole)
    assert asked == ["good", "bad", "bad"]


# --- slow ---


def test_timeouts(loop: str) -> None:
    got = one(loop, silent, request_timeout="50ms")
    assert (got.status, got.reason) == (9008, "Request timed out")
    got = one(loop, silent, "POST", b"x", request_absolute_timeout="50ms")
    assert got.status == 9008
    assert re.fullmatch(
        r"Absolute request timeout expired "
        r"\(Request queued \d+\.\d{3} secs ago, 1 send attempts in \d+\.\d{3} secs\)",
        got.reason,
    )

    async def queued() -> None:
        async with HttpServer(silent) as server:
            client = HttpClient(from_strings({"request_absolute_timeout": "60ms"}), Log("test: "))
            got = await asyncio.gather(*[client.request(Request("GET", server.url)) for _ in range(3)])
            assert [one.status for one in got] == [9008] * 3 and "not yet sent" in got[2].reason
            await client.close()

    run(loop, queued)


def test_a_timeout_is_retried(loop: str) -> None:
    async def whole() -> None:
        count = 0

        def answer(seen: Seen) -> bytes | AsyncIterator[bytes]:
            nonlocal count
            count += 1
            return silent(seen) if count < 3 else reply(200)

        async with HttpServer(answer) as server:
            assert (await ask(server.url, request_timeout="40ms", request_max_attempts="3")).status == 200
            assert server.connections == 3

    run(loop, whole)


def test_a_slow_drip_does_not_extend_the_time(loop: str) -> None:
    async def drip(seen: Seen) -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        while True:
            yield b"x"
            await asyncio.get_running_loop().run_in_executor(None, lambda: None)

    assert one(loop, drip, request_timeout="60ms").status == 9008


def test_lanes(loop: str) -> None:
    async def whole() -> None:
        gone: list[str] = []
        lanes: Lanes[str] = Lanes(asyncio.get_running_loop(), gone.append)
        lanes.enter(20, "a")
        lanes.enter(20, "b")
        lanes.enter(10, "c")
        lanes.enter(60_000, "never")
        lanes.leave(20, "a")
        lanes.leave(20, "a")
        lanes.leave(5, "unknown")
        await until(lambda: len(gone) == 2)
        assert gone == ["c", "b"]
        lanes.close()

    run(loop, whole)


# --- hostile ---


def endless(head: bytes, piece: bytes) -> Answer:
    async def answer(seen: Seen) -> AsyncIterator[bytes]:
        if head:
            yield head
        while True:
            yield piece

    return answer


def test_endless_and_broken_answers(loop: str) -> None:
    ok = b"HTTP/1.1 200 OK\r\n"
    chunked = ok + b"Transfer-Encoding: chunked\r\n\r\n"
    for answer, status, text in (
        (endless(ok, b"X: y\r\n" * 100), 9007, "Excessive header size"),
        (endless(ok + b"X: ", b"y" * 4096), 9007, "Excessive header size"),
        (endless(b"", b"z" * 4096), 9007, "Excessive header size"),
        (endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 20), 9007, "interim"),
        (endless(ok + b"\r\n", b"z" * 65536), 9006, "Payload is too large"),
        (endless(chunked, b"1000\r\n" + b"z" * 4096 + b"\r\n"), 9006, "Payload is too large"),
        (endless(chunked, b"1\r\nz\r\n" * 4096), 9006, ""),
        (endless(chunked + b"0\r\n", b"X: y\r\n" * 500), 9006, ""),
        (endless(ok + b"Content-Length: 5\r\n\r\n12345", b"HTTP/1.1 200 OK\r\n" * 50), 200, ""),
        (lambda seen: b"220 mail.example ESMTP\r\n\r\n", 9007, ""),
        (lambda seen: b"\x15\x03\x01\x00\x02\x02\x46" * 10 + b"\r\n\r\n", 9007, ""),
        (lambda seen: ok + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 9007, "Content-Length"),
        (lambda seen: ok + b"Content-Length: 1e3\r\n\r\nhello", 9007, "Content-Length"),
        (lambda seen: ok + b"Content-Length : 5\r\n\r\nhello", 9007, ""),
        (lambda seen: ok + b"Content-Length: 1000000000000\r\n\r\nhello", 9006, "Payload is too large"),
        (lambda seen: chunked + b"-1\r\nhello\r\n", 9006, ""),
    ):
        got = one(loop, answer, response_body_max="300k", request_timeout="10s")  # type: ignore[arg-type]
        assert got.status == status and text in got.reason, got


def test_closed_in_the_middle(loop: str) -> None:
    for octets, status, text in (
        (b"", 9005, "Connection lost: read(127.0.0.1:"),
        (b"HTTP/1.1 20", 9005, "failed: EOF"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", 9006, "2 octets of the payload missing"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 9006, "Response payload read error: "),
        (b"HTTP/1.1 200 OK\r\n\r\nall of it", 200, "OK"),
    ):

        async def answer(seen: Seen, octets: bytes = octets) -> AsyncIterator[bytes]:
            if octets:
                yield octets
            yield LAST

        got = one(loop, answer)
        assert got.status == status and text in got.reason, got


def test_nobody_gets_an_answer_that_was_not_asked_for(loop: str) -> None:
    """A second response behind the first, or between two requests, is dropped with its connection."""

    async def whole() -> None:
        first = reply(200, b"mine") + reply(200, b"smuggled")
        async with HttpServer(lambda seen: first if seen.target == "/1" else reply(200, b"right")) as server:
            client = HttpClient(from_strings({}), Log("test: "))
            assert (await client.request(Request("GET", server.url + "/1"))).body == b"mine"
            assert (await client.request(Request("GET", server.url + "/2"))).body == b"right"
            assert server.connections == 2
            await client.close()

    run(loop, whole)


def test_too_many_waiting(loop: str) -> None:
    async def whole() -> None:
        async with HttpServer(silent) as server:
            client = HttpClient(from_strings({"max_queued_requests": "2"}), Log("test: "))
            asked = [asyncio.ensure_future(client.request(Request("GET", server.url))) for _ in range(4)]
            done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            assert {(one.result().status, one.result().reason) for one in done} == {
                (9000, "Too many requests are queued")
            }
            await client.close()
            await asyncio.gather(*asked)

    run(loop, whole)


# --- TLS ---


class Pki:
    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.file = folder / "ca.pem"
        self.ca.cert_pem.write_to_path(str(self.file))
        self.client = folder / "client.pem"
        self.ca.issue_cert("client@example.org").private_key_and_cert_chain_pem.write_to_path(str(self.client))

    def server(self, name: str = "localhost", *, ask: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(name).configure_cert(context)
        if ask:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def test_tls(loop: str, pki: Pki) -> None:
    trusting = {"ssl_client_ca_file": str(pki.file)}

    async def whole() -> None:
        async with HttpServer(lambda seen: reply(200, b"secret"), tls=pki.server()) as server:
            assert (await ask(server.url, **trusting)).body == b"secret"
            got = await ask(server.url)
            assert got.status == 9003 and "SSL handshake to 127.0.0.1:" in got.reason
            assert "Received invalid SSL certificate" in got.reason
            assert (await ask(server.url, ssl_client_require_valid_cert="no")).status == 200
            assert (
                await ask(server.url, **trusting, ssl_min_protocol="TLSv1.3", ssl_options="no_ticket")
            ).status == 200
        async with HttpServer(lambda seen: reply(200), tls=pki.server("other.example")) as server:
            got = await ask(server.url, **trusting)
            assert got.status == 9003 and "invalid SSL certificate" in got.reason
        async with HttpServer(lambda seen: reply(200), tls=pki.server(ask=True)) as server:
            assert (await ask(server.url, **trusting, ssl_client_cert_file=str(pki.client))).status == 200
            assert (await ask(server.url, **trusting)).status in (9003, 9005)
        async with HttpServer(lambda seen: b"plain text\r\n\r\n") as server:
            got = await ask(server.url.replace("http:", "https:"), connect_timeout="100ms")
            assert got.status == 9003 and "SSL handshaking with 127.0.0.1:" in got.reason

    run(loop, whole)


def test_tls_settings_that_do_not_work(loop: str, pki: Pki, tmp_path: Path) -> None:
    begin = "Couldn't initialize SSL client context: "
    for settings, text in (
        ({"ssl_min_protocol": "cow"}, "Can't set minimum protocol to 'cow' (ssl_min_protocol setting): Unknown value"),
        ({"ssl_cipher_list": "no-such"}, "Can't set cipher list to 'no-such' (ssl_cipher_list setting): "),
        ({"ssl_curve_list": "no-such"}, "Can't set curve list to 'no-such' (ssl_curve_list setting): "),
        (
            {"ssl_client_ca_file": "/nonexistent"},
            "Can't load CA certs from /nonexistent (ssl_client_ca_file setting): ",
        ),
        ({"ssl_client_cert_file": "/nonexistent"}, "Can't load SSL certificate (ssl_client_cert_file setting): "),
    ):
        got = run(loop, lambda settings=settings: ask("https://127.0.0.1:1/", **settings))  # type: ignore[misc]
        assert got.status == 9003 and got.reason.startswith(begin + text), got.reason


def test_a_tls_server_that_never_says_goodbye_keeps_no_place(loop: str, pki: Pki) -> None:
    async def whole() -> None:
        async def stay(seen: Seen) -> AsyncIterator[bytes]:
            yield reply(200, close=True)
            if seen.connection == 1:
                await asyncio.get_running_loop().create_future()

        async with HttpServer(stay, tls=pki.server()) as server:
            client = HttpClient(from_strings({"ssl_client_ca_file": str(pki.file)}), Log("test: "))
            got = await asyncio.gather(*[client.request(Request("GET", server.url)) for _ in range(3)])
            assert [one.status for one in got] == [200] * 3 and server.connections == 3
            await client.close()

    run(loop, whole)


# --- proxies ---


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def start_tunnel(to: int, heads: list[bytes], answer: bytes) -> asyncio.Server:
    """A proxy that knows CONNECT and leads to one port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if b" 200 " not in answer:
            writer.close()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer), return_exceptions=True)

    return await asyncio.start_server(serve, "127.0.0.1", 0)


def test_proxies(loop: str, pki: Pki) -> None:
    user = {"proxy_username": "u", "proxy_password": "p", "ssl_client_ca_file": str(pki.file)}

    async def whole() -> None:
        async with HttpServer(lambda seen: reply(200, seen.target.encode())) as proxy:
            got = await ask("http://far.example/x?y", proxy_url=proxy.url, **user)
            assert got.body == b"http://far.example/x?y"
            assert proxy.requests[0].headers["proxy-authorization"] == "Basic dTpw"
            assert proxy.requests[0].headers["host"] == "far.example" and "connection" not in proxy.requests[0].headers
            got = await ask("https://far.example/x", proxy_url=proxy.url, proxy_ssl_tunnel="no")
            assert got.body == b"https://far.example/x"
        async with HttpServer(lambda seen: reply(200, b"inside"), tls=pki.server("far.example")) as server:
            heads: list[bytes] = []
            tunnel = await start_tunnel(server.port, heads, b"HTTP/1.1 200 Connected\r\n\r\n")
            url = f"http://127.0.0.1:{tunnel.sockets[0].getsockname()[1]}/"
            assert (await ask("https://far.example/", proxy_url=url, **user)).body == b"inside"
            assert heads[0].startswith(b"CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n")
            assert b"Proxy-Authorization: Basic dTpw\r\n" in heads[0]
            assert "proxy-authorization" not in server.requests[0].headers
            tunnel.close()
            for answer, text in (
                (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "failed: 403 No"),
                (b"nonsense\r\n\r\n", "Tunnel connect(127.0.0.1:"),
                (b"", "Tunnel connect(127.0.0.1:"),
            ):
                tunnel = await start_tunnel(server.port, heads, answer)
                url = f"http://127.0.0.1:{tunnel.sockets[0].getsockname()[1]}/"
                got = await ask("https://far.example/", proxy_url=url, **user)
                assert got.status == 9003 and got.reason.startswith("Tunnel connect(") and text in got.reason
                tunnel.close()

    run(loop, whole)


def test_nothing_secret_is_logged(loop: str) -> None:
    lines = Lines()

    async def whole() -> None:
        client = HttpClient(from_strings({"proxy_password": "Hush3"}), lines.log())
        url = f"http://user:Hush1@127.0.0.1:{free_port()}/path?token=Hush2"
        assert (await client.request(Request("POST", url, {"X-Api-Key": "Hush4"}, b"Hush5"))).status == 9003
        await client.close()

    run(loop, whole)
    assert "http-client: [POST http://127.0.0.1:" in lines.text and "Hush" not in lines.text
