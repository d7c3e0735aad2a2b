"""Names → numbers, and rights that are gone for good (in a child of the test)."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable

import pytest

from roost.errors import ConfigError
from roost.proc.privileges import Privileges, drop, resolve

NOBODY = pwd.getpwnam("nobody")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to drop")


def in_a_child(check: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if check() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_resolve() -> None:
    found = resolve("nobody", "", ("daemon",), where="service imap")
    assert (found.unix_uid, found.unix_gid, found.groups) == (NOBODY.pw_uid, NOBODY.pw_gid, (NOBODY.pw_gid, 1))
    assert resolve("", "", where="service imap").changes_nothing
    assert resolve(str(NOBODY.pw_uid), "1", where="x").unix_gid == 1


@pytest.mark.parametrize(
    ("arguments", "setting"),
    [
        (("nosuchuser", ""), r"service imap \{ user \}"),
        (("", "nosuchgroup"), r"service imap \{ group \}"),
        (("", "", ("nosuchgroup",)), r"service imap \{ extra_groups \}"),
        (("99999999999999999999", ""), "user"),
    ],
)
def test_errors_name_the_setting(arguments: tuple[str, ...], setting: str) -> None:
    with pytest.raises(ConfigError, match=setting):
        resolve(*arguments, where="service imap")  # type: ignore[arg-type]


@as_root
def test_dropping_is_for_good() -> None:
    def check() -> bool:
        drop(resolve("nobody", "", ("daemon",), where="x"))
        if (os.getresuid(), os.getresgid()) != ((NOBODY.pw_uid,) * 3, (NOBODY.pw_gid,) * 3):
            return False
        if sorted(os.getgroups()) != sorted((NOBODY.pw_gid, 1)):
            return False
        try:
            os.setuid(0)
        except PermissionError:
            return True
        return False

    assert in_a_child(check)


@as_root
def test_supplementary_groups_of_root_do_not_stay() -> None:
    def check() -> bool:
        os.setgroups([0, 4, 5])
        drop(Privileges(unix_uid=NOBODY.pw_uid, unix_gid=NOBODY.pw_gid, groups=(NOBODY.pw_gid,)))
        return os.getgroups() == [NOBODY.pw_gid]

    assert in_a_child(check)


def test_nothing_to_drop_is_no_error() -> None:
    assert in_a_child(lambda: drop(Privileges()) is None)
