"""Writing log lines: in the contract's form to the master, or as plain text when a process runs alone.

Under the master, fd 2 is a pipe: one line is ``\\x01``, a level letter (D I W E F P), the text, LF, and never longer
than PIPE_BUF, so that lines of several processes do not mix. The master adds the timestamp and the level's word
(``docs/protocols/log.md``). The text already carries its own prefix, as in Dovecot: ``imap(user)<pid><session>: ``.

A busy worker may ``hold`` its info and debug lines for a moment, so that those of many clients are formed together and
cross the pipe together (a delivery and a login cost a tenth less); warnings and worse never wait. A process killed with
-9 loses what it held, at most ``HOLD_SECS``.

Whatever a peer sends may end up in a text, so control characters are written as escapes: nobody can forge a line.
Secrets are never given to this module (``roost.util.secret.Secret`` prints as stars).
"""

from __future__ import annotations

import os
import select
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

V = TypeVar("V")

PIPE_BUF_OCTETS = 4096
HOLD_SECS = 0.02
STALL_SECS = 1.0  # how long a full pipe is waited for, once
HOLD_OCTETS = 4 * PIPE_BUF_OCTETS  # a quarter of a pipe; more than that is not held: few wake-ups of the master
UNFORMED_OCTETS = 200  # what a line that is not formed yet is taken for
_HEAD_OCTETS = 3  # \x01, the level letter and the LF around the text
_WORDS = {"D": "Debug: ", "I": "Info: ", "W": "Warning: ", "E": "Error: ", "F": "Fatal: ", "P": "Panic: "}

# C0, DEL, C1 and the Unicode line separators, each to its escape
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {0x2028: "\\u2028", 0x2029: "\\u2029"}


def sanitize(text: str) -> str:
    """``text`` without control characters and line ends (they become ``\\x0a`` and the like)."""
    return text if text.isprintable() else text.translate(_ESCAPES)


class Sink:
    """Where the lines of this process go. ``framed``: the contract's form for the master; else plain text."""

    def __init__(self, fd: int = 2, *, framed: bool = False, debug: bool = False) -> None:
        self.fd = fd
        self.framed = framed
        self.debug = debug
        self.lost_lines = 0  # could not be written: the reader is gone, or the pipe stayed full for STALL_SECS
        self._lost_now = 0  # of these, not yet reported
        self._stalled = False
        self._later: Callable[[float, Callable[[], None]], object] | None = None
        self._thread = 0
        # As given to ``line``, or a function and what it forms the text from: many are formed in one go.
        self._held: list[tuple[str, str, str | Callable[[Any], str], Any]] = []
        self._held_octets = 0  # near enough

    def hold(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        """From now on info and debug lines written on this thread wait up to HOLD_SECS, until ``release``. ``later`` is
        ``loop.call_later``. Lines of other threads never wait."""
        self._thread = threading.get_ident()
        self._later = later

    def release(self) -> None:
        """Write what is held; nothing waits any more."""
        self._later = None
        self._flush()

    def line(self, level: str, prefix: str, text: str) -> None:
        """Write one message: several lines when it is long, each with the prefix."""
        if self._later is None or threading.get_ident() != self._thread:
            self._emit(self._parts(level, prefix, sanitize(text)))
            return
        held = self._held
        if not held:
            self._later(HOLD_SECS, self._flush)
        held.append((level, prefix, text, None))
        self._held_octets += len(prefix) + len(text) + _HEAD_OCTETS
        if self._held_octets > HOLD_OCTETS or level not in "ID":
            self._flush()

    def unformed(self, level: str, prefix: str, form: Callable[[V], str], values: V) -> None:
        """``line`` with the text ``form(values)``. An info or debug line that is held is only formed when it leaves, so
        ``values`` must not change and ``form`` must be quick, and good at any time."""
        if self._later is None or threading.get_ident() != self._thread or level not in "ID":
            self.line(level, prefix, form(values))
            return
        held = self._held
        if not held:
            self._later(HOLD_SECS, self._flush)
        held.append((level, prefix, form, values))
        self._held_octets += UNFORMED_OCTETS
        if self._held_octets > HOLD_OCTETS:
            self._flush()

    def lines(self, level: str, prefix: str, texts: list[str]) -> None:
        """Write several messages together, so that they stay next to each other in the log."""
        if self._held and threading.get_ident() == self._thread:
            self._flush()
        self._emit([part for text in texts for part in self._parts(level, prefix, sanitize(text))])

    def _flush(self) -> None:
        held, self._held, self._held_octets = self._held, [], 0
        if held:
            parts: list[bytes] = []
            for level, prefix, text, values in held:
                if not isinstance(text, str):
                    text = _formed(text, values)
                parts += self._parts(level, prefix, text if text.isprintable() else sanitize(text))
            self._emit(parts)

    def _parts(self, level: str, prefix: str, text: str) -> list[bytes]:
        if self.framed:  # nearly always one part
            whole = f"\x01{level}{prefix}{text}\n".encode("utf-8", "backslashreplace")
            if len(whole) <= PIPE_BUF_OCTETS:
                return [whole]
        head = b"\x01" + level.encode() if self.framed else b""
        front = head + (prefix if self.framed else prefix + _WORDS[level]).encode("utf-8", "backslashreplace")
        body = text.encode("utf-8", "backslashreplace")
        room = max(PIPE_BUF_OCTETS - len(front) - _HEAD_OCTETS, 64)
        parts = []
        while len(body) > room:
            cut = room
            while cut > room - 4 and body[cut] & 0xC0 == 0x80:  # do not cut a UTF-8 sequence
                cut -= 1
            parts.append(front + body[:cut] + b"\n")
            body = body[cut:]
        parts.append(front + body + b"\n")
        return parts

    def _emit(self, parts: list[bytes]) -> None:
        block = b""
        for part in parts:
            if block and len(block) + len(part) > PIPE_BUF_OCTETS:
                self._write(block)
                block = b""
            block += part
        self._write(block)

    def _write(self, block: bytes) -> None:
        for _attempt in range(2):
            try:
                os.write(self.fd, block)
            except BlockingIOError:  # the reader does not keep up: wait for it once, then lose lines until it does
                if self._stalled or not self._wait():
                    break
            except OSError:
                break
            else:
                if self._stalled:
                    self._stalled = False
                    lost, self._lost_now = self._lost_now, 0
                    self._write(self._parts("W", "log: ", f"{lost} lines were lost, the log was full")[0])
                return
        self._stalled = True
        self._lost_now += block.count(b"\n")
        self.lost_lines += block.count(b"\n")

    def _wait(self) -> bool:
        try:
            return bool(select.select((), (self.fd,), (), STALL_SECS)[1])
        except (OSError, ValueError):
            return False


def _formed(form: Callable[[Any], str], values: object) -> str:
    try:
        return form(values)
    except Exception as exc:  # nobody is left whose fault it could be: the other lines must not be lost
        return f"A log line could not be formed: {exc!r}"


SINK = Sink()  # the process's own; roost.worker.run sets its form after the fork


class Log:
    """A source of log lines with a fixed prefix such as ``imap(user)<pid><session>: ``."""

    __slots__ = ("_sink", "prefix")

    def __init__(self, prefix: str, sink: Sink = SINK) -> None:
        self.prefix = sanitize(prefix)
        self._sink = sink

    def child(self, prefix: str) -> Log:
        """A source with another prefix (it replaces this one's) and the same destination."""
        return Log(prefix, self._sink)

    def extend(self, prefix: str) -> Log:
        """A source whose prefix is this one's and then ``prefix``."""
        return Log(self.prefix + prefix, self._sink)

    @property
    def debugging(self) -> bool:
        """Whether ``debug`` writes anything: ask before forming an expensive text."""
        return self._sink.debug

    def debug(self, text: str) -> None:
        if self._sink.debug:
            self._sink.line("D", self.prefix, text)

    def emit(self, level: str, text: str) -> None:
        """A line of the level with this letter, also a debug line (D) that ``debugging`` would hold back."""
        self._sink.line(level, self.prefix, text)

    def info(self, text: str) -> None:
        self._sink.line("I", self.prefix, text)

    def info_of(self, form: Callable[[V], str], values: V) -> None:
        """``info(form(values))``, formed when the line leaves this process; see ``Sink.unformed``."""
        self._sink.unformed("I", self.prefix, form, values)

    def warning(self, text: str) -> None:
        self._sink.line("W", self.prefix, text)

    def error(self, text: str) -> None:
        self._sink.line("E", self.prefix, text)

    def fatal(self, text: str) -> None:
        self._sink.line("F", self.prefix, text)

    def exception(self, text: str, *, exc: BaseException | None = None) -> None:
        """An error with the traceback of ``exc`` (or of the exception being handled), a line for each of its lines."""
        found = exc if exc is not None else sys.exc_info()[1]
        texts = [text]
        if found is not None:
            for block in traceback.format_exception(found):
                texts += [line for line in block.rstrip("\n").split("\n") if line.strip()]
        self._sink.lines("E", self.prefix, texts)
