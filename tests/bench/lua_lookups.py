"""Lua lookups a second before an HTTP backend that takes its time: the driver alone, and through auth and its worker.

    python tests/bench/lua_lookups.py driver|auth [--flight 5000] [--total 50000] [--wait-ms 50] [--no-http]

``driver``: ``passdb lua`` in this process, as an auth-worker has it. ``auth``: a real master; AUTH lines on the socket
of the auth process, one auth-worker. The backend is another process. Prints lookups a second, how many were in flight
at the backend, and CPU of each process by lookup.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import uvloop
from kit.running import Running, who_we_are

from roost.auth.api import DriverContext, Outcome, Query
from roost.events.log import Log
from roost.settings.schema.auth import PassdbSettings
from roost.util.secret import Secret
from roost.worker.run import tune_gc
from services.auth.passdb.lua import Lua

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"result":"ok"}'
SCRIPT = """
local json = require "json"
local client, url
function script_init(args)
  url = args.url
  client = dovecot.http.client {
    request_timeout = "60s", request_max_attempts = 3, max_parallel_connections = 6000, max_idle_time = "10s",
  }
end
function auth_password_verify(req, password)
  if url == "" then return dovecot.auth.PASSDB_RESULT_OK, { userdb_x = req.user } end
  local request = client:request { url = url, method = "POST" }
  request:add_header("Content-Type", "application/json")
  request:set_payload(json.encode { user = req.user, password = password, ip = req.remote_ip })
  local response = request:submit()
  if response:status() == 200 and json.decode(response:payload()).result == "ok" then
    return dovecot.auth.PASSDB_RESULT_OK, { userdb_x = req.user }
  end
  return dovecot.auth.PASSDB_RESULT_INTERNAL_FAILURE, response:reason()
end
"""
CONF = """
{who}protocols =
state_dir = {folder}/state
auth_internal_failure_delay = 0
auth_worker_queue_limit = 20000
auth_max_requests = 100000
auth_username_chars =
mail_home = {folder}/mail/%{{user}}
passdb lua {{
  lua_file = {folder}/bench.lua
  lua_interleave = yes
  lua_max_calls = 20000
  lua_settings {{
    url = {url}
  }}
}}
userdb static {{
}}
service auth {{
  vsz_limit = 2G
}}
service auth-worker {{
  process_limit = 1
  vsz_limit = 2G
}}
"""
One = Callable[[int], Awaitable[bool]]
STEP = 500
PARAMETERS = {"service": "imap", "rip": "192.0.2.7", "lip": "192.0.2.1", "session": "bench"}


class Backend(asyncio.Protocol):
    """Answers each request after a while; the requests are small and come whole."""

    wait_secs = 0.05
    at_once = most = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        Backend.at_once += 1
        Backend.most = max(Backend.most, Backend.at_once)
        asyncio.get_running_loop().call_later(self.wait_secs, self._answer)

    def _answer(self) -> None:
        Backend.at_once -= 1
        self.transport.write(ANSWER)  # type: ignore[attr-defined]  # it is a stream's


def backend(pipe: Connection, wait_secs: float) -> None:
    async def serve() -> None:
        Backend.wait_secs = wait_secs
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Backend, "127.0.0.1", 0, backlog=8192)
        pipe.send(server.sockets[0].getsockname()[1])
        loop.add_reader(pipe.fileno(), lambda: (pipe.recv(), pipe.send(Backend.most)))
        await server.serve_forever()

    uvloop.run(serve())


async def rounds(options: argparse.Namespace, one: One) -> tuple[int, float]:
    """``total`` calls of ``one``, ``flight`` at once. → how many were right, seconds."""
    left = iter(range(options.total))
    right = 0

    async def caller() -> None:
        nonlocal right
        for number in left:
            good = await one(number)
            right += good

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(min(options.flight, options.total))))
    return right, time.perf_counter() - began


async def warm(options: argparse.Namespace, one: One) -> None:
    """Make the connections, not all in one moment: a queue of accept(2) is no part of this."""
    for start in range(0, options.flight, STEP):
        await asyncio.gather(*(one(number) for number in range(min(start + STEP, options.flight))))


async def by_driver(options: argparse.Namespace, url: str) -> None:
    async def never(fn: object, *arguments: object) -> object:
        raise AssertionError("nothing slow here")

    async def nobody(query: Query) -> bool:
        return False

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.lua"
        path.write_text(SCRIPT)
        settings = PassdbSettings(
            name="lua", lua_file=str(path), lua_interleave=True, lua_max_calls=20000, lua_settings={"url": url}
        )
        driver = Lua(settings, DriverContext(Log("bench: "), never, nobody))  # type: ignore[arg-type]  # nothing is offloaded
        await driver.start()

        async def one(number: int) -> bool:
            user = f"user{number}@example.org"
            entry = await driver.verify(Query(user, PARAMETERS, "plain", user), Secret(b"secret"))
            return entry is not None and entry.outcome is Outcome.OK

        await warm(options, one)
        tune_gc()  # as in every worker
        cpu = time.process_time()
        right, secs = await rounds(options, one)
        spent = time.process_time() - cpu
        print(
            f"driver: {right} of {options.total} right, {right / secs:,.0f}/s, {spent / options.total * 1e6:.1f} us CPU"
        )
        await driver.close()


class Client(asyncio.Protocol):
    """One connection to the auth socket."""

    def __init__(self) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting: dict[bytes, asyncio.Future[bool]] = {}
        self._rest = b""
        self._last = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(b"VERSION\t1\t4\nCPID\t%d\n" % (os.getpid() * 100 + id(self) % 97))  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            word, _, rest = line.partition(b"\t")
            if word == b"DONE":
                self.ready.set_result(None)
            elif word in (b"OK", b"FAIL"):
                self.waiting.pop(rest.split(b"\t", 1)[0]).set_result(word == b"OK")

    async def login(self, user: str) -> bool:
        self._last += 1
        name = b"%d" % self._last
        future = self.waiting[name] = asyncio.get_running_loop().create_future()
        message = base64.b64encode(f"\0{user}\0secret".encode())
        self.transport.write(b"AUTH\t%b\tPLAIN\tservice=imap\trip=192.0.2.7\tresp=%b\n" % (name, message))  # type: ignore[attr-defined]
        return await future


async def by_auth(options: argparse.Namespace, url: str, roost: Running) -> None:
    loop = asyncio.get_running_loop()
    path = str(roost.base_dir / "auth-client")
    clients = [(await loop.create_unix_connection(Client, path))[1] for _ in range(4)]
    await asyncio.gather(*(client.ready for client in clients))
    assert await clients[0].login("first"), roost.report()
    pids = {name: next(iter(roost.pids(name))) for name in ("auth", "auth-worker")}

    async def one(number: int) -> bool:
        return await clients[number % len(clients)].login(f"user{number}@example.org")

    await warm(options, one)
    before = {name: _cpu(pid) for name, pid in pids.items()}
    right, secs = await rounds(options, one)
    shares = ", ".join(
        f"{name} {(_cpu(pid) - before[name]) / options.total * 1e6:.0f} us" for name, pid in pids.items()
    )
    print(f"auth: {right} of {options.total} right, {right / secs:,.0f}/s; CPU each: {shares}")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("where", choices=("driver", "auth"))
    parser.add_argument("--flight", type=int, default=5000)
    parser.add_argument("--total", type=int, default=50_000)
    parser.add_argument("--wait-ms", type=float, default=50)
    parser.add_argument("--no-http", action="store_true")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=backend, args=(theirs, options.wait_ms / 1000), daemon=True
    )
    process.start()
    url = "" if options.no_http else f"http://127.0.0.1:{ours.recv()}/"
    if options.where == "driver":
        uvloop.run(by_driver(options, url))
    else:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "bench.lua").write_text(SCRIPT)
            with Running(Path(folder), CONF.format(who=who_we_are(), folder=folder, url=url)) as roost:
                uvloop.run(by_auth(options, url, roost))
    if not options.no_http:
        ours.send(None)
        print(f"in flight at the backend: {ours.recv()}")
    process.terminate()


if __name__ == "__main__":
    main()
