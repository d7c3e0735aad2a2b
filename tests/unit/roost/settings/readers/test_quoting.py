"""Quotes: what is written is read back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.settings.readers import dovecot
from roost.settings.readers.quoting import quote, unquote, written
from roost.settings.readers.statements import Kind

LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=60)
NASTY = st.text(st.sampled_from(list("\"'\\#$<{}= \ta")), max_size=12)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('""', ""),
        ("''", ""),
        ('"a b"', "a b"),
        (r'"a\"b"', 'a"b'),
        (r"'a\'b'", "a'b"),
        (r'"a\\b"', "a\\b"),
        ('"it\'s"', "it's"),
    ],
)
def test_unquote(text: str, value: str) -> None:
    assert unquote(text) == value


@pytest.mark.parametrize("text", [r'"a\nb"', r'"a\'"', r"'a\"'"])
def test_unknown_escapes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Unknown escape sequence"):
        unquote(text)


@settings(max_examples=200)
@given(LINE | NASTY)
def test_quote_and_back(value: str) -> None:
    assert unquote(quote(value)) == value


@settings(max_examples=200)
@given(LINE | NASTY)
def test_a_written_value_is_read_back(value: str) -> None:
    (one,) = dovecot.read(f"key = {written(value)}\n", "f")
    assert (one.kind, one.key, one.value) == (Kind.SET, "key", value)
