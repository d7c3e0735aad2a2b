"""AUTHENTICATE with mechanisms that do not send the password, through the real master and rooms."""

from __future__ import annotations

import imaplib
from pathlib import Path

import pytest
from kit.instance import PASSWORD, Instance
from kit.sasl_client import ScramClient

CONF = "auth_mechanisms = plain scram-sha-256\nauth_failure_delay = 0\n"


def _authenticate(imap: imaplib.IMAP4, password: bytes) -> ScramClient:
    client = ScramClient("sha256", b"u1", password)
    seen: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        seen.append(challenge)
        if len(seen) == 1:
            return client.first()
        if len(seen) == 2:
            return client.final(challenge)
        assert client.accepts(challenge)
        return b""

    imap.authenticate("SCRAM-SHA-256", answer)
    assert len(seen) == 3
    return client


def test_scram_is_offered_and_works_without_tls(tmp_path: Path) -> None:
    with Instance(tmp_path, CONF) as roost:
        with imaplib.IMAP4("127.0.0.1", roost.imap_port, timeout=30) as imap:
            assert "AUTH=SCRAM-SHA-256" in imap.capabilities and "AUTH=LOGIN" not in imap.capabilities
            with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
                _authenticate(imap, b"no")
            _authenticate(imap, PASSWORD.encode())
            assert imap.select("INBOX")[0] == "OK"
        line = "user=<u1>, method=SCRAM-SHA-256"
        roost.wait_log(line)


def test_with_ssl_required_nothing_is_offered_before_tls(tmp_path: Path) -> None:
    with (
        Instance(tmp_path, CONF + "ssl = required\n") as roost,
        imaplib.IMAP4("127.0.0.1", roost.imap_port, timeout=30) as imap,
    ):
        assert not any(name.startswith("AUTH=") for name in imap.capabilities)
        imap.capabilities = (*imap.capabilities, "AUTH=SCRAM-SHA-256")
        with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
            _authenticate(imap, PASSWORD.encode())
