"""ENVELOPE (RFC 9051 §7.5.2): from header fields to wire-ready octets.

    envelope = "(" date SP subject SP from SP sender SP reply-to SP to SP cc SP bcc SP in-reply-to SP message-id ")"
    address  = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"

Sender and Reply-To that are missing or empty are From. A missing field is NIL, an empty text field is "". Text is
unfolded and otherwise as it came; 8-bit text goes as a literal.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from roost.imap.replies import nstring
from roost.mime import addresses
from roost.mime.addresses import Budget
from roost.mime.header import unfold

_PLAIN: Final = bytes(octet for octet in range(0x20, 0x7F) if octet not in b'"\\')
_AROUND: Final = b" \t\r\n\x00"

# Values up to this are remembered, for people write to the same people; no bound of a budget can matter in one.
_REMEMBERED_OCTETS: Final = 160
_ENOUGH: Final = 1000


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
    if len(raw_value) > _REMEMBERED_OCTETS:
        return _written(raw_value, budget)
    if budget is None:
        return _remembered(raw_value)[0]
    if budget.addresses < _ENOUGH or budget.tokens < _ENOUGH:
        return _written(raw_value, budget)
    text, used_addresses, used_tokens = _remembered(raw_value)
    budget.addresses -= used_addresses
    budget.tokens -= used_tokens
    return text


@lru_cache(maxsize=512)
def _remembered(raw_value: bytes) -> tuple[bytes, int, int]:
    """``(list, addresses used of a budget, tokens used)``."""
    one = addresses.ONE.fullmatch(raw_value)
    if one is not None:
        name, local, domain, bare_local, bare_domain = one.groups()
        if not local:
            return b'((NIL NIL "%s" "%s"))' % (bare_local, bare_domain), 1, 0
        if not name:
            return b'((NIL NIL "%s" "%s"))' % (local, domain), 1, 0
        return b'(("%s" NIL "%s" "%s"))' % (name.rstrip(), local, domain), 1, 0
    budget = Budget()
    had = budget.addresses, budget.tokens
    text = _written(raw_value, budget)
    return text, had[0] - budget.addresses, had[1] - budget.tokens


def _written(raw_value: bytes, budget: Budget | None) -> bytes:
    found = addresses.parse(raw_value, budget)
    return b"(%s)" % b"".join([_address(*each) for each in found]) if found else b"NIL"


def _address(name: bytes | None, route: bytes | None, mailbox: bytes | None, host: bytes | None) -> bytes:
    if (
        route is None
        and mailbox
        and host
        and not (name + mailbox + host if name else mailbox + host).translate(None, _PLAIN)
    ):
        return b'("%s" NIL "%s" "%s")' % (name, mailbox, host) if name else b'(NIL NIL "%s" "%s")' % (mailbox, host)
    return b"(%s %s %s %s)" % (nstring(name), nstring(route), nstring(mailbox), nstring(host))


def _text(raw_value: bytes | None) -> bytes:
    if raw_value is None:
        return b"NIL"
    value = raw_value.strip(_AROUND)
    return nstring(unfold(value)) if value.translate(None, _PLAIN) else b'"%s"' % value  # nothing to unfold in that
