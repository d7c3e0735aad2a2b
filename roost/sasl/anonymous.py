"""ANONYMOUS (RFC 4505): one message, trace information of at most 255 characters, for the log only."""

from __future__ import annotations

from roost.sasl.base import Anonymous, Broken, Challenge, Mechanism, Turn

MAX_TRACE_CHARS = 255


class Nobody:
    """Asks for the trace unless it came as the initial response."""

    __slots__ = ()

    def start(self, initial: bytes | None) -> Turn:
        if initial is None:
            return Challenge(b"")
        return self.step(initial)

    def step(self, response: bytes) -> Turn:
        try:
            trace = response.decode("utf-8")
        except UnicodeDecodeError:
            return Broken("ANONYMOUS trace is not UTF-8")
        if len(trace) > MAX_TRACE_CHARS or not trace.isprintable():
            return Broken("ANONYMOUS trace is too long or has control characters")
        return Anonymous(trace)


_STATELESS = Nobody()
ANONYMOUS = Mechanism("ANONYMOUS", frozenset({"anonymous"}), lambda surroundings: _STATELESS)
