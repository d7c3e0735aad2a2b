"""``%{variables | filters}``: what comes out, what is refused, and that values stay values."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import ConfigError, Refused
from roost.settings import variables
from roost.settings.filters import FILTERS
from roost.settings.template import parse
from roost.settings.variables import check, expand, expand_path, path_component, variables_of

VALUES = {
    "user": "Anna.Bell+x@Mail.Example.org",
    "empty": "",
    "n": "255",
    "stamp": "1700000000.250000000",
    "list": "a\tb\x01tc\t\x011",
    "none": None,
    "userdb:quota": "5M",
    "grün": "ja",
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", ""),
        ("plain 100% %u $x", "plain 100% %u $x"),
        ("%{user}", VALUES["user"]),
        ("<%{ user }>", f"<{VALUES['user']}>"),
        ("%%{user}", "%{user}"),
        ("a%%{b}c%{n}", "a%{b}c255"),
        ("%{grün}", "ja"),
        ("%{userdb:quota}", "5M"),
        ("%{userdb:missing}%{passdb:x}%{event:y}%{env:NO_SUCH_NAME_HERE}", ""),
        ("%{user | username}", "Anna.Bell+x"),
        ("%{user | domain}", "Mail.Example.org"),
        ("%{n | domain}", ""),
        ("%{user | lower}", "anna.bell+x@mail.example.org"),
        ("%{user|upper}", "ANNA.BELL+X@MAIL.EXAMPLE.ORG"),
        ("%{grün | upper}", "JA"),
        ("%{literal('x y')}", "x y"),
        ('%{literal("it\'s")}', "it's"),
        (r"%{literal('a\tb\x41\101\'')}", "a\tbAA'"),
        ("%{lookup('user') | username}", "Anna.Bell+x"),
        ("%{concat(n, '-', 7)}", "255-7"),
        ("%{n | concat('x')}", "255x"),
        ("%{missing | default('d')}", "d"),
        ("%{missing | upper | default}", ""),
        ("%{none | default('d')}", "d"),
        ("%{empty | default(n)}", "255"),
        ("%{n | default('d')}", "255"),
        ("%{n + 1}", "256"),
        ("%{n - 256}", "-1"),
        ("%{n * 2 | hex}", "1fe"),
        ("%{n / 10}", "25"),
        ("%{n % 16}", "15"),
        ("%{n | calculate('+', 5)}", "260"),
        ("%{user | md5 % 8}", str(int.from_bytes(hashlib.md5(VALUES["user"].encode()).digest()[:8], "big") % 8)),
        ("%{n | hex}", "ff"),
        ("%{n | hex(4)}", "00ff"),
        ("%{n | hex(1)}", "f"),
        ("%{n | hex(-4)}", "ff00"),
        ("%{n | hex(width=4) | unhex}", "255"),
        ("%{n | hexlify}", "323535"),
        ("%{n | hexlify | unhexlify | text}", "255"),
        ("%{n | hexlify | unhexlify}", "323535"),
        ("%{n | base64}", "MjU1"),
        ("%{literal('ab') | base64}", "YWI="),
        ("%{literal('ab') | base64(pad=0)}", "YWI"),
        ("%{literal('YWI') | unbase64(pad=0) | text}", "ab"),
        (r"%{literal('\xff\xfe\xfd') | base64(url=1)}", "__79"),
        ("%{literal('__79') | unbase64(url=1)}", "fffefd"),
        ("%{n | sha256}", hashlib.sha256(b"255").hexdigest()),
        ("%{n | sha1(rounds=2)}", hashlib.sha1(hashlib.sha1(b"255").digest()).hexdigest()),
        ("%{n | sha384(1, 's') | hexlify(4)}", hashlib.sha384(b"s255").hexdigest()[-4:]),
        ("%{n | sha512 | hexlify(-4)}", hashlib.sha512(b"255").hexdigest()[:4]),
        ("%{n | hash('sha512', salt='s')}", hashlib.sha512(b"s255").hexdigest()),
        ("%{n | hash('sha3-256')}", hashlib.sha3_256(b"255").hexdigest()),
        ("%{n | hash('size')}", "0000000000000003"),
        ("%{n | reverse}", "552"),
        ("%{user | truncate(4)}", "Anna"),
        (r"%{literal('\xff\xff') | truncate(bits=12) | hexlify}", "0fff"),
        (r"%{literal('\xff\xff') | truncate(bits=4) | hexlify}", "0f"),
        ("%{user | substr(5)}", "Bell+x@Mail.Example.org"),
        ("%{user | substr(5, 4)}", "Bell"),
        ("%{user | substr(-3)}", "org"),
        ("%{user | substr(0, -12) | username}", "Anna.Bell+x"),
        ("%{user | domain | index('.', 0)}", "Mail"),
        ("%{user | domain | index('.', -1)}", "org"),
        ("%{list | list}", "a,b\tc,\x01"),
        ("%{list | list(sep=';')}", "a;b\tc;\x01"),
        ("%{n | lfill(5)}", "00255"),
        ("%{n | rfill(5, 'x')}", "255xx"),
        (r"%{literal('a\x01\xff') | text}", "a??"),
        (r"%{literal('\x01\x02') | lenumber}", "513"),
        (r"%{literal('\x01\x02') | benumber}", "258"),
        ("%{literal('a.b.c') | ldap_dn}", "a,dc=b,dc=c"),
        (r"%{user | regexp('^([^@]*)@(.*)$', '\\2/\\1')}", "Mail.Example.org/Anna.Bell+x"),
        (r"%{n | regexp('[[:digit:]]', 'x')}", "x55"),
        ("%{n | regexp('y', 'x')}", "255"),
        ("%{if(n, '==', 255, 'yes', 'no')}", "yes"),
        ("%{n | if('<', 255, 'yes', 'no')}", "no"),
        ("%{user | if('*', '*@Mail.*', n, missing)}", "255"),
        ("%{user | if('!*', '*@Mail.*', missing, n)}", "255"),
        ("%{user | if('~', '^Anna', 'y', 'n')}", "y"),
        ("%{user | if('!~', '^Anna', 'y', 'n')}", "n"),
        ("%{user | if('eq', user, 'y', 'n')}", "y"),
        ("%{literal('[a]') | if('*', '[a]', 'y', 'n')}", "y"),
        ("%{switch(n, '==', 1, 'one', 255, 'many', 'other')}", "many"),
        ("%{n | switch('==', 1, 'one', 2, 'two', 'other')}", "other"),
        ("%{stamp | epoch}", "1700000000"),
        ("%{stamp | epoch('ms')}", "1700000000250"),
        ("%{literal('1700000000250') | from_epoch('ms')}", "1700000000.250000000"),
        ("%{stamp | date('%Y-%m-%d')}", "2023-11-14"),
        ("%{stamp | iso8601}", "2023-11-14T22:13:20Z"),
    ],
)
def test_expansion(template: str, expected: str) -> None:
    check(template)
    assert expand(template, VALUES) == expected


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ("%{missing}", "Unknown variable 'missing' in %{missing}"),
        ("%{missing | upper}", "Unknown variable 'missing'"),
        ("%{none}", "Unknown variable 'none'"),
        ("%{time:nothing}", "Unknown variable 'time:nothing'"),
        ("%{n | concat(missing)}", "Unknown variable 'missing'"),
        ("%{user", "Expecting '|' or '}'"),
        ("%{}", "Expecting a variable or filter"),
        ("%{user |}", "Expecting a variable or filter"),
        ("%{user | lower", "Expecting '|' or '}'"),
        ("%{literal('x)}", "closing quote is missing"),
        (r"%{literal('\q')}", "Unknown escape sequence"),
        (r"%{literal('\777')}", "octal escape"),
        ("%{concat(n n)}", "Expecting ',' or ')'"),
        ("%{user | nosuch}", "Unknown filter 'nosuch'"),
        ("%{user | encrypt(key='k')}", "do not exist in Roost"),
        ("%{user | decrypt(key='k')}", "do not exist in Roost"),
        ("%{user | lua_call('fn')}", "No mail user available"),
        ("%{user | lua_file('/x', 'fn')}", "There are no Lua scripts here"),
        ("%{lower('x')}", "needs a value before it"),
        ("%{user | lower('x')}", "Too many positional parameters"),
        ("%{user | substr}", "Missing parameters"),
        ("%{user | substr(99)}", "Offset out of bounds"),
        ("%{user | substr(0, 99)}", "Length out of bounds"),
        ("%{user | index('@', 5)}", "Position out of bounds"),
        ("%{user | index('', 0)}", "separator is empty"),
        ("%{user + 1}", "not a number"),
        ("%{n / 0}", "Division by zero"),
        ("%{n % 0}", "Division by zero"),
        ("%{n * 9223372036854775807 | hex}", "out of range"),
        ("%{n | hash('md99')}", "Unknown hash method 'md99'"),
        ("%{n | sha256(rounds=1000000)}", "rounds must be between"),
        ("%{n | sha256(round=1)}", "Unsupported key 'round'"),
        ("%{n | lfill(100000)}", "width must be between"),
        ("%{n | hex(1000)}", "width must be at most"),
        ("%{n | unhexlify}", "Invalid hexadecimal"),
        ("%{n | unbase64}", "Invalid base64"),
        ("%{user | unhex}", "not a hexadecimal number"),
        ("%{user | lenumber}", "longer than eight octets"),
        ("%{n | regexp('(', 'x')}", "Invalid regular expression"),
        (r"%{n | regexp('2', '\\1')}", "no such group"),
        ("%{n | if('===', 1, 'a', 'b')}", "Unknown operator '==='"),
        ("%{n | switch('==', 1, 'one', 2, 'two')}", "Missing parameters"),
        ("%{user | date('%Y')}", "not a UNIX timestamp"),
        ("%{stamp | date('%Y', 'mars')}", "Unknown time zone"),
        ("%{stamp | epoch('h')}", "Unknown unit"),
    ],
)
def test_what_is_refused(template: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(template, VALUES)
    assert part in str(caught.value)


def test_every_filter_of_the_table_is_in_a_case_above() -> None:
    source = Path(__file__).read_text()
    for name in FILTERS:
        assert f"| {name}" in source or f"%{{{name}(" in source, name


def test_built_in_providers() -> None:
    assert expand("%{process:pid}", {}) == str(os.getpid())
    assert expand("%{process:uid}/%{process:gid}", {}) == f"{os.getuid()}/{os.getgid()}"
    assert expand("%{system:hostname}", {}) == os.uname().nodename
    assert int(expand("%{system:cpu_count}", {})) >= 1
    assert abs(int(expand("%{time:unix | epoch}", {})) - time.time()) < 100
    assert len(expand("%{generate:guid}", {})) == 32
    assert [len(part) for part in expand("%{generate:uuid}", {}).split("-")] == [8, 4, 4, 4, 12]
    assert expand("%{dovecot:name}", {}) == "Roost"
    assert len(expand("%{date:year}-%{time:hour}", {})) == 7


def test_given_values_go_before_the_built_in_ones() -> None:
    assert expand("%{process:pid}", {"process:pid": "7"}) == "7"


@pytest.mark.parametrize("value", ["%{user}", "%{env:PATH}", "%%{x}", "$ENV:PATH", "%{", "a}b", "%{literal('x')}"])
def test_a_value_is_never_expanded_again(value: str) -> None:
    assert expand("<%{name}>", {"name": value}) == f"<{value}>"
    assert expand("<%{name | concat('')}>", {"name": value}) == f"<{value}>"
    assert expand("%{lookup('name')}", {"name": value}) == value


def test_escaping_is_applied_to_the_whole_output() -> None:
    def quoted(text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    values = {"user": "o'brien"}
    assert expand("name = %{user}", values, escape=quoted) == "name = 'o''brien'"
    assert expand("%{user | upper}", values, escape=quoted) == "'O''BRIEN'"
    assert expand("%{user | safe}", values, escape=quoted) == "o'brien"
    assert expand("%{user | escape | upper}", values, escape=quoted) == "'O''BRIEN'"
    assert expand("%{user | concat('%{x}')}", values, escape=quoted) == "'o''brien%{x}'"


def test_output_is_bounded() -> None:
    with pytest.raises(ConfigError, match="too long"):
        expand("%{a}" * 100, {"a": "x" * 1000})
    with pytest.raises(ConfigError, match="too long"):
        expand("%{a | concat(a) | concat(a)}", {"a": "x" * 30000})
    with pytest.raises(ConfigError, match="too long"):
        parse("%{a}" * 10000)
    with pytest.raises(ConfigError, match="Too many filters"):
        parse("%{a" + " | lower" * 60 + "}")


def test_a_regular_expression_s_input_is_bounded() -> None:
    with pytest.raises(ConfigError, match="too long"):
        expand("%{a | regexp('(a*)*b', 'x')}", {"a": "a" * 5000})


def test_names_of_a_template() -> None:
    assert variables_of("%{a | if('eq', b, c, 'd')}%{lookup('e')}x%{f:g}") == {"a", "b", "c", "e", "f:g"}


@pytest.mark.parametrize(
    ("user", "path"),
    [
        ("anna", "/mail/anna/x"),
        ("anna@example.org", "/mail/anna@example.org/x"),
        ("../../etc/passwd", "/mail/%2e%2e%2f..%2fetc%2fpasswd/x"),
        (".", "/mail/%2e/x"),
        ("..", "/mail/%2e%2e/x"),
        (".hidden", "/mail/%2ehidden/x"),
        ("a/b", "/mail/a%2fb/x"),
        ("a%2fb", "/mail/a%252fb/x"),
        ("a\0b\nc d", "/mail/a%00b%0ac%20d/x"),
        ("%{home}", "/mail/%25{home}/x"),
        ("grün", "/mail/grün/x"),
        ("\\", "/mail/%5c/x"),
    ],
)
def test_any_name_is_one_harmless_component(user: str, path: str) -> None:
    assert expand_path("/mail/%{user}/x", {"user": user}) == path


def test_paths_of_parts() -> None:
    values = {"user": "a/b@x/..", "home": "/home/a"}
    assert expand_path("/m/%{user | domain}/%{user | username}", values) == "/m/x%2f../a%2fb"
    assert expand_path("%{home}/mail", values) == "/home/a/mail"
    assert expand_path("~/mail/%{user}", values) == "/home/a/mail/a%2fb@x%2f.."
    assert expand_path("/m/~x", values) == "/m/~x"
    for template in ("~/mail", "%{home}/mail"):
        with pytest.raises(Refused):
            expand_path(template, {"home": ""})
        with pytest.raises(ConfigError):
            expand_path(template, {})
    assert expand_path("/m/%{home | lower}", values) == "/m/%2fhome%2fa"
    assert expand_path("/m/%{user | safe}", values) == "/m/a%2fb@x%2f.."


@pytest.mark.parametrize("user", ["", "x" * 256, "ü" * 128, "\ud800"])
def test_names_that_cannot_be_a_component_are_refused(user: str) -> None:
    with pytest.raises(Refused):
        expand_path("/mail/%{user}", {"user": user})


def test_a_missing_domain_is_refused_not_an_empty_component() -> None:
    with pytest.raises(Refused):
        expand_path("/mail/%{user | domain}/%{user | username}", {"user": "anna"})


@settings(max_examples=200)
@given(st.text(max_size=40), st.text(max_size=40))
def test_components_are_harmless_and_different(one: str, other: str) -> None:
    try:
        a, b = path_component(one), path_component(other)
    except Refused:
        return
    assert "/" not in a and "\0" not in a and not a.startswith(".") and a
    assert os.path.normpath(f"/m/{a}") == f"/m/{a}"
    assert (a == b) == (one == other)


@settings(max_examples=200)
@given(st.text(st.sampled_from(list("%{}|()'\",abn =\\0123")), max_size=40))
def test_any_template_expands_or_is_refused(template: str) -> None:
    try:
        expand(template, {"a": "1", "b": "x"})
    except ConfigError:
        pass


def test_providers_are_a_table() -> None:
    assert list(variables.PROVIDERS) == sorted(variables.PROVIDERS)
