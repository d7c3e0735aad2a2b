"""The fields that final delivery prepends: Return-Path, Delivered-To, Received (RFC 5321 §4.4, RFC 3848).

Everything given here must have passed the grammar (``roost.smtp.address``): no control characters, so no field can
be injected.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def date_time(utc_secs: int) -> str:
    """``Tue, 01 Jul 2025 10:00:00 +0000`` (RFC 5322 §3.3), whatever the locale."""
    t = datetime.fromtimestamp(utc_secs, UTC)
    return (
        f"{_DAYS[t.weekday()]}, {t.day:02d} {_MONTHS[t.month - 1]} {t.year} "
        f"{t.hour:02d}:{t.minute:02d}:{t.second:02d} +0000"
    )


@dataclass(frozen=True, slots=True)
class Trace:
    """What the fields of one delivery say. ``recipient`` is what Delivered-To shows ("" = no such field, no ``for``);
    ``name_recipient``: whether Received may name it (only when it is the only one: others must not learn of it)."""

    sender: str
    recipient: str
    helo: str
    remote_ip: str  # "" on a UNIX socket
    hostname: str
    protocol: str  # LMTP or LMTPS
    id: str
    date: str
    received: bool = True
    name_recipient: bool = True


def fields(trace: Trace) -> bytes:
    """The three fields, each ending in CRLF."""
    text = f"Return-Path: <{trace.sender}>\r\n"
    if trace.recipient:
        text += f"Delivered-To: {trace.recipient}\r\n"
    if trace.received:
        peer = f" ({_literal(trace.remote_ip)})" if trace.remote_ip else ""
        whom = f"\r\n\tfor <{trace.recipient}>" if trace.recipient and trace.name_recipient else ""
        text += (
            f"Received: from {trace.helo}{peer}\r\n"
            f"\tby {trace.hostname} with {trace.protocol}\r\n"
            f"\tid {trace.id}\r\n"
            f"\t(envelope-from <{trace.sender}>){whom}; {trace.date}\r\n"
        )
    return text.encode()


def _literal(ip: str) -> str:
    return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"
