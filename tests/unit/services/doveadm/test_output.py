"""The formatters, by the documented examples and by hostile values."""

from __future__ import annotations

import io
import json

import pytest

from roost.errors import Unavailable
from services.doveadm.output import FORMATS, Column, Screen, formatter

COLUMNS = (Column("mailbox", hide_title=True), Column("messages", right=False), Column("uidnext"), Column("vsize"))
ROWS = (("Foo", "0", "1", "0"), ("INBOX", "1", "2", "295"))


def shown(
    name: str,
    columns: tuple[Column, ...] = COLUMNS,
    rows: tuple[tuple[str, ...], ...] = ROWS,
    *,
    width: int = 80,
    titles: bool = True,
    bold: bool = False,
) -> str:
    out = io.StringIO()
    made = formatter(name, Screen(out, width, titles, bold))
    made.begin(columns)
    for row in rows:
        made.row(row)
    made.end()
    return out.getvalue()


def test_flow() -> None:
    assert shown("flow") == "Foo messages=0 uidnext=1 vsize=0\nINBOX messages=1 uidnext=2 vsize=295\n"


def test_tab() -> None:
    assert shown("tab") == "mailbox\tmessages\tuidnext\tvsize\nFoo\t0\t1\t0\nINBOX\t1\t2\t295\n"
    assert shown("tab", titles=False) == "Foo\t0\t1\t0\nINBOX\t1\t2\t295\n"


def test_pager() -> None:
    assert shown("pager") == (
        "Foo\nmessages: 0\nuidnext: 1\nvsize: 0\n\f\nINBOX\nmessages: 1\nuidnext: 2\nvsize: 295\n"
    )


def test_json() -> None:
    text = shown("json", (Column("a"), Column("n", number=True)), (("1", "2"), ('"\n', "-3"), ("", "x")))
    assert text == '[{"a":"1","n":2},{"a":"\\"\\n","n":-3},{"a":"","n":"x"}]'
    assert shown("json", rows=()) == "[]"
    assert json.loads(shown("json"))[1]["vsize"] == "295"


def test_table() -> None:
    columns = (Column("username"), Column("connections", "#", right=True), Column("ips", "(ips)"))
    rows = (("a", "2", "(192.0.2.1)"), ("longer-name", "10", "()"))
    assert shown("table", columns, rows) == ("username     # (ips)\na            2 (192.0.2.1)\nlonger-name 10 ()\n")
    assert shown("table", columns, rows, titles=False).startswith("a            2")
    assert shown("table", columns, (), width=40) == "username # (ips)\n"
    assert shown("table", columns, rows, bold=True).startswith("\x1b[1musername     # (ips)\x1b[m\n")


def test_a_table_gives_spare_width_to_the_column_that_expands() -> None:
    columns = (Column("name", expand=True), Column("x"))
    lines = shown("table", columns, (("ab", "1"),), width=40).splitlines()
    assert lines == ["name" + " " * 18 + "x", "ab" + " " * 20 + "1"]


def test_a_table_shrinks_from_the_right_and_shows_long_values_whole() -> None:
    columns = (Column("name"), Column("x"))
    lines = shown("table", columns, (("a" * 20, "b" * 40), ("c", "d")), width=40).splitlines()
    assert lines[1] == "a" * 20 + " " + "b" * 40
    assert lines[2] == "c" + " " * 20 + "d"


def test_a_long_table_is_written_as_it_comes() -> None:
    out = io.StringIO()
    made = formatter("table", Screen(out))
    made.begin((Column("n"),))
    for number in range(150):
        made.row((str(number),))
    assert out.getvalue().count("\n") == 151
    made.end()
    assert out.getvalue().count("\n") == 151


@pytest.mark.parametrize("name", ["flow", "tab", "pager", "table"])
def test_values_cannot_break_lines_or_command_the_terminal(name: str) -> None:
    hostile = "x\ty\n\x1b]0;owned\x07\u202e\x9b"
    text = shown(name, (Column("a"), Column("b")), ((hostile, "2"),))
    for char in "\x1b\x07\x9b\u202e":
        assert char not in text
    assert text.count("\n") == shown(name, (Column("a"), Column("b")), (("x", "2"),)).count("\n")
    assert text.count("\t") == (2 if name == "tab" else 0)


def test_an_unknown_formatter_is_named() -> None:
    with pytest.raises(Unavailable, match="Unknown print formatter: nosuch"):
        formatter("nosuch", Screen(io.StringIO()))
    assert set(FORMATS) == {"flow", "pager", "tab", "table", "json"}
