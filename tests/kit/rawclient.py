"""A tiny raw socket client for hostile tests of IMAP, LMTP and the inner sockets: octets in, octets out, deadlines.

Nothing is interpreted but line ends. Every wait has the connection's deadline; a server that neither answers nor
closes in time is an AssertionError that shows what it has said.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from pathlib import Path

DEADLINE_SECS = 30.0
SHOWN_OCTETS = 400


class RawClient:
    """A connection to a port of 127.0.0.1 (int) or to a UNIX socket (Path)."""

    def __init__(self, where: int | Path, *, deadline_secs: float = DEADLINE_SECS, receive_octets: int = 0) -> None:
        """``receive_octets``: size of the socket's receive buffer, for clients that do not read."""
        self.deadline_secs = deadline_secs
        self.buffer = b""
        self.sock: socket.socket = socket.socket(socket.AF_INET if isinstance(where, int) else socket.AF_UNIX)
        self.sock.settimeout(deadline_secs)
        if receive_octets:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_octets)
        self.sock.connect(("127.0.0.1", where) if isinstance(where, int) else str(where))

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def start_tls(self, ca_file: Path, name: str = "127.0.0.1") -> RawClient:
        """The client's handshake, now."""
        self.sock = ssl.create_default_context(cafile=str(ca_file)).wrap_socket(self.sock, server_hostname=name)
        return self

    # -- out

    def send(self, octets: bytes) -> bool:
        """Send everything; False when the server closed first."""
        try:
            self.sock.sendall(octets)
        except TimeoutError:
            raise AssertionError(f"the server takes nothing; it said {self._shown()}") from None
        except OSError:
            return False
        return True

    # -- in

    def more(self) -> bool:
        """Read once; False at the end."""
        try:
            got = self.sock.recv(1 << 18)
        except TimeoutError:
            raise AssertionError(f"no answer within {self.deadline_secs} s; so far {self._shown()}") from None
        except OSError:
            return False
        self.buffer += got
        return bool(got)

    def line(self) -> bytes:
        """The next line without its CRLF. Raises EOFError at the end."""
        while b"\n" not in self.buffer:
            if not self.more():
                raise EOFError(f"closed after {self._shown()}")
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.removesuffix(b"\r")

    def rest(self, limit_octets: int = 1 << 26) -> bytes:
        """Everything up to the end, which must come."""
        while self.more():
            assert len(self.buffer) < limit_octets, "the server does not stop talking"
        buffer, self.buffer = self.buffer, b""
        return buffer

    def ended(self) -> bool:
        """The server has closed, everything before is in ``buffer``. Does not wait."""
        while select.select([self.sock], [], [], 0)[0]:
            if not self.more():
                return True
        return False

    def talk(self, octets: bytes, *, finish: bool = True) -> bytes:
        """Send and read at once, then say that no more will come (``finish``); what the server said until it closed."""
        end = time.monotonic() + self.deadline_secs
        sock = self.sock
        sock.setblocking(False)
        view = memoryview(octets)
        sending = True
        while True:
            left = end - time.monotonic()
            assert left > 0, f"the server did not close within {self.deadline_secs} s; it said {self._shown()}"
            readable, writable, _ = select.select([sock], [sock] if sending else [], [], left)
            try:
                if writable and view:
                    view = view[sock.send(view[: 1 << 16]) :]
                if sending and not view:
                    sending = False
                    if finish:
                        sock.shutdown(socket.SHUT_WR)
            except BlockingIOError:
                pass
            except OSError:
                sending = False
            if readable:
                try:
                    got = sock.recv(1 << 18)
                except BlockingIOError:
                    continue
                except OSError:
                    break
                if not got:
                    break
                self.buffer += got
        buffer, self.buffer = self.buffer, b""
        return buffer

    # -- IMAP

    def login(self, user: str, password: str = "pw") -> RawClient:
        """Read the greeting and log in."""
        assert self.line().startswith(b"* OK ")
        assert self.command(f"L LOGIN {user} {password}".encode())[-1].startswith(b"L OK")
        return self

    def command(self, octets: bytes) -> list[bytes]:
        """Send a command, return lines up to and with its tagged one. Raises EOFError."""
        self.send(octets + b"\r\n")
        return self.until(octets.split(b" ", 1)[0])

    def until(self, tag: bytes) -> list[bytes]:
        lines = [self.line()]
        while not lines[-1].startswith(tag + b" "):
            lines.append(self.line())
        return lines

    # -- LMTP

    def reply(self) -> bytes:
        """The last line of the next reply."""
        while (line := self.line())[3:4] == b"-":
            pass
        return line

    def say(self, *lines: bytes) -> list[bytes]:
        """Send command lines together, return one reply each."""
        self.send(b"".join(line + b"\r\n" for line in lines))
        return [self.reply() for _ in lines]

    def _shown(self) -> str:
        return f"{len(self.buffer)} octets ending in {self.buffer[-SHOWN_OCTETS:]!r}"


def lmtp(socket_path: Path, sender: bytes = b"<s@example.org>", recipients: tuple[str, ...] = ()) -> RawClient:
    """A connection that has said LHLO; with ``recipients`` it has come to the 354 of DATA."""
    client = RawClient(socket_path)
    assert client.reply().startswith(b"220 ")
    assert client.say(b"LHLO c")[0].startswith(b"250 ")
    if recipients:
        names = [b"RCPT TO:<%s>" % name.encode() for name in recipients]
        answers = client.say(b"MAIL FROM:" + sender, *names, b"DATA")
        assert answers[-1].startswith(b"354 "), answers
    return client
