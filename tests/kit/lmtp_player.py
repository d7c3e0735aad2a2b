"""Plays ``tests/transcripts/lmtp/*.txt``: in memory, or through any stream that reaches a real server.

The form (``ARCHITECTURE.md`` §7): headers, an empty line, then one step a line. ``C:`` the client says a line
(consecutive ones leave in one write), ``S:`` the server's next line, ``!:`` a line that must not occur on that
connection, ``closed`` the server has ended the connection. ``2C:`` is another connection, opened when first named. In
patterns ``$name`` captures a word at first sight and must agree afterwards, ``$`` matches anything, and a line ending
in ``-$*`` takes all lines of a reply.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

FOLDER = Path(__file__).parent.parent / "transcripts" / "lmtp"
_STEP = re.compile(r"(\d*)(C:|S:|!:|closed)(?: (.*))?")
_VARIABLE = re.compile(r"\$([a-z][a-z0-9_]*)?")


@dataclass(frozen=True)
class Step:
    """``kind`` is "C", "S", "!" or "closed"; ``line`` its number in the file, for messages."""

    connection: int
    kind: str
    text: str
    line: int


@dataclass(frozen=True)
class Transcript:
    path: Path
    headers: dict[str, list[str]]
    steps: list[Step]

    @property
    def settings(self) -> dict[str, str]:
        pairs = (text.partition("=") for text in self.headers.get("setting", []))
        return {key.strip(): value.strip() for key, _, value in pairs}


class Wire(Protocol):
    """One connection as the player needs it."""

    def send(self, octets: bytes) -> None: ...

    def read_line(self) -> str | None:
        """The next line without its end; None when the server has closed (or, at a deadline, said nothing)."""
        ...

    def unread(self) -> str:
        """What the server said and nobody has read, as far as that can be known without waiting."""
        ...

    def close(self) -> None: ...


def load(path: Path) -> Transcript:
    """Raises ValueError naming the line that is not understood."""
    headers: dict[str, list[str]] = {}
    steps: list[Step] = []
    lines = path.read_text(encoding="utf-8").split("\n")
    body = lines.index("")
    for line in lines[:body]:
        key, separator, value = line.partition(": ")
        if not separator:
            raise ValueError(f"{path}: header {line!r}")
        headers.setdefault(key, []).append(value)
    for number, line in enumerate(lines[body:], body + 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _STEP.fullmatch(line)
        if match is None:
            raise ValueError(f"{path}:{number}: {line!r}")
        steps.append(Step(int(match[1] or 1), match[2].rstrip(":"), match[3] or "", number))
    if "about" not in headers or "rfc" not in headers:
        raise ValueError(f"{path}: needs about: and rfc:")
    return Transcript(path, headers, steps)


@dataclass
class Player:
    """``connect`` opens one more connection."""

    connect: Callable[[], Wire]
    wires: dict[int, Wire] = field(default_factory=dict)
    seen: dict[int, list[str]] = field(default_factory=dict)
    captured: dict[str, str] = field(default_factory=dict)

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
                pending += step.text.encode() + b"\r\n"
                following = transcript.steps[position + 1 : position + 2]
                if not following or (following[0].kind, following[0].connection) != ("C", step.connection):
                    wire.send(pending)
                    pending = b""
            elif step.kind == "S":
                self._expect(step, wire, where)
            elif step.kind == "closed":
                line = wire.read_line()
                assert line is None, f"{where}: the connection is not closed, the server said {line!r}"
            else:
                forbidden.append(step)
        for step in forbidden:
            pattern = self._pattern(step.text)
            for line in self.seen.get(step.connection, []):
                assert not pattern.fullmatch(line), f"{transcript.path.name}:{step.line}: {line!r} must not occur"

    def _wire(self, number: int) -> Wire:
        if number not in self.wires:
            self.wires[number] = self.connect()
        return self.wires[number]

    def _expect(self, step: Step, wire: Wire, where: str) -> None:
        wanted = step.text.removesuffix("$*") + "$" if step.text.endswith("-$*") else step.text
        while True:
            line = wire.read_line()
            assert line is not None, f"{where}: wanted {step.text!r}, the server closed or said nothing"
            self.seen.setdefault(step.connection, []).append(line)
            if wanted is not step.text and line[:4] == wanted[:3] + " ":
                return
            match = self._pattern(wanted).fullmatch(line)
            assert match is not None, f"{where}: wanted {step.text!r}, the server said {line!r}"
            self.captured.update(match.groupdict())
            if wanted is step.text:
                return

    def _pattern(self, text: str) -> re.Pattern[str]:
        parts: list[str] = []
        at = 0
        for match in _VARIABLE.finditer(text):
            parts.append(re.escape(text[at : match.start()]))
            name = match[1]
            if name is None:
                parts.append(".*")
            elif name in self.captured:
                parts.append(re.escape(self.captured[name]))
            else:
                parts.append(rf"(?P<{name}>\S+)")
            at = match.end()
        return re.compile("".join(parts) + re.escape(text[at:]))


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

    def read_line(self) -> str | None:
        try:
            line = self._file.readline()
        except (TimeoutError, ConnectionResetError):
            return None
        return line.decode("utf-8", "replace").removesuffix("\n").removesuffix("\r") if line else None

    def unread(self) -> str:
        return ""

    def close(self) -> None:
        self._file.close()
        self._sock.close()


def transcripts() -> list[Transcript]:
    """All of them, by name."""
    return [load(path) for path in sorted(FOLDER.glob("*.txt"))]
