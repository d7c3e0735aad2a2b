"""Login and logout lines by template."""

from __future__ import annotations

import pytest

from roost.errors import ConfigError
from roost.settings.schema.imap import LOGIN_ELEMENTS
from services.imap.logline import LoginLine, compiled

VALUES = {
    "user": "u1",
    "mechanism": "PLAIN",
    "remote_ip": "192.0.2.1",
    "local_ip": "",
    "mail_pid": "42",
    "secured": "TLS",
    "session": "abc",
}


def test_the_default_form_is_dovecots() -> None:
    line = LoginLine("%{message}: %{elements}", LOGIN_ELEMENTS)
    assert line.text("Login", VALUES) == ("Login: user=<u1>, method=PLAIN, rip=192.0.2.1, mpid=42, TLS, session=<abc>")


def test_elements_with_filters_and_spaces_are_one_element() -> None:
    line = LoginLine("%{message}(%{elements})", "u=%{user | upper} plain %{local_ip}")
    assert line.text("x", VALUES) == "x(u=U1, plain)"


def test_percent_signs_are_themselves() -> None:
    fill, names = compiled("100% of %{user}")
    assert fill(VALUES) == "100% of u1" and names == ("user",)


def test_values_are_never_expanded_again() -> None:
    fill, _ = compiled("<%{user}>")
    assert fill({"user": "%{session} %s"}) == "<%{session} %s>"


def test_unknown_variables_are_said() -> None:
    fill, _ = compiled("%{nosuch}")
    with pytest.raises(ConfigError, match="nosuch"):
        fill(VALUES)
