"""Facts about processes: true for ourselves, None for the gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from roost.proc.usage import command_name, port_owner, usage


def test_ourselves() -> None:
    facts = usage(os.getpid())
    assert facts is not None
    assert facts.rss_octets > 1 << 20 and facts.uptime_secs >= 0 and facts.fds
    assert command_name(os.getpid())


def test_the_gone() -> None:
    gone = subprocess.Popen([sys.executable, "-I", "-c", ""])
    gone.wait()
    assert usage(gone.pid) is None
    assert command_name(gone.pid) == ""


def test_the_owner_of_a_port() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        assert port_owner(port) is None
        sock.listen()
        owner = port_owner(port)
        assert owner is not None and owner[0] == os.getpid()


def test_psutil_is_imported_only_when_asked() -> None:
    code = "import sys, roost.proc.usage; sys.exit('psutil' in sys.modules)"
    assert subprocess.run([sys.executable, "-I", "-c", code]).returncode == 0
