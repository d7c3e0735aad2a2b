"""LIST patterns against an obvious (and slow) model."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roost.imap.list_match import Match, compile_patterns


def model(pattern: str, name: str) -> bool:
    @cache
    def at(i: int, j: int) -> bool:
        if i == len(pattern):
            return j == len(name)
        if pattern[i] in "*%":
            return at(i + 1, j) or (j < len(name) and (pattern[i] == "*" or name[j] != "/") and at(i, j + 1))
        return j < len(name) and pattern[i] == name[j] and at(i + 1, j + 1)

    return at(0, 0)


def parent_in_model(pattern: str, name: str) -> bool:
    """The separator after ``name`` leaves some of the pattern to match."""

    @cache
    def reach(i: int, j: int, text: str) -> bool:
        if j == len(text):
            return i < len(pattern)
        if i == len(pattern):
            return False
        if pattern[i] in "*%":
            return reach(i + 1, j, text) or ((pattern[i] == "*" or text[j] != "/") and reach(i, j + 1, text))
        return pattern[i] == text[j] and reach(i + 1, j + 1, text)

    return reach(0, 0, name + "/")


PATTERNS = st.text("ab/%*", max_size=7)
NAMES = st.text("ab/", min_size=1, max_size=7)


@given(PATTERNS, NAMES)
@example("a/", "a")
def test_against_the_model(pattern: str, name: str) -> None:
    found = compile_patterns("", [pattern])(name)
    if model(pattern, name):
        assert found is Match.YES
    elif parent_in_model(pattern, name):
        assert found is Match.PARENT
    else:
        assert found is Match.NO


@pytest.mark.parametrize(
    ("reference", "patterns", "yes", "parent", "no"),
    [
        ("", ["*"], ["a", "a/b"], [], []),
        ("", ["%"], ["a", "INBOX"], [], ["a/b"]),
        ("", ["%/%"], ["a/b"], ["a"], ["a/b/c"]),
        ("a/", ["%"], ["a/b"], ["a"], ["b", "a/b/c"]),
        ("", ["*b"], ["ab", "a/b", "b"], ["a"], []),
        ("", ["a", "b*"], ["a", "b", "b/c"], [], ["c", "a/b"]),
        ("", ["a/b/c"], ["a/b/c"], ["a", "a/b"], ["a/c"]),
        ("", ["inbox"], ["INBOX"], [], ["inboxes"]),
        ("", ["iNb*"], ["INBOX"], [], ["other"]),
        ("", ["inbox/%"], ["INBOX/x"], ["INBOX"], ["x"]),
        ("", [""], [], [], ["a", "INBOX"]),
        ("", ["été%"], ["étés"], [], ["ete"]),
    ],
)
def test_examples(reference: str, patterns: list[str], yes: list[str], parent: list[str], no: list[str]) -> None:
    matcher = compile_patterns(reference, patterns)
    assert [matcher(name) for name in yes] == [Match.YES] * len(yes)
    assert [matcher(name) for name in parent] == [Match.PARENT] * len(parent)
    assert [matcher(name) for name in no] == [Match.NO] * len(no)


def test_another_separator() -> None:
    matcher = compile_patterns("", ["%"], ".")
    assert matcher("a/b") is Match.YES
    assert matcher("a.b") is Match.NO


def test_hostile_patterns_are_linear() -> None:
    """Backtracking would take longer than the universe has."""
    matcher = compile_patterns("", ["*a%" * 300 + "b"])
    for _ in range(20):
        assert matcher("a" * 1000) is Match.PARENT
