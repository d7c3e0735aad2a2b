"""Blocking IMAP and LMTP clients that cost little and parse nothing but the end of a reply."""

from __future__ import annotations

import re
import socket


class Failed(Exception):
    """The server answered something else than expected."""


class Imap:
    """One IMAP connection. ``ok`` sends a command, reads to its tagged line and returns the whole reply."""

    def __init__(self, port: int, user: str | None, password: str = "pw") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = 0
        self.socket.recv(4096)
        if user is not None:
            self.ok(b"LOGIN %s %s" % (user.encode(), password.encode()))

    def ok(self, command: bytes) -> bytes:
        self.number += 1
        tag = b"t%d" % self.number
        self.socket.sendall(tag + b" " + command + b"\r\n")
        return self._until(tag, command)

    def append(self, mailbox: bytes, messages: list[bytes]) -> bytes:
        """APPEND or MULTIAPPEND with non-synchronising literals."""
        self.number += 1
        tag = b"t%d" % self.number
        literals = b"".join([b" {%d+}\r\n%b" % (len(m), m) for m in messages])
        self.socket.sendall(b"%b APPEND %b%b\r\n" % (tag, mailbox, literals))
        return self._until(tag, b"APPEND")

    def _until(self, tag: bytes, command: bytes) -> bytes:
        chunks = []
        tail = b""
        while True:
            data = self.socket.recv(1 << 18)
            if not data:
                raise Failed(f"closed during {command[:60]!r}")
            chunks.append(data)
            tail = tail[-300:] + data[-600:] if len(data) < 600 else data[-900:]
            if data.endswith(b"\r\n"):
                last = tail[:-2].rpartition(b"\n")[2]
                if last.startswith(tag + b" "):
                    if not last.startswith(tag + b" OK"):
                        raise Failed(f"{command[:60]!r}: {last[:200]!r}")
                    return b"".join(chunks)

    def count(self, mailbox: bytes) -> int:
        found = re.search(rb"MESSAGES (\d+)", self.ok(b"STATUS %b (MESSAGES)" % mailbox))
        return int(found.group(1)) if found else -1

    def close(self) -> None:
        self.socket.close()


class Lmtp:
    """One LMTP connection over TCP."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reply(b"220")
        self.socket.sendall(b"LHLO bench.example\r\n")
        self._reply(b"250")

    def deliver(self, recipient: bytes, message: bytes) -> None:
        self.socket.sendall(b"MAIL FROM:<s@bench.example>\r\nRCPT TO:<%b>\r\nDATA\r\n" % recipient)
        for code in (b"250", b"250", b"354"):
            self._reply(code)
        self.socket.sendall(message + b".\r\n")
        self._reply(b"250")

    def _reply(self, code: bytes) -> None:
        if not hasattr(self, "buffer"):
            self.buffer = b""
        while True:
            line, newline, rest = self.buffer.partition(b"\r\n")
            if newline:
                self.buffer = rest
                if line[3:4] == b"-":
                    continue
                if not line.startswith(code):
                    raise Failed(f"LMTP: expected {code!r}, got {line[:200]!r}")
                return
            data = self.socket.recv(65536)
            if not data:
                raise Failed("LMTP: closed")
            self.buffer += data

    def close(self) -> None:
        self.socket.close()
