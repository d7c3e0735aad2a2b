"""auth_verbose_passwords: nothing by default; what was asked for, cut to its length, otherwise."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from kit.auth_room import AuthRoomProcess, plain

from roost.errors import ConfigError
from services.auth.given import shown

SHA1 = hashlib.sha1(b"hunter2", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("yes", " (given password: hunter2)"),
        ("plain", " (given password: hunter2)"),
        ("plain:3", " (given password: hun)"),
        ("sha1", f" (SHA1 of given password: {SHA1})"),
        ("sha1:6", f" (SHA1 of given password: {SHA1[:6]})"),
    ],
)
def test_what_is_shown(setting: str, text: str) -> None:
    found = shown(setting)
    assert found is not None and found.text(b"hunter2") == text


def test_no_line_can_be_forged() -> None:
    found = shown("plain")
    assert found is not None
    assert "\n" not in found.text(b"a\nauth: Info: b\x1b[2J\xff") and "\x1b" not in found.text(b"a\x1b")


def test_nothing() -> None:
    assert shown("no") is None


@pytest.mark.parametrize("setting", ["", "maybe", "plain:", "plain:0", "plain:x", "sha1:99999", "PLAIN"])
def test_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="auth_verbose_passwords: Invalid"):
        shown(setting)


@pytest.mark.parametrize(
    ("setting", "expected"), [("", False), ("auth_verbose_passwords = plain", True)], ids=["default", "plain"]
)
def test_in_the_log(tmp_path: Path, setting: str, expected: bool) -> None:
    with AuthRoomProcess(tmp_path, f"auth_verbose = yes\nauth_debug = yes\n{setting}") as room:
        client = room.client()
        for number, user in ((1, "u1"), (2, "nobody")):
            answer = client.ask(f"AUTH\t{number}\tPLAIN\tservice=imap\tresp={plain(user, 'hunter2hunter2')}\n")
            assert answer.startswith(f"FAIL\t{number}")
        client.close()
    assert ("Password mismatch (given password: hunter2hunter2)" in room.log()) is expected
    assert ("unknown user (given password: hunter2hunter2)" in room.log()) is expected
    assert ("hunter2" in room.log()) is expected
