"""Value types: text to value, value to text, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.settings.fields import (
    BOOL,
    BOOLLIST,
    ENUM,
    MSECS,
    NETS,
    OCTAL,
    PORT,
    REFUSED,
    SECS,
    SIZE,
    STR,
    UINT,
    Spec,
    Type,
)
from roost.settings.values import format_value, parse_msecs, parse_size, parse_value, quote_item, split_list


def spec(kind: Type, **more: Any) -> Spec:
    return Spec(key="k", attribute="k", type=kind, default=None, text="", **more)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (BOOL, "yes", True),
        (BOOL, "Y", True),
        (BOOL, "1", True),
        (BOOL, "NO", False),
        (UINT, "0", 0),
        (UINT, "4294967295", 4294967295),
        (OCTAL, "0600", 0o600),
        (OCTAL, "0", 0),
        (SIZE, "100", 100),
        (SIZE, "64k", 65536),
        (SIZE, "64 KiB", 65536),
        (SIZE, "1mb", 1 << 20),
        (SIZE, "2G", 2 << 30),
        (SIZE, "1TI", 1 << 40),
        (SIZE, "5B", 5),
        (SECS, "0", 0),
        (SECS, "30s", 30),
        (SECS, "30 secs", 30),
        (SECS, "2m", 120),
        (SECS, "2 MINUTES", 120),
        (SECS, "1h", 3600),
        (SECS, "1 da", 86400),
        (SECS, "2w", 1209600),
        (SECS, "2000ms", 2),
        (MSECS, "250 msecs", 250),
        (MSECS, "1 milliseconds", 1),
        (MSECS, "1s", 1000),
        (PORT, "0", 0),
        (PORT, "65535", 65535),
        (STR, "anything = at all", "anything = at all"),
        (BOOLLIST, "a b, c,,a", ("a", "b", "c")),
        (BOOLLIST, 'a "b c, d" e', ("a", "b c, d", "e")),
        (BOOLLIST, "", ()),
        (NETS, "10.0.0.1 ::1 [fe80::]/10 10.0.0.1/32", ("10.0.0.1/32", "::1/128", "fe80::/10")),
    ],
)
def test_right_values(kind: Type, text: str, value: object) -> None:
    assert parse_value(spec(kind), text) == value


@pytest.mark.parametrize(
    ("kind", "text", "part"),
    [
        (BOOL, "true", "use yes or no"),
        (BOOL, "0", "use yes or no"),
        (BOOL, "", "use yes or no"),
        (UINT, "-1", "only digits"),
        (UINT, "4294967296", "too large"),
        (UINT, "unlimited", "a number is needed"),
        (UINT, "1k", "only digits"),
        (UINT, "٣", "only digits"),
        (OCTAL, "600", "leading 0"),
        (OCTAL, "0800", "octal number"),
        (SIZE, "1x", "Invalid size"),
        (SIZE, "1.5M", "Invalid size"),
        (SIZE, "M", "Invalid size"),
        (SIZE, "1bb", "Invalid size"),
        (SIZE, "99999999T", "too large"),
        (SECS, "5", "missing units"),
        (SECS, "5 parsecs", "Invalid time interval"),
        (SECS, "x", "Invalid time interval"),
        (SECS, "1500ms", "Milliseconds not supported"),
        (SECS, "99999999 weeks", "too large"),
        (PORT, "65536", "Invalid port number"),
        (PORT, "imap", "Invalid port number"),
        (NETS, "10.0.0.0/33", "Invalid network mask"),
        (STR, "a\0b", "NUL"),
    ],
)
def test_wrong_values(kind: Type, text: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_value(spec(kind), text)


def test_choices_are_listed() -> None:
    with pytest.raises(ValueError, match='use one of: a, ""'):
        parse_value(spec(ENUM, choices=("a", "")), "b")
    with pytest.raises(ValueError, match="use any of: a, b"):
        parse_value(spec(BOOLLIST, choices=("a", "b")), "a c")


def test_unlimited_means_what_the_setting_says() -> None:
    assert parse_value(spec(SECS, unlimited=None), "Infinite") is None
    assert parse_value(spec(UINT, unlimited=0), "unlimited") == 0
    assert format_value(spec(SECS, unlimited=None), None) == "infinite"


def test_ranges_are_said_in_the_setting_s_own_units() -> None:
    with pytest.raises(ValueError, match="must be at least 1M and at most 2G"):
        parse_value(spec(SIZE, low=1 << 20, high=2 << 30), "1k")


@settings(max_examples=200)
@given(st.integers(0, (1 << 63) - 1))
def test_sizes_are_written_as_they_are_read(value: int) -> None:
    assert parse_size(format_value(spec(SIZE), value)) == value


@settings(max_examples=200)
@given(st.integers(0, 0x7FFFFFFF))
def test_times_are_written_as_they_are_read(value: int) -> None:
    assert parse_value(spec(SECS), format_value(spec(SECS), value)) == value
    assert parse_msecs(format_value(spec(MSECS), value)) == value


@settings(max_examples=200)
@given(st.integers(0, 0o7777))
def test_modes_are_written_as_they_are_read(value: int) -> None:
    assert parse_value(spec(OCTAL), format_value(spec(OCTAL), value)) == value


@settings(max_examples=200)
@given(st.lists(st.text(st.sampled_from(list('ab ,"\\\t')), min_size=1, max_size=6), unique=True, max_size=5))
def test_lists_are_written_as_they_are_read(items: list[str]) -> None:
    assert split_list(" ".join(map(quote_item, items))) == tuple(items)


def test_every_default_can_be_written_and_read() -> None:
    from roost.settings.registry import entries

    for entry in entries().values():
        one = entry.spec
        if one.type is Type.STRLIST:
            continue
        assert parse_value(one, format_value(one, one.default)) == one.default, one.key
        assert one.unlimited is REFUSED or parse_value(one, "unlimited") == one.unlimited
