"""passdb imap through the real master and rooms: passwords that a second Roost verifies, over STARTTLS and TLS."""

from __future__ import annotations

import imaplib
from pathlib import Path

import pytest
from kit.instance import Instance

CONF = """
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_verbose = yes
passdb imap {{
  imapc_host = localhost
  imapc_port = {port}
  imapc_ssl = {ssl}
  imapc_timeout = 10 secs
  ssl_client_ca_file = {ca}
}}
"""
QUICK = "auth_failure_delay = 0\n"
PASSWORDS = {"u1": "{PLAIN}pw", "bob@example.org": '{PLAIN}"p\\w {3}', "käse": "{PLAIN}größe", "u2": "{PLAIN}far"}


def login(port: int, user: str, password: str) -> str:
    """ "" when it is let in, or what the server says."""
    with imaplib.IMAP4("127.0.0.1", port, timeout=30) as imap:
        imap.starttls()
        try:
            imap.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
        except imaplib.IMAP4.error as error:
            return str(error)
        return ""


@pytest.mark.parametrize("how", ["starttls", "imaps"])
def test_a_second_roost_verifies(tmp_path: Path, how: str) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    anybody = QUICK + "auth_username_chars =\n"
    with Instance(tmp_path / "far", anybody, PASSWORDS) as far:
        port = far.imap_port if how == "starttls" else far.imaps_port
        conf = CONF.format(port=port, ssl=how, ca=far.ca_file) + "auth_username_chars =\n"
        with Instance(tmp_path / "near", conf, {"u9": "{PLAIN}pw"}) as near:
            assert login(near.imap_port, "u9", "pw") == ""  # the file comes first
            assert login(near.imap_port, "u1", "pw") == ""
            assert login(near.imap_port, "bob@example.org", '"p\\w {3}') == ""
            assert login(near.imap_port, "käse", "größe") == ""
            for user, password in (("u1", "pw2"), ("u2", "pw"), ("u3", "pw"), ("u1\r\nA LOGIN u2", "far")):
                assert "AUTHENTICATIONFAILED" in login(near.imap_port, user, password)
            far.wait_log("user=<u1>, method=PLAIN")
            near.wait_log("imap: Password mismatch (A")
            for secret in ("größe", "{3}"):
                assert secret not in near.log_text()
            far.stop()
            assert "UNAVAILABLE" in login(near.imap_port, "u1", "pw")
            assert login(near.imap_port, "u9", "pw") == ""
            near.wait_log(f"imap: localhost:{port}: ")


def test_nobody_there_is_a_temporary_failure(tmp_path: Path) -> None:
    with Instance(tmp_path, CONF.format(port=1, ssl="no", ca="")) as roost:
        assert "UNAVAILABLE" in login(roost.imap_port, "stranger", "pw")
        assert login(roost.imap_port, "u1", "pw") == ""
        roost.wait_log("imap: localhost:1: ")
