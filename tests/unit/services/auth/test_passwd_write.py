"""A passwd-file in which one password is replaced: everything else stays, and nobody's change is lost."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from roost.errors import Refused, Unavailable
from services.auth.passwd_write import replace_password

TEXT = b"# users\n\nalice:{PLAIN}a:1:2::/h::x=y\r\nbob:{PLAIN}b\r\nalice:{PLAIN}twice\nc\xff:{PLAIN}c:::\nlast:pw"
LIMIT = 1 << 20


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_bytes(TEXT)
    path.chmod(0o640)
    return path


@pytest.mark.parametrize(
    ("user", "old", "before", "after"),
    [
        ("alice", "{PLAIN}a", b"alice:{PLAIN}a:1", b"alice:{NEW}n:1"),
        ("bob", "{PLAIN}b", b"bob:{PLAIN}b\r", b"bob:{NEW}n\r"),
        ("c\udcff", "{PLAIN}c", b"c\xff:{PLAIN}c:", b"c\xff:{NEW}n:"),
        ("last", "pw", b"last:pw", b"last:{NEW}n"),
    ],
)
def test_one_password_changes_and_nothing_else(users: Path, user: str, old: str, before: bytes, after: bytes) -> None:
    replace_password(str(users), user, old, "{NEW}n", LIMIT)
    assert users.read_bytes() == TEXT.replace(before, after, 1)
    assert users.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(users.parent)) == ["users", "users.lock"]


@pytest.mark.parametrize(
    ("user", "old", "new"),
    [
        ("alice", "{PLAIN}other", "{NEW}n"),
        ("nobody", "", "{NEW}n"),
        ("", "", "{NEW}n"),
        ("# users", "", "{NEW}n"),
        ("alice", "{PLAIN}a", "{NEW}n:0:0"),
        ("alice", "{PLAIN}a", "{NEW}n\nroot:"),
    ],
)
def test_what_is_refused_leaves_the_file_alone(users: Path, user: str, old: str, new: str) -> None:
    inode = users.stat().st_ino
    with pytest.raises(Refused):
        replace_password(str(users), user, old, new, LIMIT)
    assert users.read_bytes() == TEXT and users.stat().st_ino == inode


def test_what_cannot_be_written_is_unavailable(users: Path) -> None:
    with pytest.raises(Unavailable):
        replace_password(str(users) + "/x", "alice", "{PLAIN}a", "n", LIMIT)
    with pytest.raises(Unavailable, match="passwd_file_max_size"):
        replace_password(str(users), "alice", "{PLAIN}a", "n", 10)


def test_a_link_stays_a_link(users: Path) -> None:
    link = users.parent / "link"
    link.symlink_to("users")
    replace_password(str(link), "last", "pw", "n", LIMIT)
    assert link.is_symlink() and users.read_bytes().endswith(b"last:n")


def test_many_at_once_lose_no_change(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("".join(f"u{n}:old{n}:::\n" for n in range(24)))
    threads = [
        threading.Thread(target=replace_password, args=(str(path), f"u{n}", f"old{n}", f"new{n}", LIMIT))
        for n in range(24)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert path.read_text() == "".join(f"u{n}:new{n}:::\n" for n in range(24))
