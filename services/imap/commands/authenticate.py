"""AUTHENTICATE: a SASL exchange, led by the auth service (RFC 9051 §6.2.2, SASL-IR: RFC 4959)."""

from __future__ import annotations

import asyncio
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from roost.clients.auth import Challenge
from roost.errors import Malformed, Refused
from roost.imap.args import Args
from roost.net.connection import ConnectionLost
from services.imap import login
from services.imap.command import Command, State, Sync
from services.imap.session import Session

INVALID_BASE64 = "Invalid base64 data in continued response."


def parse(args: Args) -> tuple[str, bytes | None]:
    """Mechanism and initial response; ``=`` is an empty one."""
    args.space()
    mechanism = args.keyword().decode("ascii")
    if args.at_end():
        return mechanism, None
    args.space()
    initial = args.astring()
    args.end()
    return mechanism, b"" if initial == b"=" else _decoded(initial)


def _decoded(text: bytes) -> bytes:
    try:
        return a2b_base64(text, strict_mode=True)
    except Base64Error:
        raise Malformed(INVALID_BASE64) from None


async def run(session: Session, start: tuple[str, bytes | None]) -> bytes:
    mechanism, initial = start
    shared = session.shared
    flags = shared.auth.mechanisms.get(mechanism)
    if flags is None or ("channel-binding" in flags and not session.conn.bindings):
        raise Refused("Unsupported authentication mechanism.", code="CANNOT")
    if "plaintext" in flags:
        if not session.plaintext_allowed:
            login.refuse_plaintext(session)
    else:
        login.check_tls(session)
    login.count_attempt(session)
    session.mechanism = mechanism
    exchange = shared.auth.begin(mechanism, session.conn, initial, session.client.binding_data)
    try:
        step = await exchange.next()
        while isinstance(step, Challenge):
            session.write(b"+ " + b2a_base64(step.data, newline=False) + b"\r\n")
            line = await session.client.line()
            if line == b"*":
                raise Malformed("Authentication aborted by client.")
            step = await exchange.next(_decoded(line))
    except (Malformed, ConnectionLost, asyncio.CancelledError):
        exchange.cancel()
        raise
    return await login.begin(session, step, mechanism)


AUTHENTICATE = Command(b"AUTHENTICATE", State.NOT_AUTHENTICATED, parse, run, b"Logged in", sync=Sync.NOTHING)
