"""The smallest frame that keeps the master-child contract, for testing the master alone: no asyncio, one select loop.

A test room is a module with ``serve(child)`` (whole life) or ``line(text) -> str`` (an answer to each line).
"""

from __future__ import annotations

import importlib
import os
import selectors
import signal
import socket
import sys
from types import FrameType

from roost.proc import handover, privileges
from roost.proc.contract import FD_DEAD_MASTER, FD_LOG, FD_STATUS, LOG_MARK, RETIRED, STATUS, ChildContext
from roost.settings.schema import ImapSettings

BROKEN_GREETING = "broken"
"""A configuration that loads and that the room cannot start with."""


def log(level: str, text: str) -> None:
    os.write(FD_LOG, LOG_MARK + level.encode() + text.encode() + b"\n")


class Child:
    """Counts clients, reports, obeys signals."""

    def __init__(self, context: ChildContext) -> None:
        self.context = context
        self.limit = context.service.client_limit
        self.clients: dict[int, socket.socket] = {}
        self.draining = False
        self.stopping = False
        self.selector = selectors.DefaultSelector()

    def report(self) -> None:
        available = RETIRED if self.draining else max(self.limit - len(self.clients), 0)
        try:
            os.write(FD_STATUS, STATUS.pack(os.getpid(), self.context.generation, available))
        except OSError:
            pass

    def run(self, module: object) -> int:
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        for signum in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            signal.signal(signum, self._on_signal)
        privileges.drop(self.context.privileges)
        self.selector.register(wake_read, selectors.EVENT_READ, "wake")
        self.selector.register(FD_DEAD_MASTER, selectors.EVENT_READ, "dead")
        self._listen()
        self.report()
        while not self.stopping and not (self.draining and not self.clients):
            for key, _ in self.selector.select(5.0):
                if key.data == "wake":
                    os.read(wake_read, 100)
                elif key.data == "dead":
                    if not self.draining:
                        return 0
                    self.selector.unregister(FD_DEAD_MASTER)
                elif key.data == "listener":
                    self._accept(key.fd)
                else:
                    self._serve(key.fd, module)
            self.report()
        return 0

    def _listen(self) -> None:
        for info in self.context.listeners:
            self.selector.register(info.fd, selectors.EVENT_READ, "listener")

    def _unlisten(self) -> None:
        for info in self.context.listeners:
            try:
                self.selector.unregister(info.fd)
            except KeyError:
                pass

    def _accept(self, fd: int) -> None:
        listener = socket.socket(fileno=fd)
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            return
        finally:
            listener.detach()
        self.clients[client.fileno()] = client
        self.selector.register(client, selectors.EVENT_READ, "client")
        if len(self.clients) >= self.limit:
            self._unlisten()

    def _serve(self, fd: int, module: object) -> None:
        client = self.clients[fd]
        data = client.recv(4096)
        if not data:
            was_full = len(self.clients) >= self.limit
            self.selector.unregister(fd)
            del self.clients[fd]
            client.close()
            if was_full and not self.draining:
                self._listen()
            return
        for text in data.decode().splitlines():
            client.sendall(module.line(self, text).encode() + b"\n")  # type: ignore[attr-defined]

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGTERM or (signum == signal.SIGINT and not self.clients):
            self.stopping = True
        elif signum == signal.SIGQUIT and not self.draining:
            self.draining = True
            self._unlisten()


def main(context: ChildContext) -> int:
    module = importlib.import_module(context.module)
    if context.config.section(ImapSettings).login_greeting == BROKEN_GREETING and context.service.name == "imap":
        raise RuntimeError("this configuration breaks the room")
    if hasattr(module, "serve"):
        return int(module.serve(context))
    return Child(context).run(module)


if __name__ == "__main__":
    sys.exit(main(handover.receive()))
