"""Small messages, and the way an MTA delivers them."""

from __future__ import annotations

import imaplib
import smtplib
import ssl

from kit.instance import Instance


def deliver(instance: Instance, recipient: str, messages: list[bytes]) -> None:
    """Deliver through the LMTP socket, as an MTA does."""
    with smtplib.LMTP(str(instance.lmtp_socket)) as lmtp:
        for message in messages:
            refused = lmtp.sendmail("sender@example.org", [recipient], message)
            assert not refused


def letter(number: int, body: str = "Hello.\r\n") -> bytes:
    return (
        f"From: Ada <ada@example.org>\r\nTo: u1@example.org\r\nSubject: letter {number}\r\n"
        f"Date: Sat, 21 Nov 2026 10:{number % 60:02d}:00 +0000\r\n"
        f"Message-ID: <letter-{number}@example.org>\r\n\r\n{body}"
    ).encode()


def tls(instance: Instance) -> ssl.SSLContext:
    """A client's context that trusts the instance's certificate."""
    return ssl.create_default_context(cafile=str(instance.ca_file))


def count(instance: Instance, user: str, mailbox: str) -> int:
    """How many messages a fresh session sees."""
    with imaplib.IMAP4_SSL("127.0.0.1", instance.imaps_port, ssl_context=tls(instance), timeout=30) as imap:
        imap.login(user, "pw")
        status, found = imap.select(mailbox, readonly=True)
        assert status == "OK", found
        return int(found[0] or b"0")
