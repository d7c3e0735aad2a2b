"""mutt in a real terminal: opens the mailbox over TLS, shows the index, flags and deletes a message."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.instance import Instance
from kit.mail import count, deliver, letter

pytestmark = pytest.mark.interop

RC = """\
set folder="imaps://u1@127.0.0.1:{port}/"
set spoolfile="imaps://u1@127.0.0.1:{port}/INBOX"
set imap_user="u1" imap_pass="pw"
set certificate_file="{certificate}"
set ssl_verify_host=no ssl_verify_dates=no
set header_cache="" quit=yes delete=yes move=no mark_old=no
set index_format="%4C %Z %s"
"""


class Terminal:
    """A program on a pseudo terminal; ``expect`` reads until a text has appeared."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        os.set_inheritable(slave, True)
        import fcntl
        import struct
        import termios

        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.seen = b""

    def expect(self, text: bytes, deadline_secs: float = 30) -> None:
        end = time.monotonic() + deadline_secs
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} did not appear; the screen got {self.seen[-2000:]!r}"
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    assert text in self.seen, f"mutt ended: {self.seen[-2000:]!r}"

    def type(self, keys: bytes) -> None:
        self.seen = b""
        os.write(self.master, keys)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)


def test_mutt_shows_flags_and_deletes(instance: Instance, program: Callable[[str], str], tmp_path: Path) -> None:
    mutt = program("mutt")
    deliver(instance, "u1", [letter(n) for n in range(4)])
    rc = tmp_path / "muttrc"
    rc.write_text(RC.format(port=instance.imaps_port, certificate=instance.ca_file))
    environment = {**os.environ, "TERM": "xterm", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    terminal = Terminal([mutt, "-n", "-F", str(rc)], environment)
    try:
        terminal.expect(b"letter 3")
        terminal.type(b"F")  # flags the first message
        terminal.type(b"jd")  # deletes the second
        terminal.type(b"q")
        assert terminal.process.wait(30) == 0
    finally:
        terminal.close()
    assert count(instance, "u1", "INBOX") == 3
