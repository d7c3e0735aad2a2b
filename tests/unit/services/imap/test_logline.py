"""Login and logout lines by template."""

from __future__ import annotations

import pytest

from roost.errors import ConfigError
from roost.settings.schema.imap import LOGIN_ELEMENTS, LOGOUT_FORMAT
from services.imap.logline import LoginLine, compiled, variables
from services.imap.shared import LOGIN_NAMES, LOGOUT_NAMES

GIVEN: dict[str, object] = {
    "user": "u1",
    "mechanism": "PLAIN",
    "remote_ip": "192.0.2.1",
    "local_ip": "",
    "remote_port": 1234,
    "local_port": 143,
    "mail_pid": "42",
    "secured": "TLS",
    "session": "abc",
}
VALUES = tuple(GIVEN.get(name, "") for name in LOGIN_NAMES)


def test_the_default_form_is_dovecots() -> None:
    line = LoginLine("%{message}: %{elements}", LOGIN_ELEMENTS, LOGIN_NAMES)
    assert line.text("Login", VALUES) == ("Login: user=<u1>, method=PLAIN, rip=192.0.2.1, mpid=42, TLS, session=<abc>")


def test_which_elements_stand_there_follows_the_values() -> None:
    line = LoginLine("%{message}: %{elements}", LOGIN_ELEMENTS, LOGIN_NAMES)
    assert line.text("Login", VALUES).endswith("mpid=42, TLS, session=<abc>")
    nobody = tuple(
        "" if name in ("user", "mail_pid", "secured") else value
        for name, value in zip(LOGIN_NAMES, VALUES, strict=True)
    )
    assert line.text("No", nobody) == "No: method=PLAIN, rip=192.0.2.1, session=<abc>"
    assert line.text("Login", VALUES).startswith("Login: user=<u1>, ")


def test_elements_with_filters_and_spaces_are_one_element() -> None:
    line = LoginLine("%{message}(%{elements})", "u=%{user | upper} plain %{local_ip}", LOGIN_NAMES)
    assert line.text("x", VALUES) == "x(u=U1, plain)"


def test_a_line_with_filters_gets_the_joined_elements() -> None:
    line = LoginLine("%{message | upper} %{elements | upper}", "u=%{user} p=%{remote_port}", LOGIN_NAMES)
    assert line.text("x%", VALUES) == "X% U=U1, P=1234"


def test_a_line_may_name_an_element_or_nothing() -> None:
    assert LoginLine("%{message} 5%", "%{user}", LOGIN_NAMES).text("m", VALUES) == "m 5%"
    assert LoginLine("100%", "%{user}", LOGIN_NAMES).text("m", VALUES) == "100%"


def test_percent_signs_are_themselves() -> None:
    assert compiled("100% of %{user}", LOGIN_NAMES)(VALUES) == "100% of u1"
    assert variables("100% of %{user}") == {"user"}


def test_values_are_never_expanded_again() -> None:
    hostile = "%{session} %s"
    assert compiled("<%{user}>", ("user", "session"))((hostile, "abc")) == "<%{session} %s>"
    line = LoginLine("%{message}: %{elements}", "u=%{user}", ("user", "session"))
    assert line.text("%{session}%s", (hostile, "abc")) == "%{session}%s: u=%{session} %s"


def test_unknown_variables_are_said() -> None:
    with pytest.raises(ConfigError, match="nosuch"):
        compiled("%{nosuch}", LOGIN_NAMES)(VALUES)


def test_the_default_statistics() -> None:
    values = tuple(range(len(LOGOUT_NAMES)))
    assert compiled(LOGOUT_FORMAT, LOGOUT_NAMES)(values) == (
        "in=2 out=3 deleted=4 expunged=5 trashed=6 hdr_count=9 hdr_bytes=10 body_count=11 body_bytes=12"
    )
