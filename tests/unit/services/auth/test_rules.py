"""User name rules, network lists, wildcards, extra fields: the pure parts of the room."""

from __future__ import annotations

import time

import pytest

from roost.auth.api import Query
from roost.errors import ConfigError
from roost.settings.schema.auth import AuthSettings
from roost.util.wildcard import matches, selected
from services.auth import checks
from services.auth.fields import merge, renamed, settle_proxy, visible
from services.auth.nets import refusal
from services.auth.username import BadName, NameRules, password_allowed


def test_names_are_lowered_by_default() -> None:
    assert NameRules(AuthSettings()).name_of(b"User@Example.ORG") == "user@example.org"


def test_the_default_domain_is_appended_before_all_else() -> None:
    rules = NameRules(AuthSettings(auth_default_domain="Example.org"))
    assert rules.normalise("u") == "u@example.org"
    assert rules.normalise("u@x") == "u@x"


def test_translation_comes_before_the_check() -> None:
    rules = NameRules(AuthSettings(auth_username_translation="#@%@"))
    assert rules.normalise("u#d") == "u@d"
    assert rules.normalise("u%d") == "u@d"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (b"a b", "0x20"),
        (b"a\tb", "0x09"),
        (b"a\nb", "0x0a"),
        (b"a/b", "0x2f"),
        (b"%{user}", "0x25"),
        (b"\xc3\xa9", "0xe9"),
        (b"a\0", "0x00"),
    ],
)
def test_characters_outside_the_list_are_named(name: bytes, code: str) -> None:
    with pytest.raises(BadName, match=f"disallowed by auth_username_chars: {code}"):
        NameRules(AuthSettings()).name_of(name)


def test_a_log_text_about_a_name_is_short() -> None:
    with pytest.raises(BadName) as caught:
        NameRules(AuthSettings()).name_of(b"x" * 10000 + b" ")
    assert len(caught.value.detail) < 200


def test_without_a_list_anything_printable_is_a_name_but_not_broken_utf8_or_controls() -> None:
    rules = NameRules(AuthSettings(auth_username_chars=""))
    assert rules.name_of("Ünïcode user/..".encode()) == "Ünïcode user/.."  # only ASCII is lowered, as in Dovecot
    for bad in (b"\xff", b"a\x01", b"a\nb", b"a\x7f", b"\xc3"):
        with pytest.raises(BadName):
            rules.name_of(bad)


def test_the_format_sees_user_and_parts_and_may_not_be_empty() -> None:
    rules = NameRules(AuthSettings(auth_username_format="%{user | username | lower}"))
    assert rules.normalise("Bob@x.org") == "bob"
    with pytest.raises(BadName, match="Empty username"):
        rules.normalise("@x.org")
    assert NameRules(AuthSettings(auth_username_format="%{user}")).normalise("Bob") == "Bob"


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(BadName, match="Empty username"):
        NameRules(AuthSettings()).name_of(b"")


def test_a_translation_with_an_odd_end_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="auth_username_translation"):
        NameRules(AuthSettings(auth_username_translation="abc"))


def test_a_name_is_never_expanded_again() -> None:
    rules = NameRules(AuthSettings(auth_username_chars="", auth_username_format="x-%{user}"))
    assert rules.normalise("%{user}") == "x-%{user}"


@pytest.mark.parametrize("password", [b"a\tb", b"a\nb", b"a\rb", b"a\x01b"])
def test_passwords_with_protocol_octets_are_refused(password: bytes) -> None:
    assert not password_allowed(password)
    assert password_allowed(password.translate(None, b"\t\n\r\x01") + b"\xff \x00")


@pytest.mark.parametrize(
    ("nets", "ip", "allowed"),
    [
        ("192.0.2.0/24", "192.0.2.77", True),
        ("192.0.2.0/24", "192.0.3.1", False),
        ("192.0.2.5", "192.0.2.5", True),
        ("192.0.2.5,2001:db8::/32", "2001:db8:1::1", True),
        ("192.0.2.0/24", "::ffff:192.0.2.9", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("local", "", True),
        ("local", "192.0.2.1", False),
        ("192.0.2.0/24", "", False),
        ("192.0.2.0/24,local", "", True),
        ("", "192.0.2.1", False),
        ("nonsense", "192.0.2.1", False),
        ("nonsense 192.0.2.1", "192.0.2.1", True),
        ("192.0.2.0/24", "nonsense", False),
    ],
)
def test_allow_nets(nets: str, ip: str, allowed: bool) -> None:
    assert (refusal("allow_nets", nets, ip) == "") == allowed


def test_a_network_refusal_says_why() -> None:
    assert refusal("allow_nets", "10.0.0.0/8", "192.0.2.1") == (
        "allow_nets check failed: IP 192.0.2.1 not in allowed networks"
    )
    assert "'local' missing" in refusal("allow_nets", "10.0.0.0/8", "")
    assert "(invalid network: 10/8/8)" in refusal("allow_nets", "10/8/8", "192.0.2.1")


@pytest.mark.parametrize(
    ("pattern", "name", "result"),
    [
        ("*", "", True),
        ("*", "x", True),
        ("", "", True),
        ("", "x", False),
        ("u*", "u1", True),
        ("U*", "u1", True),
        ("u?", "u1", True),
        ("u?", "u", False),
        ("*@example.org", "a@example.org", True),
        ("*@example.org", "a@example.com", False),
        ("a*b*c", "aXXbYYc", True),
        ("a*b*c", "aXXbYY", False),
        ("**", "x", True),
        ("[a]", "a", False),
    ],
)
def test_wildcards(pattern: str, name: str, result: bool) -> None:
    assert matches(pattern, name) is result


def test_a_pattern_of_many_stars_is_not_exponential() -> None:
    started = time.process_time()
    assert not matches("*a" * 40 + "*b", "a" * 3000)
    assert time.process_time() - started < 5  # an exponential matcher would not end at all


def test_filter_lists() -> None:
    assert selected(("u*", "!u9"), "u1")
    assert not selected(("u*", "!u9"), "u9")
    assert not selected(("u*",), "x")
    assert selected(("!x",), "y")
    assert not selected(("!x",), "x")


def test_suffixes_of_fields() -> None:
    target = {"a": "1", "b": "2"}
    merge(target, {"a:default": "9", "c:default": "3", "b:remove": "", "d": "4", "namespace/inbox": "x"})
    assert target == {"a": "1", "c": "3", "d": "4", "namespace/inbox": "x"}


def test_renaming() -> None:
    assert renamed("u@d", {}) == "u@d"
    assert renamed("u@d", {"user": "x"}) == "x"
    assert renamed("u@d", {"username": "x"}) == "x@d"
    assert renamed("u", {"domain": "e"}) == "u@e"
    assert renamed("u@d", {"user": ""}) == "u@d"
    # As Dovecot has it: a username with an @ is a whole name, and the fields work in their order.
    assert renamed("u", {"username": "a@x"}) == renamed("u@d", {"username": "a@x"}) == "a@x"
    assert renamed("u@d", {"username": "a@x", "domain": "e"}) == "a@e"
    assert renamed("u@d", {"domain": "e", "username": "a@x"}) == "a@x"
    assert renamed("u@d", {"domain": "e", "username": "a"}) == "a@e"


def test_hidden_fields_do_not_go_out() -> None:
    fields = {"password": "x", "allow_nets": "y", "userdb_home": "/", "nologin": "yes", "reason": "r", "event_a": "b"}
    assert visible(fields) == {"nologin": "yes", "reason": "r"}


def test_a_master_users_name_is_taken_apart_before_the_rules() -> None:
    rules = NameRules(AuthSettings(auth_master_user_separator="*", auth_default_domain="x.org"))
    assert rules.who(b"Bob*Root", b"") == ("root@x.org", "bob@x.org")
    assert rules.who(b"bob*ro@y*ot"[:8], b"") == ("ro@y", "bob@x.org")
    assert rules.who(b"root", b"Bob") == ("root@x.org", "bob@x.org")
    assert rules.who(b"bob*root", b"carol") == ("root@x.org", "carol@x.org")
    assert rules.who(b"root*Root", b"") == ("root@x.org", "")  # nobody else
    for broken in (b"*root", b"bob*a*b", b"b/b*root"):
        with pytest.raises(BadName):
            rules.who(broken, b"")
    with pytest.raises(BadName, match="disallowed"):
        NameRules(AuthSettings()).who(b"bob*root", b"")
    with pytest.raises(ConfigError):
        NameRules(AuthSettings(auth_master_user_separator="**"))


def test_imported_fields() -> None:
    target = {"a": "1"}
    merge(target, {"passdb_import": "b=2\tc\td=x\x01ty\ta:remove\tb:default=9\tpassdb_import=z=1"})
    assert target == {"b": "2", "c": "yes", "d": "x\ty", "passdb_import": "z=1"}
    target = {}
    merge(target, {"userdb_import": "home=/h", "passdb_import": "x"}, "userdb_import")
    assert target == {"home": "/h", "passdb_import": "x"}


def test_secrets_for_a_proxy_are_for_login_rooms() -> None:
    fields = {"proxy": "yes", "pass": "secret", "master": "m", "host": "h"}
    assert visible(fields) == {"proxy": "yes", "host": "h"}
    assert visible(fields, login=True) == fields


@pytest.mark.parametrize(
    ("fields", "proxied"),
    [
        ({"host": "192.0.2.1"}, False),
        ({"host": "192.0.2.2"}, True),
        ({"host": "mail", "hostip": "192.0.2.1"}, False),
        ({"host": "192.0.2.1", "port": "143"}, False),
        ({"host": "192.0.2.1", "port": "144"}, True),
        ({"host": "192.0.2.1", "destuser": "u"}, False),
        ({"host": "192.0.2.1", "destuser": "v"}, True),
        ({}, True),
    ],
)
def test_proxy_maybe_is_decided(fields: dict[str, str], proxied: bool) -> None:
    given = {"proxy_maybe": "yes", **fields}
    settle_proxy(given, "u", "192.0.2.1", "143")
    assert given == ({**fields, "proxy": "yes"} if proxied else {})


@pytest.mark.parametrize(
    ("fields", "parameters", "text"),
    [
        ({}, {}, ""),
        ({"fail": "yes"}, {}, "fail field is set"),
        ({"check_client_fp": "ab"}, {"ssl_client_cert_fp": "AB"}, ""),
        ({"check_client_fp": "ab"}, {"ssl_client_cert_pubkey_fp": "ab"}, ""),
        ({"check_client_fp": "aa,ab"}, {"ssl_client_cert_pubkey_fp": "ab"}, ""),
        ({"check_client_fp": "ab"}, {}, "check_client_fp check failed: ab does not match client certificate"),
        ({"check_client_fp": ""}, {}, "check_client_fp check failed:  does not match client certificate"),
        ({"check_client_cert_fp": "ab"}, {"ssl_client_cert_pubkey_fp": "ab"}, "check_client_cert_fp check failed"),
        ({"check_client_cert_fp": "ab"}, {"ssl_client_cert_fp": "ab"}, ""),
        ({"check_client_pubkey_fp": "ab"}, {"ssl_client_cert_fp": "ab"}, "check_client_pubkey_fp check failed"),
        ({"check_client_pubkey_fp": "ab"}, {"ssl_client_cert_pubkey_fp": "ab"}, ""),
        ({"allow_nets": "local"}, {"rip": "192.0.2.1"}, "allow_nets check failed: IP 192.0.2.1 not in allowed"),
    ],
)
def test_fields_that_refuse(fields: dict[str, str], parameters: dict[str, str], text: str) -> None:
    got = checks.refusal(Query("u", parameters), fields)
    assert got.startswith(text) and bool(got) == bool(text)


def test_delayed_answers() -> None:
    assert checks.release_time("1000", 900, lambda most: most) == 1000
    assert checks.release_time("1000+20", 900, lambda most: most) == 1020
    assert checks.release_time("1000+0", 2000, lambda most: most) == 1000
    with pytest.raises(ValueError, match="too much in the future"):
        checks.release_time("1201", 900, lambda most: most)
    with pytest.raises(ValueError, match="too much in the future"):
        checks.release_time("1190+11", 900, lambda most: most)
    for broken in ("", "x", "1000+", "+5", "1000+x", "-5", "1e3", "9" * 40):
        with pytest.raises(ValueError, match="Invalid delay_until"):
            checks.release_time(broken, 900, lambda most: most)
