"""Databases in auth-workers, with the real master: death, endless loops, memory, load, reload, long lists."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.auth_room import Lines, plain
from kit.instance import Instance
from kit.running import alive
from kit.wait import wait_for

CONF = """
protocols =
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_worker_stuck = 1s
auth_worker_request_timeout = {timeout}
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


def conf_of(
    folder: Path,
    driver: str,
    *,
    limit: int = 4,
    count: int = 3,
    timeout: str = "20s",
    service: str = "",
    more: str = "",
) -> str:
    return CONF.format(
        driver=driver, folder=folder, limit=limit, count=count, timeout=timeout, service=service, more=more
    )


@contextmanager
def roost(
    folder: Path, driver: str = "awkward", *, limit: int = 4, count: int = 3, timeout: str = "20s", **more: str
) -> Iterator[Instance]:
    instance = Instance(folder, conf_of(folder, driver, limit=limit, count=count, timeout=timeout, **more))
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


def answers(lines: Lines, count: int) -> dict[int, str]:
    """The next ``count`` answers, by id."""
    found = {}
    for _ in range(count):
        line = lines.next()
        found[int(line.split("\t")[1])] = line
    return found


def workers(roost: Instance, count: int = 1) -> set[int]:
    """The pids of the workers, as soon as there are so many."""
    wait_for(lambda: len(roost.pids("auth-worker")) >= count, 10, f"{count} workers")
    return roost.pids("auth-worker")


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


def test_a_driver_that_verifies_nothing(tmp_path: Path) -> None:
    with roost(tmp_path, "plainly") as it:
        lines = client(it)
        assert lines.ask(auth(1, "u1")).startswith("OK\t1\tuser=u1\tpid=")
        assert lines.ask(auth(2, "u1", "wrong")) == "FAIL\t2\tuser=u1"
        assert lines.ask(auth(3, "none")) == "FAIL\t3\tuser=none"


def test_a_killed_worker(tmp_path: Path) -> None:
    with roost(tmp_path, "many") as it:
        lines = client(it)
        lines.send("".join(auth(number, f"wait-0.7-{number}") for number in range(1, 51)))
        (pid,) = workers(it)
        other = client(it)
        other.send(auth(1, "wait-0.1"))
        assert other.next().startswith("OK\t1\t")
        os.kill(pid, signal.SIGKILL)
        found = answers(lines, 50)
        assert all(line.startswith("OK\t") for line in found.values()), "each was asked of another worker"
        assert all(f"pid={pid}" not in line for line in found.values())
        it.wait_log("killed with signal 9")


def test_a_request_that_kills_its_worker(tmp_path: Path) -> None:
    with roost(tmp_path, "many") as it:
        lines = client(it)
        lines.send(auth(1, "wait-0.5") + auth(2, "die") + auth(3, "wait-0.6") + auth(4, "die-once"))
        found = answers(lines, 4)
        assert found[2] == "FAIL\t2\tuser=die\tcode=temp_fail"
        it.wait_log("PASSV(die): the worker died, as another did before")
        assert lines.ask(auth(5, "u1")).startswith("OK\t5\t")
    with roost(tmp_path) as it:
        (tmp_path / "die-once").unlink(missing_ok=True)
        assert client(it).ask(auth(1, "die-once")).startswith("OK\t1\t")


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("block", "PASSV(block) has blocked the loop for 1 s"),
        ("spin", "PASSV(spin) has blocked the loop for 1 s"),
        ("thread-spin", "PASSV(thread-spin) has used 1 s of CPU in one call"),
        ("thread-sleep", "PASSV(thread-sleep) is still in its call after 3 s"),
    ],
)
def test_a_request_that_never_ends(tmp_path: Path, user: str, text: str) -> None:
    with roost(tmp_path, "many", timeout="3s") as it:
        lines, others = client(it), client(it)
        lines.send(auth(1, user))
        (pid,) = workers(it)
        others.send("".join(auth(number, f"wait-0.2-{number}") for number in range(1, 21)))
        assert all(line.startswith("OK\t") for line in answers(others, 20).values())
        assert lines.next() == f"FAIL\t1\tuser={user}\tcode=temp_fail"
        it.wait_log(text)
        it.wait_log(f"child {pid} killed with signal 9")
        assert "pw" not in it.log_text().replace("passwd", "")
        assert lines.ask(auth(2, "u1")).startswith("OK\t2\t")
        assert pid not in it.pids("auth-worker")


def test_code_that_keeps_the_interpreters_lock(tmp_path: Path) -> None:
    """No thread of Python runs any more; the watchdog in C does."""
    with roost(tmp_path, "many") as it:
        lines, others = client(it), client(it)
        lines.send(auth(1, "grip"))
        (pid,) = workers(it)
        others.send("".join(auth(number, f"wait-0.2-{number}") for number in range(1, 9)))
        assert all(line.startswith("OK\t") for line in answers(others, 8).values())
        assert lines.next() == "FAIL\t1\tuser=grip\tcode=temp_fail"
        it.wait_log("Timeout (0:00:03)!")
        assert pid not in it.pids("auth-worker")


def test_the_end_does_not_wait_for_a_stuck_call(tmp_path: Path) -> None:
    with roost(tmp_path, more="shutdown_clients = yes") as it:
        client(it).send(auth(1, "thread-sleep"))
        (pid,) = workers(it)
        assert it.stop(15) == 0
        assert not alive(pid)


def test_one_at_a_time_there_is_a_worker_for_each(tmp_path: Path) -> None:
    with roost(tmp_path, limit=3) as it:
        lines = client(it)
        lines.send("".join(auth(number, f"wait-0.3-{number}") for number in range(1, 10)))
        found = answers(lines, 9)
        pids = [line.split("pid=")[1].split("\t")[0] for line in found.values()]
        assert {pids.count(pid) for pid in pids} == {3}
        assert len(it.pids("auth-worker")) == 3, "no more than process_limit"


def test_hundreds_at_once(tmp_path: Path) -> None:
    with roost(tmp_path, "many") as it:
        lines = client(it)
        lines.send("".join(auth(number, f"wait-0.3-{number}") for number in range(1, 401)))
        found = answers(lines, 400)
        assert len(found) == 400 and all(line.startswith("OK\t") for line in found.values())
        for number, line in found.items():
            assert f"user=wait-0.3-{number}\t" in line, "an answer belongs to its question"


def test_no_answer_in_time(tmp_path: Path) -> None:
    with roost(tmp_path, "many", timeout="1s") as it:
        lines = client(it)
        lines.send(auth(1, "wait-60") + auth(2, "u2"))
        assert lines.next().startswith("OK\t2\t")
        assert lines.next() == "FAIL\t1\tuser=wait-60\tcode=temp_fail"
        it.wait_log("PASSV(wait-60): no answer of the worker for 1 s")
        assert "killed" not in it.log_text()
        assert lines.ask(auth(3, "u1")).startswith("OK\t3\t")


def test_a_client_that_leaves(tmp_path: Path) -> None:
    """Its questions are taken back: the only worker is free for others."""
    with roost(tmp_path, limit=1) as it:
        lines = client(it)
        lines.send("".join(auth(number, f"wait-10-{number}") for number in range(1, 20)))
        workers(it)
        lines.close()
        assert client(it).ask(auth(1, "u1")).startswith("OK\t1\t")


def test_memory(tmp_path: Path) -> None:
    with roost(tmp_path, "awkward", service="vsz_limit = 512M") as it:
        lines = client(it)
        assert lines.ask(auth(1, "eat")) == "FAIL\t1\tuser=eat\tcode=temp_fail"
        it.wait_log("PASSV(eat): out of memory")
        assert lines.ask(auth(2, "u1")).startswith("OK\t2\t")
        wait_for(lambda: len(it.pids("auth-worker")) == 1, 10, "the worker that ran out of memory leaves")


def test_reload(tmp_path: Path) -> None:
    with roost(tmp_path, "many") as it:
        lines = client(it)
        assert lines.ask(auth(1, "u1")).startswith("OK\t1\t")
        (before,) = it.pids("auth-worker")
        lines.send(auth(2, "wait-1"))
        assert lines.ask(auth(3, "u1")).startswith("OK\t3\t")
        it.configure(conf_of(tmp_path, "awkward"))
        assert it.reload() == ""
        assert lines.next().startswith("OK\t2\t"), "what was at work is finished by those who began it"
        wait_for(lambda: client(it).ask(auth(4, "u1")).startswith("OK\t4\t"), 10, "the new configuration works")
        wait_for(lambda: before not in it.pids("auth-worker"), 10, "the old worker leaves")


def test_long_lists(tmp_path: Path) -> None:
    with roost(tmp_path, count=100_000) as it:
        lines = master(it)
        lines.send("LIST\t1\tservice=lmtp\n")
        names = set()
        while (line := lines.next()) != "DONE\t1\t":
            names.add(line.split("\t")[2])
        assert names == {f"user{number}" for number in range(100_000)}


def test_a_list_that_breaks_off(tmp_path: Path) -> None:
    with roost(tmp_path) as it:
        it.configure(conf_of(tmp_path, "awkward").replace("count = 3", "count = 3\n    fails = yes"))
        assert it.reload() == ""

        def asked() -> list[str]:
            lines = master(it)
            lines.send("LIST\t1\tservice=lmtp\n")
            found = []
            while not (line := lines.next()).startswith("DONE") and line:
                found.append(line)
            return [*found, line]

        wait_for(lambda: asked() == [*(f"LIST\t1\tuser{n}" for n in range(3)), "DONE\t1\tfail"], 10, "the failure")
        it.wait_log("the list broke off")


def test_nobody_there(tmp_path: Path) -> None:
    with roost(tmp_path, service="unix_listener auth-worker {\nmode = 0\n}") as it:
        assert client(it).ask(auth(1, "u1")) == "FAIL\t1\tuser=u1\tcode=temp_fail"
        it.wait_log("Can't connect to")


def test_workers_are_replaced_after_so_many_requests(tmp_path: Path) -> None:
    with roost(tmp_path, more="auth_worker_max_requests = 5") as it:
        lines = client(it)
        pids = [lines.ask(auth(number, "u1")).split("pid=")[1].split("\t")[0] for number in range(1, 16)]
        assert sorted(pids.count(pid) for pid in set(pids)) == [5, 5, 5]


PWDFILE = next((one for top in ("lib", "usr/lib") for one in Path("/", top).glob("*/security/pam_pwdfile.so")), None)


@pytest.mark.skipif(PWDFILE is None, reason="libpam-pwdfile is not installed")
def test_pam_and_passwd(tmp_path: Path) -> None:
    (tmp_path / "pam").mkdir()
    hashed = subprocess.run(["openssl", "passwd", "-6", "pw"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "pw").write_text("".join(f"u{number}:{hashed}" for number in range(9)))
    (tmp_path / "pam" / "mail").write_text(
        f"auth required pam_pwdfile.so pwdfile={tmp_path}/pw\naccount required pam_permit.so\n"
    )
    conf = conf_of(tmp_path, "pam").replace(
        "  driver = pam\n",
        f"  driver = pam\n  pam_conf_dir = {tmp_path}/pam\n  pam_service_name = mail\n  pam_max_requests = 4\n",
    )
    conf = conf.replace("use_worker = yes", "").replace("driver = awkward", "driver = passwd\n  first_valid_uid = 0")
    instance = Instance(tmp_path, conf)
    with instance as it:
        lines, seen = client(it), set()
        for number in range(1, 10):
            assert lines.ask(auth(number, f"u{number % 9}")) == f"OK\t{number}\tuser=u{number % 9}"
            seen |= it.pids("auth-worker")
        assert len(seen) >= 3, "a worker is replaced after four requests"
        assert lines.ask(auth(20, "u1", "wrong")) == "FAIL\t20\tuser=u1"
        assert lines.ask(auth(21, "u10")) == "FAIL\t21\tuser=u10"
        it.wait_log("pam_authenticate() failed: Authentication failure")
        (tmp_path / "pw").unlink()
        assert lines.ask(auth(22, "u1")) == "FAIL\t22\tuser=u1\tcode=temp_fail"
        asks = master(it)
        asks.send("LIST\t1\tservice=lmtp\n")
        names = []
        while not (line := asks.next()).startswith("DONE"):
            names.append(line.split("\t")[2])
        assert names == [row.pw_name for row in pwd.getpwall()]
