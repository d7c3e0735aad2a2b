"""The context crosses an exec, and only a context does."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from roost.proc import handover
from roost.proc.contract import FD_DEAD_MASTER, FD_HANDOVER, FD_STATUS, ChildContext, ListenerInfo
from roost.settings import load

READER = """
import os
from roost.proc import handover
context = handover.receive()
print(context.service.name, context.generation, context.listeners[0].path, os.get_inheritable(5))
"""


def test_across_an_exec(tmp_path: Path) -> None:
    file = tmp_path / "r.conf"
    file.write_text(f"base_dir = {tmp_path}\nssl = no\n")
    config = load(str(file))
    info = ListenerInfo(8, "unix", "door", "login", path="/door")
    context = ChildContext(config.services["imap"], config, (info,), 7, True, "services.imap.main")
    fd = handover.offer(context)

    def place() -> None:
        os.dup2(fd, FD_HANDOVER, inheritable=True)
        for other in (FD_STATUS, FD_DEAD_MASTER, 8):
            os.dup2(1, other, inheritable=True)

    ran = subprocess.run(
        [sys.executable, "-I", "-c", READER],
        preexec_fn=place,
        close_fds=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    os.close(fd)
    assert ran.stdout == "imap 7 /door False\n", ran.stderr


def test_something_else_is_refused() -> None:
    read_fd, write_fd = os.pipe()
    os.write(write_fd, pickle.dumps({"not": "a context"}))
    os.close(write_fd)
    with pytest.raises(pickle.UnpicklingError):
        handover.receive(read_fd)
