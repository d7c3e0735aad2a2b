"""Small messages, and the way an MTA delivers them."""

from __future__ import annotations

import smtplib

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
