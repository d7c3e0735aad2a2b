"""Plays ``tests/transcripts/lmtp/*.txt``: in memory, or through any stream that reaches a real server.

The files are read by ``kit.transcript``; LMTP replies are plain lines, so they are matched here, strictly in order:
``$name`` captures a word at first sight and must agree afterwards, ``$`` matches anything, a line ending in ``-$*``
takes all lines of a reply, ``S: (closed)`` is the end of the connection, ``!:`` must not occur on that connection at
all. Consecutive ``C:`` lines leave in one write. A connection is opened when first named.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kit.transcript import Step, Transcript, read

FOLDER = Path(__file__).parent.parent / "transcripts" / "lmtp"
_VARIABLE = re.compile(rb"\$([a-z][a-z0-9]*)?")
CLOSED = b"(closed)"


class Wire(Protocol):
    """One connection as the player needs it."""

    def send(self, octets: bytes) -> None: ...

    def read_line(self) -> bytes | None:
        """The next line without its end; None when the server has closed (or, at a deadline, said nothing)."""
        ...

    def unread(self) -> bytes:
        """What the server said and nobody has read, as far as that can be known without waiting."""
        ...

    def close(self) -> None: ...


def settings(transcript: Transcript) -> dict[str, str]:
    """Of the header ``settings: key=value …``."""
    pairs = (text.partition("=") for text in transcript.header.get("settings", "").split())
    return {key: value for key, _, value in pairs}


@dataclass
class Player:
    """``connect`` opens one more connection."""

    connect: Callable[[], Wire]
    wires: dict[int, Wire] = field(default_factory=dict)
    seen: dict[int, list[bytes]] = field(default_factory=dict)
    captured: dict[str, bytes] = field(default_factory=dict)

    def play(self, transcript: Transcript) -> None:
        """Raises AssertionError naming file and line."""
        try:
            self._play(transcript)
            for wire in self.wires.values():
                assert not (rest := wire.unread()), f"{transcript.path.name}: at the end the server said {rest!r}"
        finally:
            for wire in self.wires.values():
                wire.close()

    def _play(self, transcript: Transcript) -> None:
        pending = b""
        forbidden: list[Step] = []
        for position, step in enumerate(transcript.steps):
            where = f"{transcript.path.name}:{step.line}"
            wire = self._wire(step.connection)
            if step.kind == "C":
                pending += step.octets + b"\r\n"
                following = transcript.steps[position + 1 : position + 2]
                if not following or (following[0].kind, following[0].connection) != ("C", step.connection):
                    wire.send(pending)
                    pending = b""
            elif step.kind == "!":
                forbidden.append(step)
            elif step.octets == CLOSED:
                line = wire.read_line()
                assert line is None, f"{where}: the connection is not closed, the server said {line!r}"
            else:
                self._expect(step, wire, where)
        for step in forbidden:
            pattern = self._pattern(step.octets)
            for line in self.seen.get(step.connection, []):
                assert not pattern.fullmatch(line), f"{transcript.path.name}:{step.line}: {line!r} must not occur"

    def _wire(self, number: int) -> Wire:
        if number not in self.wires:
            self.wires[number] = self.connect()
        return self.wires[number]

    def _expect(self, step: Step, wire: Wire, where: str) -> None:
        whole_reply = step.octets.endswith(b"-$*")
        wanted = step.octets.removesuffix(b"*")
        while True:
            line = wire.read_line()
            assert line is not None, f"{where}: wanted {step.octets!r}, the server closed or said nothing"
            self.seen.setdefault(step.connection, []).append(line)
            if whole_reply and line[:4] == wanted[:3] + b" ":
                return
            match = self._pattern(wanted).fullmatch(line)
            assert match is not None, f"{where}: wanted {step.octets!r}, the server said {line!r}"
            self.captured.update(match.groupdict())
            if not whole_reply:
                return

    def _pattern(self, text: bytes) -> re.Pattern[bytes]:
        parts: list[bytes] = []
        at = 0
        for match in _VARIABLE.finditer(text):
            parts.append(re.escape(text[at : match.start()]))
            name = match[1]
            if name is None:
                parts.append(b".*")
            elif name.decode() in self.captured:
                parts.append(re.escape(self.captured[name.decode()]))
            else:
                parts.append(rb"(?P<%s>\S+)" % name)
            at = match.end()
        return re.compile(b"".join(parts) + re.escape(text[at:]))


class SocketWire:
    """A real connection; a line that does not come within ``deadline_secs`` counts as silence."""

    def __init__(self, sock: socket.socket, deadline_secs: float = 10.0) -> None:
        sock.settimeout(deadline_secs)
        self._sock = sock
        self._file = sock.makefile("rb")

    def send(self, octets: bytes) -> None:
        try:
            self._sock.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has closed: what it said before is still to be read

    def read_line(self) -> bytes | None:
        try:
            line = self._file.readline()
        except (TimeoutError, ConnectionResetError):
            return None
        return line.removesuffix(b"\n").removesuffix(b"\r") if line else None

    def unread(self) -> bytes:
        return b""

    def close(self) -> None:
        self._file.close()
        self._sock.close()


def transcripts() -> list[Transcript]:
    """All of them, by name."""
    return [read(path) for path in sorted(FOLDER.glob("*.txt"))]
