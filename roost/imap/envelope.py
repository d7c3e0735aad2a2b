"""ENVELOPE (RFC 9051 §7.5.2): from header fields to wire-ready octets.

    envelope = "(" date SP subject SP from SP sender SP reply-to SP to SP cc SP bcc SP in-reply-to SP message-id ")"
    address  = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"

Sender and Reply-To that are missing or empty are From. A missing field is NIL, an empty text field is "". Text is
unfolded and otherwise as it came; 8-bit text goes as a literal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from roost.imap.replies import nstring
from roost.mime import addresses
from roost.mime.addresses import Budget
from roost.mime.header import unfold

_PLAIN = re.compile(rb"[ !#-\[\]-~]*")


def envelope(fields: Mapping[bytes, bytes], budget: Budget | None = None) -> bytes:
    """The ENVELOPE list of a header given as lower-case name → raw value (``Part.fields``). Never raises.

    ``budget`` bounds its addresses, and those of other envelopes given the same one.
    """
    if budget is None:
        budget = Budget()
    get = fields.get
    sender = address_list(get(b"from"), budget)
    return b"(%s %s %s %s %s %s %s %s %s %s)" % (
        _text(get(b"date")),
        _text(get(b"subject")),
        sender,
        _or_from(get(b"sender"), sender, budget),
        _or_from(get(b"reply-to"), sender, budget),
        address_list(get(b"to"), budget),
        address_list(get(b"cc"), budget),
        address_list(get(b"bcc"), budget),
        _text(get(b"in-reply-to")),
        _text(get(b"message-id")),
    )


def _or_from(raw_value: bytes | None, sender: bytes, budget: Budget) -> bytes:
    if raw_value is None:
        return sender
    found = address_list(raw_value, budget)
    return sender if found == b"NIL" else found


def address_list(raw_value: bytes | None, budget: Budget | None = None) -> bytes:
    """``((name adl mailbox host)…)`` or NIL when there is no address."""
    if not raw_value:
        return b"NIL"
    found = addresses.parse(raw_value, budget)
    return b"(%s)" % b"".join([_address(*each) for each in found]) if found else b"NIL"


def _address(name: bytes | None, route: bytes | None, mailbox: bytes | None, host: bytes | None) -> bytes:
    if route is None and mailbox and host and _PLAIN.fullmatch(name + mailbox + host if name else mailbox + host):
        return b'("%s" NIL "%s" "%s")' % (name, mailbox, host) if name else b'(NIL NIL "%s" "%s")' % (mailbox, host)
    return b"(%s %s %s %s)" % (nstring(name), nstring(route), nstring(mailbox), nstring(host))


def _text(raw_value: bytes | None) -> bytes:
    if raw_value is None:
        return b"NIL"
    value = unfold(raw_value)
    return b'"%s"' % value if _PLAIN.fullmatch(value) else nstring(value)
