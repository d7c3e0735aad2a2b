"""Databases in auth-workers, with the real master: death, endless loops, memory, load, reload, long lists."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.auth_room import Lines, plain
from kit.instance import Instance
from kit.wait import wait_for

CONF = """
protocols =
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_worker_stuck = 1s
auth_worker_request_timeout = 8s
auth_verbose = yes
auth_username_chars =
passdb passwd-file {{
  username_filter = file*
}}
passdb main {{
  driver = {driver}
  use_worker = yes
  python_settings {{
    folder = {folder}
  }}
}}
userdb static {{
  result_success = continue-ok
}}
userdb main {{
  driver = awkward
  use_worker = yes
  python_settings {{
    count = {count}
  }}
}}
service auth-worker {{
  process_limit = {limit}
  {service}
}}
{more}
"""


@contextmanager
def roost(
    folder: Path, driver: str = "awkward", *, limit: int = 4, count: int = 3, service: str = "", more: str = ""
) -> Iterator[Instance]:
    conf = CONF.format(driver=driver, folder=folder, limit=limit, count=count, service=service, more=more)
    instance = Instance(folder, conf)
    instance.module = ("tests.kit.with_drivers", str(folder / "drivers"), "--")
    with instance:
        yield instance


def client(roost: Instance) -> Lines:
    lines = Lines(str(roost.auth_socket))
    lines.send("VERSION\t1\t4\nCPID\t4711\n")
    while lines.next() != "DONE":
        pass
    return lines


def master(roost: Instance) -> Lines:
    lines = Lines(str(roost.base_dir / "auth-master"))
    lines.send("VERSION\t1\t4\n")
    assert lines.next() == "VERSION\t1\t4"
    lines.next()
    return lines


def auth(number: int, user: str, password: str = "pw") -> str:
    return f"AUTH\t{number}\tPLAIN\tservice=smtp\trip=192.0.2.9\tresp={plain(user, password)}\n"


def test_questions_are_answered_in_workers(tmp_path: Path) -> None:
    with roost(tmp_path) as it:
        assert not it.pids("auth-worker"), "nobody is started before he is needed"
        lines = client(it)
        answer = lines.ask(auth(1, "u1"))
        assert answer.startswith("OK\t1\tuser=u1\tpid=") and answer.endswith("saw=192.0.2.9")
        assert it.pids("auth-worker") == {int(answer.split("pid=")[1].split("\t")[0])}
        assert lines.ask(auth(2, "u1", "wrong")) == "FAIL\t2\tuser=u1"
        assert lines.ask(auth(3, "none")) == "FAIL\t3\tuser=none"
        assert lines.ask(auth(4, "unavailable")) == "FAIL\t4\tuser=unavailable\tcode=temp_fail"
        assert lines.ask(auth(5, "raise")) == "FAIL\t5\tuser=raise\tcode=temp_fail"
        asks = master(it)
        assert asks.ask("USER\t1\tu2\tservice=lmtp\n").startswith("USER\t1\tu2\thome=/h/u2\tuid=1000\tpid=")
        assert asks.ask("USER\t2\tnone\tservice=lmtp\n") == "NOTFOUND\t2"
        assert asks.ask("PASS\t3\tu2\tservice=lmtp\n").startswith("PASS\t3\tuser=u2\tpid=")
        assert len(it.pids("auth-worker")) == 1, "one is enough for one question at a time"
        log = it.log_text()
        assert "the database is away" in log and "KeyError" in log
        assert "(not this one)" in log
