"""doveadm pw: every scheme, the checks, the ways a password comes in."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from services.auth.schemes import ALL_SCHEMES, SCHEMES, parse
from services.doveadm import cli

CHEAPEST = {
    "SHA512-CRYPT": "1000",
    "SHA256-CRYPT": "1000",
    "BLF-CRYPT": "4",
    "CRYPT": "4",
    "PBKDF2": "1",
    "SCRAM-SHA-1": "4096",
    "SCRAM-SHA-256": "4096",
}


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = cli.main(["pw", *argv])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("name", sorted(ALL_SCHEMES))
def test_every_scheme_is_made_and_verified(capsys: pytest.CaptureFixture[str], name: str) -> None:
    user = ("-u", "u@r") if ALL_SCHEMES[name].for_user is not None else ()
    status, out, err = run(capsys, "-s", name.lower(), "-p", "secret", "-V", "-r", CHEAPEST.get(name, "1"), *user)
    assert status == 0 and out.endswith(" (verified)\n")
    text = out.removesuffix(" (verified)\n")
    assert parse(text, ALL_SCHEMES, "PLAIN").scheme.name == name
    assert ("weak" in err) == (name not in SCHEMES)
    assert run(capsys, "-t", text, "-p", "secret", *user)[:2] == (0, f"{text} (verified)\n")
    status, out, err = run(capsys, "-t", text, "-p", "wrong", *user)
    assert (status, out) == (75, "") and err.endswith("Password mismatch\n")


def test_a_scheme_tied_to_the_name_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (("-s", "DIGEST-MD5", "-p", "x"), ("-t", "{DIGEST-MD5}" + "0" * 32, "-p", "x")):
        status, out, err = run(capsys, *argv)
        assert (status, out) == (64, "") and "-u" in err


def test_the_default_scheme_and_suffixes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "-p", "x")[1].startswith("{CRYPT}$2y$05$")
    assert re.fullmatch(r"\{SHA256\.HEX\}[0-9a-f]{64}\n", run(capsys, "-s", "SHA256.hex", "-p", "x")[1])
    assert run(capsys, "-s", "plain.b64", "-p", "x")[1] == "{PLAIN.B64}eA==\n"
    assert run(capsys, "-s", "SHA256", "-p", "secret")[1] == "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=\n"


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "-l")
    assert status == 0 and out.split() == list(SCHEMES)


@pytest.mark.parametrize(
    ("argv", "status", "text"),
    [
        (("-s", "NOSUCH", "-p", "x"), 75, "Unknown scheme: NOSUCH"),
        (("-s", "SHA.NOSUCH", "-p", "x"), 75, "Unknown scheme: SHA.NOSUCH"),
        (("-t", "secret", "-p", "x"), 64, "prefix"),
        (("-t", "{NOSUCH}x", "-p", "x"), 65, "Unknown scheme"),
        (("-s", "BLF-CRYPT", "-r", "99", "-p", "x"), 65, "cost of 4 to 31"),
        (("extra",), 64, "unexpected argument"),
    ],
)
def test_errors(capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], status: int, text: str) -> None:
    found, out, err = run(capsys, *argv)
    assert found == status and text in err and out == ""


def command(*argv: str) -> list[str]:
    return [sys.executable, "-I", "-m", "services.doveadm.cli", "pw", *argv]


def test_a_password_on_standard_input() -> None:
    done = subprocess.run(
        command("-s", "PLAIN"), input=b"s\xc3\xa9cret\nrest\n", capture_output=True, timeout=20, check=True
    )
    assert done.stdout == "{PLAIN}sécret\n".encode()
    done = subprocess.run(command("-s", "PLAIN"), input=b"", capture_output=True, timeout=20, check=False)
    assert done.returncode == 65 and b"standard input is empty" in done.stderr


def converse(answers: list[str], *argv: str) -> tuple[int, str]:
    """Run in a terminal, answer each prompt; exit status and everything the terminal showed."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(sys.executable, command(*argv))
    text = ""
    left = list(answers)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            chunk = os.read(fd, 4096)
        except OSError:
            break
        if not chunk:
            break
        text += chunk.decode()
        if text.endswith("password: ") and left:
            os.write(fd, left.pop(0).encode() + b"\n")
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), text


def test_the_prompt_does_not_show_the_password_and_asks_twice() -> None:
    status, text = converse(["hunter2", "hunter3", "hunter2", "hunter2"], "-s", "SHA256")
    assert status == 0 and "{SHA256}" in text and "Passwords don't match!" in text
    assert "hunter" not in text
    assert text.count("Enter new password: ") == 2 and text.count("Retype new password: ") == 2
    status, text = converse(["a", "b"] * 3, "-s", "SHA256")
    assert status == 65 and "{SHA256}" not in text


def test_it_starts_fast_because_it_loads_little() -> None:
    code = (
        "import sys; from services.doveadm.cli import main; status = main(sys.argv[1:]);"
        "heavy = {'asyncio', 'argparse', 'logging', 'ssl', 'threading.local', 'difflib', 'json', 'argon2', 'apsw',"
        " 'roost.settings', 'roost.worker'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, "pw", "-s", "SSHA512", "-p", "x"],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stderr == "[]\n"
