"""A room for tests of the frame: greets, echoes lines, and obeys a few words.

``quit`` says BYE and closes · ``boom`` raises · ``pid`` tells the process · ``spawn`` starts a task that fails ·
``peer`` tells the client's address · ``hang`` makes ``drain`` wait for ever · ``block`` blocks the loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

from roost.errors import ConfigError, Unavailable
from roost.net.connection import Connection
from roost.worker.service import Service

if TYPE_CHECKING:
    from roost.proc.contract import ListenerInfo
    from roost.worker.service import Worker


class Toy(Connection):
    def __init__(self, room: ToyRoom, info: ListenerInfo) -> None:
        super().__init__(room.worker.loop, room.worker.log)
        self.room, self.info = room, info
        self.buffer = b""

    def ready(self) -> None:
        self.room.connections.add(self)
        self.write(b"* OK %s %s\n" % (self.info.name.encode(), b"secured" if self.secured else b"plain"))

    def data(self, chunk: memoryview) -> None:
        *lines, self.buffer = (self.buffer + chunk).split(b"\n")
        for line in lines:
            self.obey(line)

    def obey(self, line: bytes) -> None:
        if line == b"quit":
            self.write(b"* BYE\n")
            self.close()
        elif line == b"boom":
            raise RuntimeError("boom")
        elif line == b"pid":
            self.write(b"%d\n" % os.getpid())
        elif line == b"spawn":
            self.room.worker.spawn(self.fail(), "failing task")
            self.write(b"spawned\n")
        elif line == b"peer":
            peer = self.peer
            self.write(f"{peer.remote_ip} {peer.remote_port} {peer.local_ip} {peer.local_port}\n".encode())
        elif line == b"hang":
            self.room.hang = True
            self.write(b"hanging\n")
        elif line == b"block":
            threading.Event().wait(3600)
        else:
            self.write(line + b"\n")

    async def fail(self) -> None:
        raise RuntimeError("task failed")

    def lost(self, exc: BaseException | None) -> None:
        self.room.connections.discard(self)


class ToyRoom:
    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.connections: set[Toy] = set()
        self.hang = False

    def connection(self, listener: ListenerInfo) -> Connection:
        return Toy(self, listener)

    async def drain(self, *, politely: bool) -> None:
        if politely:
            for connection in tuple(self.connections):
                connection.write(b"* BYE shutting down\n")
                connection.close()
            if self.hang:
                await asyncio.Event().wait()


async def start(worker: Worker) -> ToyRoom:
    fault = os.environ.get("TOY_FAULT", "")
    if fault == "config":
        raise ConfigError("no good", key="toy_key")
    if fault == "unavailable":
        raise Unavailable("later")
    if fault == "bug":
        raise RuntimeError("start failed")
    return ToyRoom(worker)


SERVICE = Service("toy", start)
