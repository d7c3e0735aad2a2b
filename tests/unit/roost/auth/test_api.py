"""Query: the variables a driver's paths and fields may use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from roost.auth.api import VARIABLES, Entry, Outcome, Query, store_of, token_verifier_of, variables_of, verifier_of
from roost.settings.variables import expand

PARAMETERS = {
    "service": "imap",
    "session": "s1",
    "lip": "192.0.2.2",
    "rip": "192.0.2.1",
    "lport": "993",
    "rport": "4321",
    "real_rip": "198.51.100.1",
    "secured": "tls",
    "local_name": "mail.example.org",
}


def test_every_variable_has_a_value_even_without_a_client() -> None:
    variables = Query("u").variables()
    assert set(variables) == set(VARIABLES)
    assert all(isinstance(value, str) for value in variables.values())
    assert variables["user"] == variables["original_user"] == "u" and variables["domain"] == ""


def test_values_come_from_the_request() -> None:
    variables = Query("bob@x.org", PARAMETERS, "plain", "Bob@X.org").variables()
    assert variables["username"] == "bob" and variables["domain"] == "x.org"
    assert variables["original_username"] == "Bob" and variables["original_domain"] == "X.org"
    assert variables["protocol"] == variables["service"] == "imap" and variables["mechanism"] == "PLAIN"
    assert variables["remote_ip"] == "192.0.2.1" and variables["remote_port"] == "4321"
    assert variables["real_remote_ip"] == "198.51.100.1" and variables["real_local_ip"] == "192.0.2.2"
    assert variables["secured"] == "tls" and variables["local_name"] == "mail.example.org"
    assert Query("u", {"secured": ""}).variables()["secured"] == "secured"


def test_only_what_is_asked_for_is_made() -> None:
    assert Query("u@d").variables(["domain", "nosuch", "userdb:x"]) == {"domain": "d"}


def test_a_value_is_never_expanded_again() -> None:
    query = Query("%{session}", PARAMETERS)
    assert expand("%{user}-%{session}", query.variables()) == "%{session}-s1"


def test_the_service_may_be_called_protocol() -> None:
    assert Query("u", {"protocol": "lmtp"}).service == "lmtp"
    assert Query("u", {"protocol": "lmtp", "service": "imap"}).service == "imap"
    assert Query("u").service == ""


def test_an_entry_hides_what_it_holds() -> None:
    assert repr(Entry("{PLAIN}x", {"pass": "y"})) == "Entry(outcome=<Outcome.OK: 'ok'>, reason='', unverified=False)"


def test_master_users_have_their_variables() -> None:
    before = Query("master@x", login_user="bob@y").variables()
    assert before["auth_user"] == "master@x" and before["login_user"] == "bob@y" and before["master_user"] == ""
    after = Query("bob@y", master_user="master@x").variables()
    assert after["user"] == "bob@y" and after["auth_username"] == "master" and after["auth_domain"] == "x"
    assert after["master_user"] == "master@x" and after["login_user"] == ""


def test_an_entry_is_ok_unless_it_says_otherwise() -> None:
    assert Entry().outcome is Outcome.OK and Entry(None, {}, Outcome.DISABLED, "holiday").reason == "holiday"


class Plain:
    async def find(self, query: Query) -> Entry | None:
        return None

    def decoy(self) -> str:
        return ""


class Able(Plain):
    verifies = True

    async def verify_token(self, query: Query, token: object) -> Entry | None:
        return None

    async def store(self, query: Query, password_text: str) -> None: ...


def test_what_a_driver_can_do_is_found_also_when_it_does_not_say() -> None:
    plain, able = Plain(), Able()
    asks: tuple[Callable[[Any], object], ...] = (verifier_of, token_verifier_of, store_of)
    assert [ask(plain) for ask in asks] == [None] * 3 and [ask(able) for ask in asks] == [able] * 3
    undeclared: Any = plain
    assert variables_of(undeclared) is None
    able.verifies = False
    assert [ask(able) for ask in asks] == [None, able, able]
