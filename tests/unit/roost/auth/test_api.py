"""Query: the variables a driver's paths and fields may use."""

from __future__ import annotations

from roost.auth.api import VARIABLES, Entry, Query
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
    assert repr(Entry("{PLAIN}x", {"pass": "y"})) == "Entry()"
