"""The real Postfix authenticates its clients at our socket, by the configuration that docs/auth.md shows."""

from __future__ import annotations

import os
import pwd
import signal
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pytest
from kit.docs import example
from kit.instance import Instance
from kit.postfix import Postfix, missing
from kit.running import free_port
from kit.smtp_sasl import ABORTED, FAILED, OK, TEMPORARY, command, connect, exchange, login, offered
from kit.wait import wait_for

pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing())]

SECTION = "Postfix and Exim"
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")
CONF = """
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_verbose = yes
passdb gone {{
  driver = static
  username_filter = gone
  static_password = {{PLAIN}}pw
  fields {{
    fail = yes
    reason = Account closed
  }}
}}
passdb sick {{
  driver = passwd-file
  username_filter = sick
  passwd_file_path = {folder}/nonexistent
}}
"""
MAIN = """
smtpd_client_connection_count_limit = 0
smtpd_client_auth_rate_limit = 0
smtpd_error_sleep_time = 0
smtpd_hard_error_limit = 1000
smtpd_soft_error_limit = 1000
smtpd_junk_command_limit = 1000
default_process_limit = 220
"""


def roost_conf(folder: Path, listener: str) -> str:
    return CONF.format(folder=folder, mechanisms=" ".join(MECHANISMS).lower()) + listener


class Pair:
    """Postfix and Roost, the one asking the other. ``more`` goes behind the documented ``main.cf``."""

    def __init__(self, folder: Path, *, inet: bool = False, more: str = "") -> None:
        pem, key = folder / "server.pem", folder / "server.key"  # what Instance makes
        main = example("auth.md", SECTION, "In `main.cf`")
        main = main.replace("/etc/ssl/mx.pem", str(pem)).replace("/etc/ssl/mx.key", str(key))
        if inet:
            port = str(free_port())
            main += example("auth.md", SECTION, "In `main.cf`, for TCP").replace("12345", port)
            listener = example("auth.md", SECTION, "In `roost.conf`, for TCP").replace("12345", port)
        else:
            listener = example("auth.md", SECTION, "In `roost.conf`")
        self.postfix = Postfix(main + MAIN + more)
        private = self.postfix.folder / "queue/private"
        private.mkdir(0o700)
        os.chown(private, pwd.getpwnam("postfix").pw_uid, -1)
        listener = listener.replace("/var/spool/postfix", str(self.postfix.folder / "queue"))
        self.roost = Instance(folder, roost_conf(folder, listener))

    def __enter__(self) -> Pair:
        self._stack = ExitStack()
        with self._stack as stack:
            stack.enter_context(self.roost)
            stack.enter_context(self.postfix)  # its servers do not start when nobody tells them mechanisms
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, value, at)

    def connect(self) -> smtplib.SMTP:
        """After STARTTLS, as the documented configuration wants it for PLAIN."""
        return connect(self.postfix.port, str(self.roost.ca_file))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Pair(tmp_path_factory.mktemp("postfix")) as running:
        yield running


def test_the_socket_is_as_documented(pair: Pair) -> None:
    status = (pair.postfix.folder / "queue/private/auth").stat()
    assert status.st_mode & 0o777 == 0o660 and status.st_uid == pwd.getpwnam("postfix").pw_uid


def test_postfix_hides_by_our_flags_what_shows_the_password(pair: Pair) -> None:
    with connect(pair.postfix.port) as client:
        assert offered(client) == {"CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}
        assert login(client, "PLAIN", "u1", "pw")[0] == FAILED
        assert login(client, "CRAM-MD5", "u1", "pw")[0] == OK
    with pair.connect() as client:
        assert offered(client) == set(MECHANISMS)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_right_wrong_and_unknown(pair: Pair, mechanism: str) -> None:
    with pair.connect() as client:
        wrong = login(client, mechanism, "u1", "no")
        unknown = login(client, mechanism, "nobody", "no")
        assert wrong[0] == FAILED and unknown == wrong, "nobody learns who exists"
        assert login(client, mechanism, "U1", "pw")[0] == OK
        assert command(client, "AUTH PLAIN AAAA")[0] == 503, "already authenticated"
        assert command(client, "MAIL FROM:<a@example.net>")[0] == 250
        assert command(client, "RCPT TO:<u1@example.org>")[0] == 250
    told = f"sasl_method={mechanism}, sasl_username=u1"
    wait_for(lambda: told in pair.postfix.log_text(), 20, "Postfix's log names the user")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_aborted_and_broken_exchanges(pair: Pair, mechanism: str) -> None:
    with pair.connect() as client:
        for _ in range(20):
            assert command(client, f"AUTH {mechanism}")[0] == 334
            assert command(client, "*")[0] == ABORTED
        for rubbish in ("%%%", "=", "====", "AAA", "AA=A", "\x01", "a\tuser=u1", "A" * 1900):
            code, _ = command(client, f"AUTH {mechanism}")
            assert code == 334
            while code == 334:
                code, text = command(client, rubbish)
            assert code in (FAILED, ABORTED), (rubbish, code, text)
        code, text = command(client, f"AUTH {mechanism} %%%")
        assert code in (FAILED, ABORTED), (code, text)
        assert login(client, mechanism, "u1", "pw")[0] == OK


def test_odd_names_and_passwords(pair: Pair) -> None:
    names = (
        "%{user}",
        "u1\tuser=u2",
        "u1\nOK\t1\tuser=u2",
        "u1\x01",
        "../u1",
        "é",
        "u1\0",
        "",
        " ",
        "$ENV:HOME",
        "u" * 3000,
    )
    with pair.connect() as client:
        for name in names:
            for mechanism in MECHANISMS:
                assert login(client, mechanism, name, "pw")[0] in (FAILED, ABORTED), (name, mechanism)
            assert login(client, "PLAIN", "u1", name)[0] == FAILED
        assert exchange(client, "PLAIN", b"\0\xff\xfe\0pw")[0] == FAILED
        assert login(client, "PLAIN", "u1", "pw")[0] == OK
    assert "Traceback" not in pair.roost.log_text()


def test_the_reason_is_told(pair: Pair) -> None:
    with pair.connect() as client:
        for mechanism in ("PLAIN", "LOGIN"):
            code, text = login(client, mechanism, "gone", "pw")
            assert code == FAILED and "Account closed" in text


def test_a_database_that_cannot_say(pair: Pair) -> None:
    """Postfix 3.7 does not read ``code=temp_fail``; later ones may."""
    with pair.connect() as client:
        for mechanism in MECHANISMS:
            assert login(client, mechanism, "sick", "pw")[0] in (FAILED, TEMPORARY)
    pair.roost.wait_log("No such file or directory")


def test_two_hundred_at_once(pair: Pair) -> None:
    def one(number: int) -> tuple[int, int]:
        with connect(pair.postfix.port) as client:
            right = login(client, "CRAM-MD5" if number % 2 else "SCRAM-SHA-256", f"u{number % 9 + 1}", "pw")
        with connect(pair.postfix.port) as client:
            wrong = login(client, "CRAM-MD5", f"u{number % 9 + 1}", "no")
        return right[0], wrong[0]

    with ThreadPoolExecutor(200) as threads:
        assert set(threads.map(one, range(200))) == {(OK, FAILED)}
    assert "Traceback" not in pair.roost.log_text()


def test_postfix_reconnects_when_our_process_is_killed(pair: Pair) -> None:
    with pair.connect() as client, pair.connect() as other:
        assert login(client, "PLAIN", "u1", "no")[0] == FAILED  # so it has a connection to us
        assert command(other, "AUTH LOGIN")[0] == 334
        for _ in range(3):
            before = pair.roost.pids("auth")
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            code, text = login(client, "PLAIN", "u2", "no")
            assert code == FAILED or (code == TEMPORARY and "Connection lost" in text)
            wait_for(lambda killed=before: pair.roost.pids("auth") - killed, 20, "another auth process")
        assert login(client, "PLAIN", "u2", "pw")[0] == OK
        assert command(other, "dTE=")[0] in (FAILED, TEMPORARY), (
            "the exchange that was under way is lost, and said to be"
        )
        assert login(other, "LOGIN", "u1", "pw")[0] == OK


def test_over_tcp_and_when_nobody_is_there(tmp_path: Path) -> None:
    with Pair(tmp_path, inet=True, more="smtpd_tls_auth_only = yes\n") as pair:
        with connect(pair.postfix.port) as client:
            assert offered(client) == set()
        with pair.connect() as client:
            assert offered(client) == set(MECHANISMS)
            for mechanism in MECHANISMS:
                with pair.connect() as another:
                    assert login(another, mechanism, "u1", "pw")[0] == OK
            assert login(client, "PLAIN", "u1", "no")[0] == FAILED
            pair.roost.stop()
            code, text = login(client, "PLAIN", "u1", "pw")
            assert code == TEMPORARY, text


def test_no_mechanisms_that_show_passwords_at_all(tmp_path: Path) -> None:
    """The flags of each mechanism are what Postfix filters by."""
    filters = {
        "noanonymous, noplaintext, noactive, nodictionary": {"SCRAM-SHA-1", "SCRAM-SHA-256"},
        "noanonymous, mutual_auth": {"SCRAM-SHA-1", "SCRAM-SHA-256"},
    }
    for options, mechanisms in filters.items():
        folder = tmp_path / str(len(options))
        folder.mkdir()
        more = f"smtpd_sasl_security_options = {options}\n"
        with Pair(folder, more=more) as pair, connect(pair.postfix.port) as client:
            assert offered(client) == mechanisms


def test_swaks(pair: Pair, program: Callable[[str], str]) -> None:
    fixed = [program("swaks"), "--server", f"127.0.0.1:{pair.postfix.port}", "--quit-after", "AUTH"]
    for user, password, status in (("u1", "pw", 0), ("u1", "no", 28), ("nobody", "pw", 28)):
        call = [*fixed, "--auth", "CRAM-MD5", "--auth-user", user, "--auth-password", password]
        done = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)
        if "requires Digest::MD5" in done.stderr:
            pytest.skip("swaks has no Digest::MD5")
        assert done.returncode == status, done.stdout + done.stderr
