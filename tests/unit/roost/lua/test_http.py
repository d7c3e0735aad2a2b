"""``dovecot.http``: texts of Dovecot's tests, objects, both dialects, suspension; the documented example unchanged."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from kit.http_server import Answer, HttpServer, Seen, reply
from kit.lua import Lines, run, text

from roost.clients.http.lua import MAX_CLIENTS, LuaHttp
from roost.clients.http.settings import HttpSettings
from roost.events.event import OBSERVERS, Event, Sent
from roost.events.log import Log
from roost.lua.api import auth, http
from roost.lua.api.auth import AuthRequest, call_auth, members
from roost.lua.script import LuaFailure, Script
from roost.settings.schema.lua import LuaSettings

EXAMPLE = Path(__file__).parents[4] / "docs/examples/lua/http-auth.lua"


def play(
    source: str,
    answer: Answer = lambda seen: reply(200, b"hello"),
    test: Callable[[Script, HttpServer], Awaitable[Any]] | None = None,
    *,
    lines: Lines | None = None,
    **settings: Any,
) -> Any:
    """Load ``source`` (``URL`` in it is the server's) and run ``test``, by default ``main()``."""

    async def whole() -> Any:
        seen = lines or Lines()
        async with HttpServer(answer) as server:
            door = LuaHttp(Log("http: ", seen))
            script = text(source.replace("URL", server.url), seen, (http.family(door),), **settings)
            try:
                await script.start()
                return await (test(script, server) if test else script.call("main"))
            finally:
                await script.close()
                await door.close()

    return run(whole())


def reason(source: str, **settings: Any) -> str:
    with pytest.raises(LuaFailure) as caught:
        play(f"function main() {source} end", **settings)
    return caught.value.reason


STRICT = {"lua_compat": "2.4"}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("timeout = 10000", "timeout is unknown setting"),
        ("auto_retry = 'cow'", "auto_retry=cow: Invalid boolean value: cow (use yes or no)"),
        ("request_max_attempts = 'three'", "request_max_attempts=three: Invalid number three: Not a valid number"),
        (
            "request_timeout = 5000",
            "request_timeout=5000: Time interval '5000' is missing units (add e.g. 's' for seconds)",
        ),
    ],
)
def test_refused_settings(table: str, expected: str) -> None:
    assert reason(f"dovecot.http.client {{ {table} }}", **STRICT) == "Invalid HTTP client setting: " + expected


def test_a_bad_protocol_is_found_when_tls_starts() -> None:
    status, why = play(
        """function main()
          local client = dovecot.http.client { ssl_min_protocol = "cow" }
          local response = client:request { url = "https://127.0.0.1:1/" }:submit()
          return response:status(), response:reason()
        end""",
        **STRICT,
    )
    assert status == 9003
    assert why == (
        "Couldn't initialize SSL client context: Can't set minimum protocol to 'cow' (ssl_min_protocol setting): "
        "Unknown value"
    )


def test_argument_texts() -> None:
    client = "local c = dovecot.http.client {}; "
    rq = client + "local r = c:request { url = 'http://h/' }; "
    for source, expected in (
        ("dovecot.http.client()", "expected 1 arguments, got 0"),
        ("dovecot.http.client({}, 1)", "expected 1 arguments, got 2"),
        (client + "c:request()", "expected 2 arguments, got 1"),
        (client + "c:request {}", "cannot create request: url not specified"),
        (client + "c:request { url = 'http://h/#f' }", "Failed to parse url http://h/#f: Fragment part not allowed"),
        (client + "c:request { url = 'ftp://h/' }", "Failed to parse url ftp://h/: Not an HTTP URL"),
        (client + "c.request(1, {})", "Bad argument #1, expected struct http_client got number"),
        (rq + "r.submit('x')", "Bad argument #1, expected struct http_client_request got string"),
        (rq + "r:add_header('x')", "expected 3 arguments, got 2"),
        (rq + "r:set_payload()", "expected 2 to 3 arguments, got 1"),
        (rq + "r:set_payload('a'); r:set_payload('b')", "request has a payload already"),
        (rq + "r:add_header('a:b', 'c')", "invalid HTTP header name"),
        (rq + "r:add_header('a', 'c\\r\\nd: e')", "invalid value of HTTP header a"),
        (rq + "r:add_header('Proxy-Authorization', 'c')", "HTTP header Proxy-Authorization cannot be set"),
        (rq + "r:set_event({})", "Bad argument #2, expected struct event got table"),
    ):
        assert reason(source) == expected, source
    assert reason("dovecot.http.client(1)").endswith("bad argument #1 to 'client' (table expected, got number)")
    assert "secret" not in reason(client + "c:request { url = 'http://u:secret@h/#f' }")
    assert "Invalid method" in reason(client + "c:request { url = 'http://h/', method = 'A B' }")


def test_a_request_and_its_response() -> None:
    seen: list[Seen] = []

    def answer(one: Seen) -> bytes:
        seen.append(one)
        return reply(201, b"bin\0ary\xff", {"X-One": "a", "x-one": "b", "Empty": ""}, "Made")

    found = play(
        """local client = dovecot.http.client { user_agent = "Lua test" }
        function main()
          local rq = client:request { url = "URL/x?y", method = "PUT", extra = 1 }
          rq.own = "key"
          rq:add_header("X-Test", "first"); rq:add_header("x-test", "second"); rq:add_header("Drop", 1)
          rq:remove_header("DROP"); rq:remove_header("unknown")
          rq:set_payload("pay\\0load")
          local re = rq:submit()
          assert(rq.own == "key")
          return re:status(), re:reason(), re:header("X-ONE"), re:header("none"), re:header("empty"), #re:payload(),
            re:payload() == "bin\\0ary\\xff", math.type(re:status()), pcall(rq.submit, rq)
        end""",
        answer,
    )
    assert found[:8] == (201, "Made", "a", "", "", 8, True, "integer")
    assert found[8:] == (False, "request was already submitted")
    assert (seen[0].method, seen[0].target, seen[0].body) == ("PUT", "/x?y", b"pay")
    assert seen[0].headers["x-test"] == "second" and seen[0].headers["user-agent"] == "Lua test"
    assert "drop" not in seen[0].headers


def test_network_errors_are_statuses() -> None:
    status, why = play(
        """function main()
          local re = dovecot.http.client {} :request { url = "http://127.0.0.1:1/" } :submit()
          return re:status(), re:reason()
        end"""
    )
    assert (status, why) == (9003, "connect(127.0.0.1:1) failed: Connection refused")


def test_submitting_at_the_top_level_and_where_lua_cannot_yield() -> None:
    source = """local client = dovecot.http.client {}
    local top = client:request { url = "URL/top" }:submit():payload()
    function main()
      local inside
      string.gsub("x", "x", function()
        inside = client:request { url = "URL/gsub" }:submit():payload()
        return "y"
      end)
      local made = coroutine.wrap(function() return client:request { url = "URL/co" }:submit():payload() end)()
      return top, inside, made
    end"""

    # the server must answer while this thread waits in gsub: it runs on a loop of its own
    async def whole() -> Any:
        loop = asyncio.new_event_loop()
        started: asyncio.Future[HttpServer] = asyncio.get_running_loop().create_future()
        here = asyncio.get_running_loop()
        stop = asyncio.Event()

        async def serve() -> None:
            async with HttpServer(lambda seen: reply(200, seen.target.encode())) as server:
                here.call_soon_threadsafe(started.set_result, server)
                await stop.wait()

        thread = here.run_in_executor(None, loop.run_until_complete, serve())
        server = await started
        lines = Lines()
        door = LuaHttp(Log("http: ", lines))
        script = text(source.replace("URL", server.url), lines, (http.family(door),))
        try:
            await script.start()
            return await script.call("main")
        finally:
            await script.close()
            await door.close()
            loop.call_soon_threadsafe(stop.set)
            await thread
            loop.close()

    assert run(whole()) == ("/top", "/gsub", "/co")


def test_events() -> None:
    sent: list[Sent] = []
    OBSERVERS.append(sent.append)
    try:
        play(
            """function main()
              local above = dovecot.event():add_str("above", "client")
              local client = dovecot.http.client { event_parent = above }
              local rq = client:request { url = "URL/" }
              rq:get_event():log_info("one")
              rq:set_event(dovecot.event():add_str("above", "mine"))
              rq:get_event():log_info("two")
              return rq:submit():status()
            end"""
        )
    finally:
        OBSERVERS.remove(sent.append)
    assert [(one.text, one.fields["above"], one.fields["method"]) for one in sent] == [
        ("one", "client", "GET"),
        ("two", "mine", "GET"),
    ]
    assert reason("dovecot.http.client { event_parent = 'x' }") == "Bad argument #1, expected struct event got string"


def test_tables_of_two_three_warn_once() -> None:
    lines = Lines()
    source = """function main()
      for i = 1, 3 do dovecot.http.client { timeout = 10000; max_attempts = 3; debug = true; no_auto_retry = true,
        strange = function() end } end
      return dovecot.http.client { request_timeout = "5s" } ~= nil
    end"""
    assert play(source, lines=lines) == (True,)
    warnings = [text for level, text in lines.seen if level == "W"]
    assert len(warnings) == 1 and "timeout is request_timeout now" in warnings[0]
    old = Lines()
    assert play(source, lines=old, lua_compat="2.3") == (True,)
    assert not [text for level, text in old.seen if level == "W"]


def test_submit_suspends_the_script_only() -> None:
    release = asyncio.Event()

    async def answer(seen: Seen) -> Any:
        await release.wait()
        yield reply(200, seen.body)

    async def test(script: Script, server: HttpServer) -> None:
        calls = [asyncio.ensure_future(script.call("main", str(n))) for n in range(400)]
        while server.in_flight < 400:
            await asyncio.sleep(0)
        release.set()
        assert [await one for one in calls] == [(str(n),) for n in range(400)]

    play(
        """local client = dovecot.http.client {}
        function main(n)
          local rq = client:request { url = "URL/", method = "POST" }
          rq:set_payload(n)
          return rq:submit():payload()
        end""",
        answer,
        test,
    )


def test_the_documented_example_runs_unchanged(tmp_path: Path) -> None:
    """Its URL is https://endpoint/: a proxy leads there, so that not one octet of the script is changed."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("endpoint").configure_cert(context)
    lines = Lines()
    gate = asyncio.Event()

    async def answer(seen: Seen) -> Any:
        if b"wait" in seen.body:
            await gate.wait()
        right = b'"password":"right' in seen.body.replace(b" ", b"")
        yield reply(200 if right else 403)

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"CONNECT endpoint:443 ")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)

        async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer), return_exceptions=True)

    async def whole() -> tuple[list[tuple[Any, Any]], list[tuple[Any, Any]], HttpServer]:
        async with HttpServer(answer, tls=context) as server:
            proxy = await asyncio.start_server(lambda r, w: tunnel(r, w, server.port), "127.0.0.1", 0, backlog=1000)
            base = HttpSettings(
                max_parallel_connections=1000,
                proxy_url=f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}",
                ssl_client_ca_file=str(tmp_path / "ca.pem"),
            )
            door = LuaHttp(Log("http: ", lines), base)
            log = Log("test: ", lines)
            script = Script.from_file(str(EXAMPLE), (auth.make, http.family(door)), LuaSettings(), log=log)
            await script.start()

            def request(user: str) -> AuthRequest:
                return AuthRequest(members({"user": user}), Event(log=log))

            few = [
                await call_auth(script, "auth_password_verify", request("anna"), word) for word in ("right", "wrong")
            ]
            many = [
                asyncio.ensure_future(call_auth(script, "auth_password_verify", request(f"wait{n}"), "right"))
                for n in range(150)
            ]
            while server.in_flight < 150:
                await asyncio.sleep(0)
            gate.set()
            all_ = await asyncio.gather(*many)
            await script.close()
            await door.close()
            proxy.close()
            return few, all_, server

    few, many, server = run(whole())
    assert few == [(1, ""), (0, "")]
    assert many == [(1, "")] * 150
    assert server.requests[0].method == "POST" and b'"anna"' in server.requests[0].body
    warnings = [text for level, text in lines.seen if level == "W"]
    assert len([text for text in warnings if "dovecot.http.client" in text]) == 1
    assert not any("right" in text for _, text in lines.seen)


def test_ever_new_settings_do_not_pile_up() -> None:
    async def whole() -> None:
        async with HttpServer(lambda seen: reply(200)) as server:
            door = LuaHttp(Log("http: ", Lines()))
            kept, _ = door.settings({"user_agent": "kept"}, False)
            for number in range(300):
                settings, _ = door.settings({"user_agent": str(number)}, False)
                await door.submit(settings, "GET", "http://127.0.0.1:1/", [], None, False)
            assert len(door._known) <= MAX_CLIENTS and len(door._clients) <= MAX_CLIENTS
            assert (await door.submit(kept, "GET", server.url, [], None, False))[0] == 200
            assert server.requests[0].headers["user-agent"] == "kept"
            await door.close()

    run(whole())
