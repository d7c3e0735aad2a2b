"""The meter counts all processes of a server, also those that it forks at once."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest
from kit.wait import wait_for

from tests.bench.meter import Meter, enter, members, new_cgroup

FORKS_AT_ONCE = "import os\npid = os.fork()\nif pid:\n print(pid, flush=True)\ninput()\n"
SPENDS = "import time\nwhile time.process_time() < 0.2:\n pass\nprint('spent', flush=True)\ninput()\n"


def test_what_was_forked_at_once_is_in_the_cgroup() -> None:
    cgroup = new_cgroup("test")
    if cgroup is None:
        pytest.skip("no cgroup to be had here")
    with subprocess.Popen(
        [sys.executable, "-c", FORKS_AT_ONCE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=partial(enter, cgroup),
    ) as server:
        try:
            assert server.stdout is not None
            forked = int(server.stdout.readline())
            assert {server.pid, forked} <= set(members(cgroup))
            assert Meter(server.pid, cgroup).cgroup == cgroup
        finally:
            assert server.stdin is not None
            server.stdin.close()
            server.stdout.read()  # ends when both have ended
    wait_for(lambda: not members(cgroup))
    cgroup.rmdir()


def test_a_server_that_did_not_enter_is_metered_by_its_processes() -> None:
    cgroup = new_cgroup("test")
    with subprocess.Popen([sys.executable, "-c", SPENDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"spent\n"
        meter = Meter(server.pid, cgroup)
        assert meter.cgroup is None
        assert meter.cpu_secs() > 0.1
        server.communicate(b"\n")
    if cgroup is not None:
        cgroup.rmdir()
