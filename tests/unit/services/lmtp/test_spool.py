"""What the log shows of a message's header."""

from __future__ import annotations

import pytest

from services.lmtp.spool import Spool


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (b"From: a@b\r\nMessage-ID: <1@x>\r\n\r\nbody\r\nMessage-ID: <2@x>\r\n", "<1@x>"),
        (b"Message-ID: <1@x>\r\n\r\n", "<1@x>"),
        (b"message-id : <1@x> \r\nTo: a\r\n\r\n", "<1@x>"),
        (b"To: a\r\nMESSAGE-ID:\r\n <1@x>\r\n\r\n", "<1@x>"),
        (b"To: a\r\nMessage-ID:\r\n <1@x>\r\n\r\n", "<1@x>"),
        (b"Message-Id: <1@x>\r\nMessage-ID: <2@x>\r\n\r\n", "<2@x>"),
        (b"X-Message-ID: <1@x>\r\n\r\nMessage-ID: <2@x>\r\n", "unspecified"),
        (b"\r\nMessage-ID: <2@x>\r\n", "unspecified"),
        (b"Message-ID: <no end>", "<no end>"),
        (b"", "unspecified"),
    ],
)
def test_message_id(message: bytes, shown: str) -> None:
    whole, octets = Spool(None), Spool(None)
    whole.write(message)
    for at in range(len(message)):
        octets.write(message[at : at + 1])
    assert whole.message_id() == octets.message_id() == shown
