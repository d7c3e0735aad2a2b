"""The HTTP client against scripted servers: what is sent, what comes back, connections, redirects, retries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import formatdate
from pathlib import Path

import pytest
from kit.http_server import LAST, Answer, HttpServer, Seen, in_pieces, reply
from kit.worker import LOOPS, run

from roost.clients.http.client import HttpClient
from roost.clients.http.message import BadRequest, Request, Response
from roost.clients.http.settings import from_strings
from roost.events.log import Log

Ask = Callable[..., Awaitable[Response]]
pytestmark = pytest.mark.parametrize("loop", LOOPS)


def talk(loop: str, answer: Answer, test: Callable[[HttpServer, Ask], Awaitable[None]], **settings: str) -> HttpServer:
    """Run ``test`` with a server and a client of ``settings``; ``ask(method, path, **request)``."""

    async def whole() -> HttpServer:
        async with HttpServer(answer) as server:
            client = HttpClient(from_strings(settings), Log("test: "))

            async def ask(method: str = "GET", path: str = "/", **request: object) -> Response:
                url = path if path.startswith("http") else server.url + path
                return await client.request(Request(method, url, **request))  # type: ignore[arg-type]

            try:
                await test(server, ask)
            finally:
                await client.close()
        return server

    return run(loop, whole)


def sequence(*answers: bytes | None) -> Answer:
    left = list(answers)
    return lambda seen: left.pop(0) if left else None


def test_what_is_sent_and_what_comes(loop: str) -> None:
    async def test(server: HttpServer, ask: Ask) -> None:
        got = await ask("GET", "/a?b=c")
        assert (got.status, got.reason, got.body) == (200, "OK", b"hello")
        assert got.header("X-One") == "first" and got.header("absent") == ""
        await ask("POST", "/p", body=b"payload", headers={"Content-Type": "text/plain", "date": "never"})
        await ask("PUT", server.url.replace("://", "://us%20er:pass@") + "/q")
        await ask("DELETE", "/d")

    seen = talk(loop, lambda seen: reply(200, b"hello", {"x-one": "first"}), test, user_agent="Roost test").requests
    assert seen[0].raw.startswith(b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert seen[0].headers["connection"] == "Keep-Alive" and seen[0].headers["user-agent"] == "Roost test"
    assert seen[0].headers["date"].endswith("GMT") and "content-length" not in seen[0].headers
    assert "accept" not in seen[0].headers and "content-type" not in seen[0].headers
    assert seen[1].body == b"payload" and seen[1].headers["date"] == "never"
    assert seen[1].headers["content-type"] == "text/plain" and seen[1].raw.lower().count(b"date:") == 1
    assert seen[2].headers["authorization"] == "Basic dXMgZXI6cGFzcw==" and seen[2].headers["content-length"] == "0"
    assert "content-length" not in seen[3].headers


def test_headers_replace_and_cannot_be_forged(loop: str) -> None:
    request = Request("GET", "http://h/", {"X": "1"})
    request.set_header("x", "2")
    assert list(request.headers.values()) == [(b"x", b"2")]
    request.remove_header("X")
    request.remove_header("unknown")
    assert not request.headers
    for name, value in (("a:b", "c"), ("a\r\nb", "c"), ("", "c"), ("a", "b\r\nc"), ("a", "b\nc"), ("a", "b\0"),
                        ("Proxy-Authorization", "x")):  # fmt: skip
        with pytest.raises(BadRequest):
            request.set_header(name, value)
    for method in ("", "GET /", "A\r\nB", "CONNECT"):
        with pytest.raises(BadRequest):
            Request(method, "http://h/")
    request.set_header("Content-Length", "7")  # the client's own business
    request.set_header("Transfer-Encoding", "chunked")
    assert not request.headers


def test_octet_by_octet(loop: str) -> None:
    octets = reply(200, b"hello", {"A": "b"})
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

    async def test(server: HttpServer, ask: Ask) -> None:
        for _ in range(2):
            assert (await ask()).body == b"hello"

    for answer in (octets, chunked):
        server = talk(loop, lambda seen, answer=answer: in_pieces(answer), test)  # type: ignore[misc]
        assert server.connections == 1


def test_connections_are_kept_and_closed(loop: str) -> None:
    async def test(server: HttpServer, ask: Ask) -> None:
        for _ in range(3):
            assert (await ask()).status == 200
        assert (await ask("GET", "/close")).status == 200
        assert (await ask()).status == 200

    answer = lambda seen: reply(200, b"x", close=seen.target == "/close")  # noqa: E731
    assert talk(loop, answer, test).connections == 2


def test_parallel_connections_are_bounded_and_the_rest_waits(loop: str) -> None:
    async def answer(seen: Seen) -> AsyncIterator[bytes]:
        for _ in range(5):
            await asyncio.sleep(0)
        yield reply(200, seen.target.encode())

    async def test(server: HttpServer, ask: Ask) -> None:
        got = await asyncio.gather(*[ask("GET", f"/{n}") for n in range(60)])
        assert [one.body for one in got] == [b"/%d" % n for n in range(60)]

    server = talk(loop, answer, test, max_parallel_connections="4")
    assert server.connections == server.most_open == 4
    assert talk(loop, answer, test).connections == 1


def test_a_thousand_at_once(loop: str) -> None:
    release = asyncio.Event()

    async def answer(seen: Seen) -> AsyncIterator[bytes]:
        await release.wait()
        yield reply(200, b"x")

    async def test(server: HttpServer, ask: Ask) -> None:
        waiting = [asyncio.ensure_future(ask("POST", "/", body=b"y")) for _ in range(1000)]
        while server.in_flight < 1000:
            await asyncio.sleep(0)
        release.set()
        assert {(await one).status for one in waiting} == {200}

    assert talk(loop, answer, test, max_parallel_connections="1000").most_in_flight == 1000


def test_a_kept_connection_that_was_closed_is_no_failure(loop: str) -> None:
    seen_on: list[int] = []

    def answer(seen: Seen) -> bytes | None:
        seen_on.append(seen.connection)
        return None if seen.target == "/again" and seen.connection == 1 else reply(200, b"x")

    async def test(server: HttpServer, ask: Ask) -> None:
        assert (await ask()).status == 200
        assert (await ask("GET", "/again")).status == 200  # idempotent: sent once more
        assert (await ask()).status == 200

    talk(loop, answer, test)
    assert seen_on == [1, 1, 2, 2]


def test_a_post_is_not_sent_twice_unasked(loop: str) -> None:
    answer = lambda seen: None if seen.method == "POST" else reply(200, b"x")  # noqa: E731

    async def test(server: HttpServer, ask: Ask) -> None:
        assert (await ask()).status == 200
        got = await ask("POST", "/", body=b"x")
        assert got.status == 9005 and got.reason == f"Connection lost: read(127.0.0.1:{server.port}) failed: EOF"

    assert [seen.method for seen in talk(loop, answer, test).requests] == ["GET", "POST"]


def test_attempts(loop: str) -> None:
    outcomes = []

    async def test(server: HttpServer, ask: Ask) -> None:
        got = await ask("POST", "/", body=b"x")
        outcomes.append((got.status, len(server.requests)))

    for answers, settings, expected in (
        ([None, None, reply(200)], {"request_max_attempts": "3"}, (200, 3)),
        ([None, None, reply(200)], {"request_max_attempts": "2"}, (9005, 2)),
        ([None, reply(200)], {"request_max_attempts": "3", "auto_retry": "no"}, (9005, 1)),
        ([None, reply(200)], {"request_max_attempts": "1", "write_request_max_attempts": "2"}, (200, 2)),
        ([reply(408), reply(200)], {"request_max_attempts": "2"}, (200, 2)),
        ([reply(408), reply(200)], {}, (408, 1)),
        ([reply(503), reply(200)], {"request_max_attempts": "2"}, (503, 1)),
        ([reply(503, b"", {"Retry-After": "0"}), reply(200)], {"request_max_attempts": "2"}, (200, 2)),
        ([reply(503, b"", {"Retry-After": "1"}), reply(200)], {"request_max_attempts": "2"}, (200, 2)),
        (
            [reply(503, b"", {"Retry-After": "100"}), reply(200)],
            {"request_max_attempts": "2", "max_auto_retry_delay": "10s"},
            (503, 1),
        ),
        ([reply(503, b"", {"Retry-After": "soon"}), reply(200)], {"request_max_attempts": "2"}, (503, 1)),
        ([reply(500), reply(200)], {"request_max_attempts": "2"}, (500, 1)),
    ):
        talk(loop, sequence(*answers), test, **settings)
        assert outcomes[-1] == expected, (answers, settings)


def test_retry_after_as_a_date(loop: str) -> None:
    async def test(server: HttpServer, ask: Ask) -> None:
        assert (await ask()).status == 200

    later = formatdate(time.time() + 1.5, usegmt=True)
    talk(loop, sequence(reply(503, b"", {"Retry-After": later}), reply(200)), test, request_max_attempts="2")


def test_redirects(loop: str) -> None:
    def answer(seen: Seen) -> bytes:
        code, _, rest = seen.target[1:].partition("/")
        return reply(int(code), b"", {"Location": "/" + rest}) if code.isdigit() else reply(200, seen.target.encode())

    async def test(server: HttpServer, ask: Ask) -> None:
        got = await ask("POST", "/302/307/308/301/end", body=b"keep")
        assert got.body == b"/end"
        assert {(seen.method, seen.body) for seen in server.requests} == {("POST", b"keep")}
        server.requests.clear()
        await ask("POST", "/303/end", body=b"drop", headers={"Content-Type": "a/b"})
        assert (server.requests[1].method, server.requests[1].body) == ("GET", b"")
        assert "content-length" not in server.requests[1].headers and "content-type" not in server.requests[1].headers
        await ask("HEAD", "/303/end")
        assert server.requests[-1].method == "HEAD"
        got = await ask("GET", "/302/302/302/302/302/end")
        assert (got.status, got.reason) == (9004, "Redirected more than 4 times")
        assert (await ask("GET", "/304/end")).status == 304

    talk(loop, answer, test, request_max_redirects="4")

    async def refused(server: HttpServer, ask: Ask) -> None:
        got = await ask("GET", "/302/end")
        assert (got.status, got.reason) == (9004, "Redirect refused")

    talk(loop, answer, refused)

    async def handed(server: HttpServer, ask: Ask) -> None:
        got = await ask("GET", "/302/end")
        assert got.status == 302 and got.header("location") == "/end"

    talk(loop, answer, handed, auto_redirect="no")


def test_a_redirect_loop_and_bad_locations(loop: str) -> None:
    async def test(server: HttpServer, ask: Ask) -> None:
        got = await ask()
        assert (got.status, len(server.requests)) == (9004, 51)

    talk(loop, lambda seen: reply(302, b"", {"Location": "/"}), test, request_max_redirects="50")

    async def bad(server: HttpServer, ask: Ask) -> None:
        got = await ask()
        assert got.status == 9004 and got.reason.startswith("Invalid redirect location: ")

    for location in ("ftp://h/", "http://u:p@127.0.0.1/", "http://", "/a b", "http://127.0.0.1:99999/"):
        talk(loop, lambda seen, to=location: reply(302, b"", {"Location": to}), bad, request_max_redirects="5")  # type: ignore[misc]


def test_another_server_sees_no_credentials(loop: str) -> None:
    async def whole() -> None:
        async with HttpServer(lambda seen: reply(200)) as second:
            first = HttpServer(lambda seen: reply(307, b"", {"Location": second.url + "/x"}))
            async with first:
                client = HttpClient(from_strings({"request_max_redirects": "2"}), Log("test: "))
                headers = {"Authorization": "Bearer t", "Cookie": "c", "X-Other": "stays"}
                url = first.url.replace("://", "://u:p@")
                assert (await client.request(Request("GET", url, dict(headers)))).status == 200
                assert first.requests[0].headers["authorization"] == "Bearer t"
                assert (await client.request(Request("GET", url))).status == 200
                assert first.requests[1].headers["authorization"].startswith("Basic ")
                for seen in second.requests:
                    assert "authorization" not in seen.headers and "cookie" not in seen.headers
                assert second.requests[0].headers["x-other"] == "stays"
                assert second.requests[0].headers["host"] == f"127.0.0.1:{second.port}"
                await client.close()

    run(loop, whole)


def test_expect_100_continue(loop: str) -> None:
    async def test(server: HttpServer, ask: Ask) -> None:
        got = await ask("POST", "/", body=b"payload", sync=True)
        assert got.status == 200
        assert server.requests[-1].body == b"payload"

    server = talk(loop, lambda seen: reply(200), test)
    assert server.requests[0].headers["expect"] == "100-continue"

    async def refused(server: HttpServer, ask: Ask) -> None:
        server._asks = False
        got = await ask("POST", "/", body=b"payload", sync=True)
        assert got.status == 200
        assert [seen.body for seen in server.requests] == [b"", b"payload"]

    answer = lambda seen: reply(417, close=True) if "expect" in seen.headers else reply(200)  # noqa: E731
    talk(loop, answer, refused, request_max_attempts="2")


def test_success_before_the_payload_was_sent_is_no_success(loop: str) -> None:
    async def test(server: HttpServer, ask: Ask) -> None:
        server._asks = False
        got = await ask("POST", "/", body=b"payload", sync=True)
        assert got.status == 9007
        assert got.reason == "Server responded with success response before all payload was sent"

    talk(loop, lambda seen: reply(200), test)


def test_a_unix_socket(loop: str, tmp_path: Path) -> None:
    async def whole() -> None:
        path = tmp_path / "proxy"
        async with HttpServer(lambda seen: reply(200, seen.target.encode()), path=path) as server:
            client = HttpClient(from_strings({"proxy_socket_path": str(path)}), Log("test: "))
            got = await client.request(Request("GET", "http://any.example/x"))
            assert got.body == b"http://any.example/x" and "connection" not in server.requests[0].headers
            await client.close()
            assert (await client.request(Request("GET", "http://any.example/x"))).status == 9000

    run(loop, whole)


def test_closing_ends_what_is_under_way(loop: str) -> None:
    async def silent(seen: Seen) -> AsyncIterator[bytes]:
        await asyncio.get_running_loop().create_future()
        yield LAST

    async def whole() -> None:
        async with HttpServer(silent) as server:
            client = HttpClient(from_strings({}), Log("test: "))
            asked = [asyncio.ensure_future(client.request(Request("GET", server.url))) for _ in range(3)]
            while not server.requests:
                await asyncio.sleep(0)
            await client.close()
            assert {((await one).status, (await one).reason) for one in asked} == {(9000, "Aborted")}

    run(loop, whole)


def test_a_cancelled_request_frees_its_place(loop: str) -> None:
    async def answer(seen: Seen) -> AsyncIterator[bytes]:
        if seen.target == "/hang":
            await asyncio.get_running_loop().create_future()
        yield reply(200)

    async def test(server: HttpServer, ask: Ask) -> None:
        hanging = [asyncio.ensure_future(ask("GET", "/hang")) for _ in range(3)]
        while not server.requests:
            await asyncio.sleep(0)
        for one in reversed(hanging):
            one.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        assert (await ask()).status == 200

    talk(loop, answer, test)
