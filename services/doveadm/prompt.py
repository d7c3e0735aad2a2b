"""Asking for a password: on the terminal without echo, or the first line of standard input."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from roost.errors import Refused

TRIES = 3
MAX_OCTETS = 8192


def ask(prompt: str, again: str, err: TextIO) -> bytes:
    """See ``Context.password``. Raises Refused."""
    if not os.isatty(0):
        line = sys.stdin.buffer.readline(MAX_OCTETS)
        if not line:
            raise Refused("No password given: standard input is empty")
        return line.rstrip(b"\r\n")
    for _ in range(TRIES):
        first = _read(prompt, err)
        if not again or first == _read(again, err):
            return first
        err.write("Passwords don't match!\n")
    raise Refused("Passwords don't match")


def _read(prompt: str, err: TextIO) -> bytes:
    import termios

    before = termios.tcgetattr(0)
    silent = termios.tcgetattr(0)
    silent[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(0, termios.TCSAFLUSH, silent)  # before the prompt: what is typed after it counts
        err.write(prompt)
        err.flush()
        line = os.read(0, MAX_OCTETS)
    finally:
        termios.tcsetattr(0, termios.TCSAFLUSH, before)
        err.write("\n")
        err.flush()
    if not line:
        raise Refused("No password given")
    return line.rstrip(b"\r\n")
