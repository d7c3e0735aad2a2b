"""Address lists: every form, missing pieces, bounds; the standard library as oracle for ordinary ones."""

from __future__ import annotations

from email.headerregistry import Address as StandardAddress
from email.utils import getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.mime import addresses
from roost.mime.addresses import GROUP_END, MISSING_DOMAIN, MISSING_MAILBOX, Budget, parse


def plain(mailbox: bytes, host: bytes, name: bytes | None = None, route: bytes | None = None) -> addresses.Address:
    return (name, route, mailbox, host)


def group(name: bytes) -> addresses.Address:
    return (None, None, name, None)


CASES: dict[bytes, list[addresses.Address]] = {
    b"": [],
    b" , ,\r\n ,": [],
    b"user@domain": [plain(b"user", b"domain")],
    b"<user@domain>": [plain(b"user", b"domain")],
    b"foo bar <user@domain>": [plain(b"user", b"domain", b"foo bar")],
    b"foo \t bar<user@domain>": [plain(b"user", b"domain", b"foo bar")],
    b'"foo bar" <user@domain>': [plain(b"user", b"domain", b"foo bar")],
    b'"foo" "bar" baz <user@domain>': [plain(b"user", b"domain", b"foo bar baz")],
    b'"a\\"b\\\\" <u@d>': [plain(b"u", b"d", b'a"b\\')],
    b'"a\r\n b" <u@d>': [plain(b"u", b"d", b"a b")],
    b'"" <u@d>': [plain(b"u", b"d")],
    b"A\r\n\tB <c@d>,\r\n e@f": [plain(b"c", b"d", b"A B"), plain(b"e", b"f")],
    b"user@domain (Real Name)": [plain(b"user", b"domain", b"Real Name")],
    b"user@domain (a (nested \\) one) b)": [plain(b"user", b"domain", b"a (nested ) one) b")],
    b"(first) user@domain (second)": [plain(b"user", b"domain", b"second")],
    b"Name (comment) <u@d>": [plain(b"u", b"d", b"Name")],
    b"user @ do (x) main": [plain(b"user", b"do main", b"x")],
    b"<@route:user@domain>": [plain(b"user", b"domain", route=b"@route")],
    b"<@route@route2:user@domain>": [plain(b"user", b"domain", route=b"@route,@route2")],
    b"hello <@route ,@route2:user@domain>": [plain(b"user", b"domain", b"hello", b"@route,@route2")],
    b"user (hello)": [plain(b"user", MISSING_DOMAIN, b"hello")],
    b"hello <user>": [plain(b"user", MISSING_DOMAIN, b"hello")],
    b"@domain": [plain(MISSING_MAILBOX, b"domain")],
    b"<@domain>": [plain(MISSING_MAILBOX, b"domain")],
    b"user@": [plain(b"user", MISSING_DOMAIN)],
    b"<>": [plain(MISSING_MAILBOX, MISSING_DOMAIN)],
    b"Foo <>": [plain(MISSING_MAILBOX, MISSING_DOMAIN, b"Foo")],
    b"Foo Bar": [plain(MISSING_MAILBOX, MISSING_DOMAIN, b"Foo Bar")],
    b"a . b@c . d": [plain(b"a.b", b"c.d")],
    b"a@b <c@d>": [plain(b"c", b"d", b"a@b")],
    b"a@b@c": [plain(b"a", b"b c")],
    b'""@x': [plain(b"", b"x")],
    b'"john doe"@x': [plain(b"john doe", b"x")],
    b"u@[192.0.2.1]": [plain(b"u", b"[192.0.2.1]")],
    b"u@[unclosed": [plain(b"u", b"[unclosed")],
    b"a@b; c@d": [plain(b"a", b"b"), plain(b"c", b"d")],
    b"=?utf-8?q?x?= <a@b>": [plain(b"a", b"b", b"=?utf-8?q?x?=")],
    b"\xc3\xa9 <a@b>": [plain(b"a", b"b", b"\xc3\xa9")],
    b"a\x00b@c": [plain(b"ab", b"c")],
    b"<a@b> trailing, c@d": [plain(b"a", b"b"), plain(b"c", b"d")],
    b"<a@b": [plain(b"a", b"b")],
    b"a@b>": [plain(b"a", b"b")],
    b"(((": [],
    b'"abc': [plain(b"abc", MISSING_DOMAIN)],
    b"undisclosed-recipients:;": [group(b"undisclosed-recipients"), GROUP_END],
    b"group:;, group2: (foo) ;": [group(b"group"), GROUP_END, group(b"group2"), GROUP_END],
    b"My Group: a@b, C <d@e>;": [group(b"My Group"), plain(b"a", b"b"), plain(b"d", b"e", b"C"), GROUP_END],
    b"unclosed: a@b": [group(b"unclosed"), plain(b"a", b"b"), GROUP_END],
    b"a: b: c@d;": [group(b"a"), plain(b"b c", b"d"), GROUP_END],
    b"a@b, group: c@d;, e@f": [plain(b"a", b"b"), group(b"group"), plain(b"c", b"d"), GROUP_END, plain(b"e", b"f")],
}


@pytest.mark.parametrize("value", CASES)
def test_forms(value: bytes) -> None:
    assert parse(value) == CASES[value]


@given(st.lists(st.sampled_from(sorted(CASES)), max_size=4), st.binary(max_size=20))
def test_no_octets_raise(pieces: list[bytes], noise: bytes) -> None:
    for value in (b", ".join(pieces), noise.join(pieces), noise):
        for name, route, mailbox, host in parse(value):
            assert mailbox is not None or (name, route, host) == (None, None, None)


NAMES = st.text('abcdefghij XYZ.,()<>@;:"\\', max_size=12).map(str.strip)
HOSTS = st.text("abcxyz019", min_size=1, max_size=8)
LOCALS = st.lists(HOSTS, min_size=1, max_size=3).map(".".join)


@given(st.lists(st.tuples(NAMES, LOCALS, HOSTS), min_size=1, max_size=5))
def test_against_the_standard_library(people: list[tuple[str, str, str]]) -> None:
    text = ", ".join(str(StandardAddress(name, local, host)) for name, local, host in people)
    wanted = [(" ".join(name.split()), address) for name, address in getaddresses([text])]
    found = [
        (" ".join((name or b"").decode().split()), b"@".join((mailbox or b"", host or b"")).decode())
        for name, _, mailbox, host in parse(text.encode())
    ]
    assert found == wanted


def test_budgets() -> None:
    assert len(parse(b"a@b," * 20_000)) == addresses.MAX_ADDRESSES
    assert len(parse(b"a," * 20_000)) == addresses.MAX_ADDRESSES
    budget = Budget(3)
    assert len(parse(b"a@b,c@d", budget)) == 2
    assert len(parse(b"a@b,c@d", budget)) == 1
    assert parse(b"a@b", budget) == []
    budget = Budget(100)
    parse(b"<" * 100_000, budget)
    assert budget.tokens == 0


@pytest.mark.parametrize(
    "unit",
    [
        b"(",
        b"()",
        b"(\\",
        b'"',
        b'\\"',
        b'"\\',
        b"<",
        b"<@a",
        b"<@",
        b"[",
        b"a ",
        b"a:",
        b"@",
        b"\r\n ",
        b"a@b <",
        b"a(",
    ],
)
def test_floods_are_linear(unit: bytes) -> None:
    """A quadratic reading of 2 MB would outlast the test's time."""
    parse(unit * (2_000_000 // len(unit)))
