"""A blocking IMAP client for tests with real processes: a line at a time, nothing clever."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path

DEADLINE_SECS = 10.0


class Client:
    """A connection to 127.0.0.1; with ``user`` it reads the greeting and logs in (password ``pw``)."""

    def __init__(self, port: int, user: str = "") -> None:
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_SECS)
        self.buffer = b""
        self.user = user
        if user:
            self.line()
            assert self.command(f"L LOGIN {user} pw".encode())[-1].startswith(b"L OK")

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def line(self) -> bytes:
        """The next line without its CRLF. Raises ConnectionError at the end, TimeoutError."""
        while b"\r\n" not in self.buffer:
            got = self.sock.recv(65536)
            if not got:
                raise ConnectionError("closed")
            self.buffer += got
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def until(self, tag: bytes) -> list[bytes]:
        """Lines up to and with the tagged one."""
        lines = [self.line()]
        while not lines[-1].startswith(tag + b" "):
            lines.append(self.line())
        return lines

    def command(self, text: bytes) -> list[bytes]:
        self.send(text + b"\r\n")
        return self.until(text.split()[0])

    def start_tls(self, ca_file: Path) -> None:
        """The handshake, at once."""
        context = ssl.create_default_context(cafile=str(ca_file))
        self.sock = context.wrap_socket(self.sock, server_hostname="127.0.0.1")

    def close(self) -> None:
        self.sock.close()


def worker_pids(log_text: str, user: str) -> list[int]:
    """The processes that took ``user``'s logins, in their order."""
    return [int(pid) for pid in re.findall(rf"Login: user=<{re.escape(user)}>.*? mpid=(\d+)", log_text)]
