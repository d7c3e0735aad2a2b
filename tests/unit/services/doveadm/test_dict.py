"""doveadm dict: texts, statuses and options of Dovecot's, on a file and without a running server."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.doveadm.cli import main

Out = pytest.CaptureFixture[str]


@pytest.fixture
def conf(tmp_path: Path) -> list[str]:
    path = tmp_path / "roost.conf"
    path.write_text(f"""dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {tmp_path}/run
dict one {{
  driver = file
  dict_file_path = {tmp_path}/dict
}}
dict homes {{
  driver = sqlite
  dict_sqlite_path = ~/dict.db
}}
dict fail {{
}}
dict sql {{
}}
""")
    return ["-c", str(path)]


def call(conf: list[str], out: Out, *words: str) -> tuple[int, str, str]:
    status = main([*conf, "dict", *words])
    said = out.readouterr()
    return status, said.out, said.err


def test_a_value_is_set_shown_counted_and_removed(conf: list[str], capsys: Out) -> None:
    assert call(conf, capsys, "set", "one", "shared/a", "41") == (0, "", "")
    assert call(conf, capsys, "inc", "one", "shared/a", "1") == (0, "", "")
    assert call(conf, capsys, "get", "one", "shared/a") == (0, "42\n", "")
    assert call(conf, capsys, "inc", "one", "shared/a", "--", "-2") == (0, "", "")
    assert call(conf, capsys, "get", "one", "shared/a") == (0, "40\n", "")
    assert call(conf, capsys, "unset", "one", "shared/a") == (0, "", "")
    assert call(conf, capsys, "get", "one", "shared/a") == (68, "", "Error: shared/a doesn't exist\n")
    assert call(conf, capsys, "unset", "one", "shared/a") == (0, "", "")


def test_iteration(conf: list[str], capsys: Out) -> None:
    for key, value in (("a/1", "x"), ("a/2", "y"), ("a/b/3", "z"), ("a", "w")):
        assert call(conf, capsys, "set", "-u", "bob", "one", f"priv/{key}", value)[0] == 0
    assert call(conf, capsys, "iter", "-u", "bob", "one", "priv/a/")[1] == "key\tvalue\npriv/a/1\tx\npriv/a/2\ty\n"
    assert (
        call(conf, capsys, "iter", "-u", "bob", "-RV", "one", "priv/a/")[1] == "key\npriv/a/1\npriv/a/2\npriv/a/b/3\n"
    )
    assert call(conf, capsys, "iter", "-u", "bob", "-1", "one", "priv/a")[1] == "key\tvalue\npriv/a\tw\n"
    assert call(conf, capsys, "iter", "-u", "al", "one", "priv/")[:2] == (0, "key\tvalue\n")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("get", "one", "x"), 64, "Error: Key must begin with 'priv/' or 'shared/': x\n"),
        (("iter", "one", "x/"), 64, "Error: Key must begin with 'priv/' or 'shared/': x/\n"),
        (("set", "one", "priv/x", "1"), 64, "Error: -u must be specified for priv/ keys\n"),
        (("inc", "one", "shared/x", "1"), 68, "Error: shared/x doesn't exist\n"),
        (("inc", "one", "shared/x", "1.5"), 64, "Error: Invalid diff: 1.5\n"),
        (("get", "fail", "shared/x"), 75, "Error: dict_lookup(shared/x) failed: This dict always fails\n"),
        (("iter", "fail", "shared/x"), 75, "Error: dict_iterate(shared/x) failed: This dict always fails\n"),
        (("set", "fail", "shared/x", "1"), 75, "Error: dict_transaction_commit() failed: This dict always fails\n"),
        (("get", "two", "shared/x"), 75,
         "Error: dict_init(two) failed: there is no dict two (there are: one, homes, fail, sql)\n"),
    ],
)  # fmt: skip
def test_failures(conf: list[str], capsys: Out, words: tuple[str, ...], status: int, text: str) -> None:
    assert call(conf, capsys, *words) == (status, "", text)


def test_an_unknown_driver_names_those_there_are(conf: list[str], capsys: Out) -> None:
    status, _, err = call(conf, capsys, "get", "sql", "shared/x")
    assert status == 75 and "Unknown dict module: sql (there are: memory, file, sqlite, redis, fail" in err


def test_wrong_use(conf: list[str], capsys: Out) -> None:
    assert call(conf, capsys, "get", "one")[0] == 64
    assert call(conf, capsys, "set", "-e", "soon", "one", "shared/a", "1")[0] == 64
    assert call(conf, capsys, "get", "-R", "one", "shared/a")[0] == 64


def test_expiry_and_time(conf: list[str], capsys: Out, tmp_path: Path) -> None:
    assert call(conf, capsys, "set", "-e", "1000", "-t", "1700000000000000000", "one", "shared/a", "1")[0] == 0
    assert b"\nexpire/shared/a\n" in (tmp_path / "dict").read_bytes()
    status, _, err = call(conf, capsys, "set", "-e", "999999999999", "one", "shared/a", "1")
    assert status == 65 and "expiry is too long" in err


def test_a_home_needs_the_auth_service(conf: list[str], capsys: Out) -> None:
    status, _, err = call(conf, capsys, "get", "-u", "bob", "homes", "priv/a")
    assert status == 75 and "auth-userdb" in err


def test_control_characters_are_shown_as_escapes(conf: list[str], capsys: Out) -> None:
    call(conf, capsys, "set", "one", "shared/a", "x\x1b[31m")
    assert call(conf, capsys, "get", "one", "shared/a")[1] == "x\\x1b[31m\n"
