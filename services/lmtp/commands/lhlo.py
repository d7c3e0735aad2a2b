"""LHLO: who the client is, and what this server can (RFC 2033 §4.1, RFC 5321 §4.1.1.1)."""

from __future__ import annotations

from roost.smtp.address import parse_domain
from roost.smtp.replies import multiline
from services.lmtp.command import Answer, Command
from services.lmtp.session import ANY, Session, State

# SMTPUTF8: addresses and header fields in UTF-8 are stored as they come (RFC 6531).
EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING")


async def run(session: Session, argument: bytes) -> Answer:
    helo = parse_domain(argument.strip())
    shared = session.shared
    lines = [shared.hostname, *EXTENSIONS]
    limit = shared.max_message_octets
    lines.append("SIZE" if limit is None else f"SIZE {limit}")
    if not session.secured and shared.tls_context() is not None:
        lines.append("STARTTLS")
    await session.reset()
    session.helo = helo
    session.state = State.READY
    return Answer(multiline(250, lines))


LHLO = Command(b"LHLO", ANY, run)
