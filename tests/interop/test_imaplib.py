"""Python's imaplib over TLS and STARTTLS: login, append, search, fetch, move, expunge, mail that arrives."""

from __future__ import annotations

import imaplib
import ssl
from pathlib import Path

import pytest
from kit.instance import Instance
from kit.mail import deliver, letter

pytestmark = pytest.mark.interop


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_a_session_over_implicit_tls(instance: Instance) -> None:
    with imaplib.IMAP4_SSL("127.0.0.1", instance.imaps_port, ssl_context=_tls(), timeout=30) as imap:
        assert imap.login("u1", "pw")[0] == "OK"
        assert imap.create("Work/2026")[0] == "OK"
        assert imap.append("Work/2026", r"(\Flagged)", None, letter(1))[0] == "OK"
        assert imap.select("Work/2026") == ("OK", [b"1"])
        status, found = imap.search(None, "SUBJECT", '"letter 1"')
        assert (status, found) == ("OK", [b"1"])
        status, data = imap.fetch("1", "(UID FLAGS BODY[])")
        assert status == "OK"
        assert data[0][1] == letter(1)
        assert b"\\Flagged" in data[0][0] + data[1]
        assert imap.uid("MOVE", "1", "INBOX")[0] == "OK"
        assert imap.select("INBOX") == ("OK", [b"1"])
        assert imap.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
        assert imap.expunge() == ("OK", [b"1"])


def test_starttls_is_needed_before_login(tmp_path: Path) -> None:
    # On loopback both ends are this machine, so a password in plain is allowed unless TLS is required.
    with (
        Instance(tmp_path, "ssl = required") as instance,
        imaplib.IMAP4("127.0.0.1", instance.imap_port, timeout=30) as imap,
    ):
        assert "LOGINDISABLED" in imap.capabilities
        with pytest.raises(imaplib.IMAP4.error):
            imap.login("u1", "pw")
        assert imap.starttls(_tls())[0] == "OK"
        assert "LOGINDISABLED" not in imap.capabilities
        assert imap.login("u1", "pw")[0] == "OK"


def test_delivered_mail_is_there_at_once(instance: Instance) -> None:
    with imaplib.IMAP4_SSL("127.0.0.1", instance.imaps_port, ssl_context=_tls(), timeout=30) as imap:
        imap.login("u2", "pw")
        assert imap.select("INBOX") == ("OK", [b"0"])
        deliver(instance, "u2", [letter(n) for n in range(3)])
        imap.noop()
        assert imap.response("EXISTS")[1][-1] == b"3"
        _, data = imap.fetch("1", "(BODY.PEEK[HEADER.FIELDS (RETURN-PATH DELIVERED-TO SUBJECT)])")
        assert b"Return-Path: <sender@example.org>" in data[0][1]
        assert b"Delivered-To: u2" in data[0][1]


def test_special_use_mailboxes_wait_for_a_new_user(instance: Instance) -> None:
    with imaplib.IMAP4_SSL("127.0.0.1", instance.imaps_port, ssl_context=_tls(), timeout=30) as imap:
        imap.login("u3", "pw")
        rows = b"\n".join(imap.list()[1])
        for attribute, name in ((b"\\Drafts", b"Drafts"), (b"\\Sent", b"Sent"), (b"\\Trash", b"Trash")):
            assert any(attribute in row and name in row for row in rows.split(b"\n"))
