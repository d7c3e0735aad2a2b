"""Any octets in any pieces: every answer is a reply line, nothing raises, nothing is left open."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from kit.lmtp_memory import MemoryLmtp

WORDS = [
    b"LHLO c", b"EHLO c", b"MAIL FROM:<s@x>", b"MAIL FROM:<> SIZE=5 BODY=8BITMIME", b"MAIL FROM:<s@x> SIZE=99999999",
    b"RCPT TO:<u1@example.org>", b"RCPT TO:<u2+d@example.org>", b"RCPT TO:<no@x>", b'RCPT TO:<"\\"@x>', b"DATA",
    b"BDAT 3", b"BDAT 0 LAST", b"BDAT 7 LAST", b"RSET", b"NOOP", b"VRFY x", b"HELP", b"STARTTLS", b"FOO", b"", b"QUIT",
    b".", b"..", b"text", b"Message-ID: <a@b>",
]  # fmt: skip
PIECES = st.lists(
    st.one_of(
        st.sampled_from([word + b"\r\n" for word in WORDS]),
        st.sampled_from([b"\r\n.\r\n", b"\n.\n", b"\r", b"\n", b"\r\n", b".", b"\x00", b"\xff", b" ", b"x" * 5000]),
        st.binary(max_size=12),
    ),
    max_size=40,
)
REPLY = re.compile(rb"[2345]\d\d[ -][\x20-\x7e\x80-\xff]*")


@settings(max_examples=200, deadline=None)
@given(PIECES, st.lists(st.integers(1, 200), max_size=10), st.sampled_from(["end", "vanish", "drain"]))
def test_any_octets(pieces: list[bytes], cuts: list[int], ending: str) -> None:
    lmtp = MemoryLmtp(max_message_octets=3000, lmtp_max_errors=200)
    try:
        client = lmtp.client()
        stream = b"LHLO c\r\n" + b"".join(pieces)
        answer = b""
        at = 0
        for cut in [*cuts, len(stream)]:
            answer += client.send(stream[at : at + cut])
            at += cut
        if not client.closed and ending == "end":
            client.hang_up()
        elif not client.closed and ending == "vanish":
            client.vanish()
        elif not client.closed:
            for connection in list(lmtp.connections):
                lmtp.call(lambda c=connection: c.drain(politely=True))
        answer += client.take()
        lines = answer.split(b"\r\n")
        assert lines.pop() == b""
        assert all(REPLY.fullmatch(line) for line in lines)
        assert not any("Traceback" in text for _, text in lmtp.sink.rows)
        assert client.closed
        assert not lmtp.connections
        assert not lmtp.tasks
        assert lmtp.open_users == 0
        assert lmtp.shared.deliveries == {}
    finally:
        lmtp.close()
