"""Tokens of logins: what they depend on, and how the secret is kept."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

import pytest

from roost.errors import Unavailable
from services.auth.tokens import FILE_NAME, TokenMaker


def maker(folder: Path) -> TokenMaker:
    return TokenMaker(str(folder), os.urandom)


def test_a_token_is_an_hmac_with_the_user_as_its_key(tmp_path: Path) -> None:
    token = maker(tmp_path).token("u1", session_pid=7, session="s1", service="imap")
    secret = (tmp_path / FILE_NAME).read_bytes()
    assert len(secret) == 32 and token == hmac.new(b"u1", b"7s1imap" + secret, hashlib.sha1).hexdigest()
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == [FILE_NAME]


def test_it_is_the_same_for_every_process_and_another_for_every_login(tmp_path: Path) -> None:
    one = maker(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    tokens = {
        one.token("u1", session_pid=7, session="s1", service="imap"),
        one.token("u2", session_pid=7, session="s1", service="imap"),
        one.token("u1", session_pid=8, session="s1", service="imap"),
        one.token("u1", session_pid=7, session="s2", service="imap"),
        one.token("u1", session_pid=7, session="s1", service="lmtp"),
        maker(elsewhere).token("u1", session_pid=7, session="s1", service="imap"),
    }
    assert len(tokens) == 6
    assert maker(tmp_path).token("u1", session_pid=7, session="s1", service="imap") in tokens


@pytest.mark.parametrize("kind", ["readable", "link", "folder"])
def test_a_secret_that_others_could_know_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / FILE_NAME
    if kind == "readable":
        path.write_bytes(os.urandom(32))
        path.chmod(0o640)
    elif kind == "link":
        (tmp_path / "other").write_bytes(os.urandom(32))
        path.symlink_to(tmp_path / "other")
    else:
        path.mkdir(mode=0o700)
    with pytest.raises(Unavailable) as caught:
        maker(tmp_path).token("u1", session_pid=7, session="s1", service="imap")
    assert str(path) in caught.value.detail


@pytest.mark.parametrize("octets", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_secret_is_replaced(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(octets)
    path.chmod(0o600)
    assert len(maker(tmp_path).token("u1", session_pid=7, session="s1", service="imap")) == 40
    assert len(path.read_bytes()) == 32 and path.stat().st_mode & 0o777 == 0o600


def test_without_a_folder_there_are_none(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        maker(tmp_path / "nowhere").token("u1", session_pid=7, session="s1", service="imap")
