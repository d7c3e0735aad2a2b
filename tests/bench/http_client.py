"""Requests a second of the HTTP client, alone and behind Lua's ``dovecot.http``, before a backend that takes its time.

    python tests/bench/http_client.py [--lua] [--flight 5000] [--total 50000] [--wait-ms 50] [--chunked]

The backend is another process. Prints requests per second and the client's CPU per request.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import resource
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import uvloop

from roost.clients.http.client import HttpClient
from roost.clients.http.lua import LuaHttp
from roost.clients.http.message import Request
from roost.clients.http.settings import HttpSettings
from roost.events.log import Log
from roost.lua.api import http
from roost.lua.script import Script

BODY = b'{"result":"ok"}'
USUAL = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\nServer: bench\r\n\r\n" + BODY
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: bench\r\n\r\nf\r\n" + BODY + b"\r\n0\r\n\r\n"
SCRIPT = """
local client = dovecot.http.client { timeout = 10000; max_attempts = 3; debug = true; max_parallel_connections = 6000;
  max_idle_time = "10s" }
function lookup(user, password)
  local request = client:request { url = URL; method = "POST" }
  request:add_header("Content-Type", "application/json")
  request:set_payload('{"user":"' .. user .. '","password":"' .. password .. '"}')
  local response = request:submit()
  if response:status() == 200 and response:payload() == '{"result":"ok"}' then return 1, "" end
  return 0, response:reason()
end
"""


class Backend(asyncio.Protocol):
    """Answers each request after a while; the requests are small and come whole."""

    wait_secs = 0.05
    answer = USUAL

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(self.wait_secs, self.transport.write, self.answer)  # type: ignore[attr-defined]


def backend(pipe: Connection, wait_secs: float, answer: bytes) -> None:
    async def serve() -> None:
        Backend.wait_secs, Backend.answer = wait_secs, answer
        server = await asyncio.get_running_loop().create_server(Backend, "127.0.0.1", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    uvloop.run(serve())


async def measure(options: argparse.Namespace, port: int) -> None:
    log = Log("bench: ")
    url = f"http://127.0.0.1:{port}/"
    if options.lua:
        door = LuaHttp(log)
        script = Script.from_string("bench", SCRIPT.replace("URL", f"'{url}'"), [http.family(door)], log=log)
        object.__setattr__(script.settings, "lua_max_calls", 100_000)
        await script.start()

        async def one() -> bool:
            return (await script.call("lookup", "user", "password"))[0] == 1
    else:
        client = HttpClient(HttpSettings(max_parallel_connections=6000, max_idle_time_msecs=10_000), log)

        async def one() -> bool:
            request = Request("POST", url, {"Content-Type": "application/json"}, b'{"user":"user","password":"pw"}')
            return (await client.request(request)).status == 200

    left = options.total

    async def loop() -> int:
        nonlocal left
        good = 0
        while left > 0:
            left -= 1
            good += await one()
        return good

    await asyncio.gather(*[one() for _ in range(options.flight)])  # connections
    cpu, wall = time.process_time(), time.perf_counter()
    good = sum(await asyncio.gather(*[loop() for _ in range(options.flight)]))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{good} of {options.total} good, {good / wall:,.0f}/s, {cpu / options.total * 1e6:.1f} us CPU each")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lua", action="store_true")
    parser.add_argument("--chunked", action="store_true")
    parser.add_argument("--flight", type=int, default=5000)
    parser.add_argument("--total", type=int, default=50_000)
    parser.add_argument("--wait-ms", type=float, default=50)
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(
        target=backend, args=(there, options.wait_ms / 1000, CHUNKED if options.chunked else USUAL), daemon=True
    )
    process.start()
    resource.setrlimit(resource.RLIMIT_NOFILE, (20_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    uvloop.run(measure(options, here.recv()))
    process.kill()


if __name__ == "__main__":
    main()
