"""The real Exim authenticates its clients at a socket of type auth-legacy, by the configuration docs/auth.md shows."""

from __future__ import annotations

import os
import signal
import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pytest
from kit.docs import example
from kit.exim import USER, Exim, missing
from kit.instance import Instance
from kit.smtp_sasl import ABORTED, FAILED, OK, command, connect, exchange, login, offered
from kit.wait import wait_for

pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing())]

SECTION = "Postfix and Exim"
SOCKET = "/run/roost/auth-exim"
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256")
TEMPORARY = 435
SCRAM = """
roost_scram:
  driver = dovecot
  public_name = SCRAM-SHA-256
  server_socket = /run/roost/auth-exim
  server_set_id = $auth1
"""
CONF = """
auth_mechanisms = plain login cram-md5 scram-sha-256
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


class Pair:
    """Exim and Roost, the one asking the other."""

    def __init__(self, folder: Path) -> None:
        self.roost = Instance(folder)
        tls_pem = (folder / "server.key").read_bytes() + (folder / "server.pem").read_bytes()
        socket = f"{self.roost.base_dir}/auth-exim"
        authenticators = example("auth.md", SECTION, "In `exim4.conf`, among the authenticators") + SCRAM
        self.exim = Exim(authenticators.replace(SOCKET, socket), tls_pem)
        listener = example("auth.md", SECTION, "In `roost.conf`, for Exim")
        listener = listener.replace(SOCKET, socket).replace("Debian-exim", USER)
        self.roost.configure(CONF.format(folder=folder) + listener)

    def __enter__(self) -> Pair:
        self._stack = ExitStack()
        with self._stack as stack:
            stack.enter_context(self.roost)
            os.chmod(self.roost.base_dir, 0o755)
            os.chmod(self.roost.base_dir.parent, 0o755)
            stack.enter_context(self.exim)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, value, at)

    def connect(self) -> smtplib.SMTP:
        """After STARTTLS, as the documented configuration wants it for PLAIN."""
        return connect(self.exim.port, str(self.roost.ca_file))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with Pair(tmp_path_factory.mktemp("exim")) as running:
        yield running


def test_plain_needs_tls(pair: Pair) -> None:
    with connect(pair.exim.port) as client:
        assert offered(client) == {"CRAM-MD5", "SCRAM-SHA-256"}
        assert login(client, "CRAM-MD5", "u1", "pw")[0] == OK
    with pair.connect() as client:
        assert offered(client) == set(MECHANISMS)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_right_wrong_and_unknown(pair: Pair, mechanism: str) -> None:
    with pair.connect() as client:
        wrong = login(client, mechanism, "u1", "no")
        assert wrong[0] == FAILED, wrong
        assert login(client, mechanism, "nobody", "no") == wrong, "nobody learns who exists"
        assert login(client, mechanism, "U1", "pw")[0] == OK
        assert command(client, "MAIL FROM:<a@example.net>")[0] == 250
        assert command(client, "RCPT TO:<u1@example.org>") == (250, "hello u1")


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_aborted_and_broken_exchanges(pair: Pair, mechanism: str) -> None:
    for rubbish in ("*", "%%%", "=", "====", "AAA", "AA=A", "\x01", "a\tuser=u1", "A" * 1900):
        with pair.connect() as client:
            code, text = command(client, f"AUTH {mechanism}")
            while code == 334:
                code, text = command(client, rubbish)
            assert code in (FAILED, ABORTED), (rubbish, code, text)
            code, text = command(client, f"AUTH {mechanism} {rubbish}")
            while code == 334:
                code, text = command(client, "*")
            assert code in (FAILED, ABORTED), (rubbish, code, text)
            assert login(client, mechanism, "u1", "pw")[0] == OK


def test_odd_names_and_passwords(pair: Pair) -> None:
    names = ("%{user}", "u1\tuser=u2", "u1\nOK\t1\tuser=u2", "u1\x01", "../u1", "é", "u1\0", "", "$ENV:HOME", "u" * 900)
    for name in names:
        for mechanism in MECHANISMS:
            with pair.connect() as client:
                assert login(client, mechanism, name, "pw")[0] in (FAILED, ABORTED), (name, mechanism)
        with pair.connect() as client:
            assert login(client, "PLAIN", "u1", name)[0] == FAILED
            assert exchange(client, "PLAIN", b"\0\xff\xfe\0pw")[0] == FAILED
            assert login(client, "PLAIN", "u1", "pw")[0] == OK
    assert "Traceback" not in pair.roost.log_text()


def test_exim_gives_no_reasons(pair: Pair) -> None:
    """It reads only the name from a failure: a closed account and a database that cannot say look like a mistake."""
    with pair.connect() as client:
        assert login(client, "PLAIN", "gone", "pw")[0] == FAILED
        assert login(client, "PLAIN", "sick", "pw")[0] == FAILED
    pair.roost.wait_log("No such file or directory")


def test_two_hundred_at_once(pair: Pair) -> None:
    def one(number: int) -> tuple[int, int]:
        with connect(pair.exim.port) as client:
            wrong = login(client, "CRAM-MD5", f"u{number % 9 + 1}", "no")
            right = login(client, "CRAM-MD5" if number % 2 else "SCRAM-SHA-256", f"u{number % 9 + 1}", "pw")
        return right[0], wrong[0]

    with ThreadPoolExecutor(200) as threads:
        assert set(threads.map(one, range(200))) == {(OK, FAILED)}
    assert "Traceback" not in pair.roost.log_text()


def test_our_process_may_be_killed(pair: Pair) -> None:
    for _ in range(3):
        with pair.connect() as client:
            before = pair.roost.pids("auth")
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            assert login(client, "PLAIN", "u2", "no")[0] in (FAILED, TEMPORARY)
            wait_for(lambda killed=before: pair.roost.pids("auth") - killed, 20, "another auth process")
            assert login(client, "PLAIN", "u2", "pw")[0] == OK
    with pair.connect() as client:
        assert command(client, "AUTH LOGIN")[0] == 334
        for pid in pair.roost.pids("auth"):
            os.kill(pid, signal.SIGKILL)
        assert command(client, "dTE=")[0] in (FAILED, TEMPORARY), "the exchange is lost, and said to be"
        assert login(client, "LOGIN", "u1", "pw")[0] == OK
