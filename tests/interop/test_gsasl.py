"""GNU SASL's client against a real instance: SCRAM, CRAM-MD5 and ANONYMOUS over IMAP."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator

import pytest
from kit.instance import Instance

from services.auth.schemes import SCHEMES, write

pytestmark = pytest.mark.interop

PASSWORD = "pässwort"
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5")
CONF = """
auth_mechanisms = plain scram-sha-1 scram-sha-256 cram-md5 anonymous
auth_failure_delay = 0
auth_allow_cleartext = no
"""


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    users = {name.lower(): _stored(name) for name in MECHANISMS}
    with Instance(
        tmp_path_factory.mktemp("gsasl"), CONF, users | {"clear": "{PLAIN}" + PASSWORD, "anonymous": "{PLAIN}"}
    ) as running:
        yield running


def _stored(name: str) -> str:
    return write(SCHEMES[name], SCHEMES[name].generate(PASSWORD.encode(), 0, os.urandom))


def _gsasl(path: str, roost: Instance, mechanism: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [path, "--connect", f"127.0.0.1:{roost.imap_port}", "--imap", "--no-starttls", "-m", mechanism, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
    )


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("kind", ["its own", "clear"])
def test_right_and_wrong_passwords(roost: Instance, program: Callable[[str], str], mechanism: str, kind: str) -> None:
    path = program("gsasl")
    user = mechanism.lower() if kind == "its own" else kind
    done = _gsasl(path, roost, mechanism, "-a", user, "-p", PASSWORD)
    assert "\n. OK [CAPABILITY" in done.stdout, done.stdout + done.stderr
    assert "\nClient authentication finished" in done.stderr + done.stdout
    done = _gsasl(path, roost, mechanism, "-a", user, "-p", PASSWORD + "x")
    assert "\n. NO [AUTHENTICATIONFAILED]" in done.stdout, done.stdout + done.stderr


def test_anonymous(roost: Instance, program: Callable[[str], str]) -> None:
    done = _gsasl(program("gsasl"), roost, "ANONYMOUS", "-n", "somebody@example.org")
    assert "\n. OK [CAPABILITY" in done.stdout, done.stdout + done.stderr


def test_keys_that_gsasl_derives_are_stored_keys(program: Callable[[str], str]) -> None:
    done = subprocess.run(
        [program("gsasl"), "--mkpasswd", "-m", "SCRAM-SHA-256", "-p", "secret", "--iteration-count", "4096"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    scheme, _, data = done.stdout.strip().partition("}")
    assert scheme == "{SCRAM-SHA-256"
    assert SCHEMES["SCRAM-SHA-256"].verify(b"secret", data.encode())
    assert not SCHEMES["SCRAM-SHA-256"].verify(b"secreT", data.encode())
