"""Lines of the configuration language to statements."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import ConfigError
from roost.settings.readers.dovecot import read
from roost.settings.readers.statements import Kind


def shapes(text: str) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.key, one.value) for one in read(text, "f")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n  \n\t\n", []),
        ("# a comment", []),
        ("a = b", [("set", "a", "b")]),
        ("a=b", [("set", "a", "b")]),
        ("a =", [("set", "a", "")]),
        ("\ta  =  b  c  \r", [("set", "a", "b  c")]),
        ("a = b # comment", [("set", "a", "b")]),
        ("a = 'b # no comment'", [("set", "a", "b # no comment")]),
        ('a = "b # no comment" # comment', [("set", "a", "b # no comment")]),
        ("a = it's # comment", [("set", "a", "it's")]),
        ('a = "b" c', [("set", "a", '"b" c')]),
        ('a = ""', [("set", "a", "")]),
        ('"a = b" = c', [("set", "a = b", "c")]),
        ("a = b \\\n   c", [("set", "a", "b c")]),
        ("a = b \\\n# between\n   c", [("set", "a", "b c")]),
        ("a = b \\", [("set", "a", "b")]),
        ("# not joined \\\na = b", [("set", "a", "b")]),
        ("s {\n}", [("open", "s", ""), ("close", "", "")]),
        ("s name {\n}", [("open", "s", "name"), ("close", "", "")]),
        ("s{\n}", [("open", "s", ""), ("close", "", "")]),
        ('s "a b" {\n}', [("open", "s", "a b"), ("close", "", "")]),
        ("unix_listener login/login {\n}", [("open", "unix_listener", "login/login"), ("close", "", "")]),
        ("local_name *.example.org {\n}", [("open", "local_name", "*.example.org"), ("close", "", "")]),
        ("remote 10.0.0.0/8 { # c\n}", [("open", "remote", "10.0.0.0/8"), ("close", "", "")]),
        ("group @a b {\n}", [("group", "a", "b"), ("close", "", "")]),
        ("group = x", [("set", "group", "x")]),
        ("@a = b", [("use-group", "a", "b")]),
        ("!include a b.conf", [("include", "", "a b.conf")]),
        ('!include_try "x.conf"', [("include-try", "", "x.conf")]),
        ("a = </etc/x", [("set-file", "a", "/etc/x")]),
        ("a = < '/etc/x y'", [("set-file", "a", "/etc/x y")]),
        ("a = <<END\n one # two\n}\nEND\nb = c", [("set-heredoc", "a", " one # two\n}\n"), ("set", "b", "c")]),
        ("a = <<END\nEND", [("set-heredoc", "a", "")]),
        ("\ufeffa = b", [("set", "a", "b")]),
        ("a = b=c {", [("set", "a", "b=c {")]),
    ],
)
def test_statements(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert shapes(text) == expected


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a", 1, "Expecting '{'"),
        ("a b", 1, "Expecting '{'"),
        ("\na b c {", 2, "Expecting '{'"),
        ("a { b", 1, "Garbage after '{'"),
        ("a b { c }", 1, "Garbage after '{'"),
        ("} x", 1, "Garbage after '}'"),
        ("group @a {", 1, "Expecting group name"),
        ("group @a b", 1, "Expecting group name"),
        (r'a = "\n"', 1, "Unknown escape sequence \\n"),
        ("a = <<END\nx", 1, "Missing END"),
        ("a = <<", 1, "needs a marker"),
        ("a = <", 1, "A file name is missing"),
        ("!includ x", 1, "Unknown directive: !includ"),
        ("!include", 1, "needs a file name"),
        ("= b", 1, "Expecting a setting or a section"),
        ('"a = b', 1, "closing quote is missing"),
        ('s "a {', 1, "closing quote is missing"),
        ('s "" {', 1, "empty name"),
        ("ok = 1\na = b\0c", 2, "NUL"),
    ],
)
def test_errors_name_the_line(text: str, line: int, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, "f")
    assert part in caught.value.why
    assert (caught.value.file, caught.value.line) == ("f", line)


def test_an_ambiguous_comment_is_warned_about() -> None:
    warning, setting = read("a = b#c", "f")
    assert (warning.kind, warning.line) == (Kind.WARN, 1)
    assert "Ambiguous '#'" in warning.value
    assert setting.value == "b"


def test_lines_are_counted_through_continuations_and_heredocs() -> None:
    lines = [one.line for one in read("a = b \\\n c\n\nd = <<E\nx\nE\ne = f\n", "f")]
    assert lines == [1, 4, 7]


def test_quoted_values_say_so() -> None:
    assert [one.quoted for one in read("a = b\na = 'b'\na = <<E\nE\n", "f")] == [False, True, True]


@settings(max_examples=200)
@given(st.text(st.sampled_from(list("ab ={}\"'\\#\n<!@$\t")), max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text, "f")
    except ConfigError as error:
        assert error.line >= 1
