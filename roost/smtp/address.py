r"""Paths and mailboxes of MAIL and RCPT (RFC 5321 §4.1.2, UTF-8 of RFC 6531 §3.3).

``parse_path(b"<@relay:\"a b\"@example.org> SIZE=9", 0)`` gives the address and where the path ended. Source
routes are read and dropped (RFC 5321 appendix C). Dots may stand anywhere in an unquoted local part, since
addresses like ``a..b.@example.jp`` exist. A name without a domain is taken: local users often have none.

An ``Address`` can be written back as it is: its ``text`` has passed the grammar and holds no control character.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from roost.errors import Malformed

_ATEXT = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\x80-\xff-]"
_LABEL = rb"[A-Za-z0-9_\x80-\xff-]+"
_DOMAIN = rb"(?:" + _LABEL + rb"(?:\." + _LABEL + rb")*\.?|\[[\x21-\x5a\x5e-\x7e]+\])"
_QUOTED = rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\x20-\x7e])*"'
_MAILBOX = rb"(" + _ATEXT + rb"+|" + _QUOTED + rb")(?:@(" + _DOMAIN + rb"))?"
_ROUTE = rb"(?:@" + _DOMAIN + rb"(?:,@" + _DOMAIN + rb")*:)?"

_PATH = re.compile(rb"<(?:" + _ROUTE + _MAILBOX + rb")?>")
_BARE = re.compile(_MAILBOX)
_DOMAIN_ONLY = re.compile(_DOMAIN)
_ESCAPE = re.compile(r"\\(.)")
_NEEDS_QUOTES = re.compile(r"[^A-Za-z0-9!#$%&'*+/=?^_`{|}~.\x80-\U0010ffff-]")


@dataclass(frozen=True, slots=True)
class Address:
    """``local`` is unquoted; ``domain`` may be empty; ``text`` is the wire form without brackets ("" = ``<>``)."""

    local: str
    domain: str
    text: str

    @property
    def is_null(self) -> bool:
        """The empty reverse-path of bounces."""
        return not self.text


NULL = Address("", "", "")


def parse_path(
    octets: bytes, at: int, *, space_before: bool = False, without_brackets: bool = False
) -> tuple[Address, int]:
    """The path that begins at ``at``, and the index after it; it must be followed by a space or the end.

    ``space_before`` and ``without_brackets`` allow what some clients send (lmtp_client_workarounds).
    Raises Malformed (BAD_ADDRESS).
    """
    if space_before:
        while at < len(octets) and octets[at] == 32:
            at += 1
    match = _PATH.match(octets, at)
    if match is None and without_brackets:
        match = _BARE.match(octets, at)
    if match is None or (match.end() < len(octets) and octets[match.end()] != 32):
        raise Malformed("Invalid address syntax", code="BAD_ADDRESS")
    local = match[1]
    if local is None:
        return NULL, match.end()
    return _address(local, match[2] or b""), match.end()


def parse_mailbox(octets: bytes) -> Address:
    """``a@b`` without brackets and nothing else, as in ORCPT. Raises Malformed (BAD_ADDRESS)."""
    match = _BARE.fullmatch(octets)
    if match is None:
        raise Malformed("Invalid address syntax", code="BAD_ADDRESS")
    return _address(match[1], match[2] or b"")


def parse_domain(octets: bytes) -> str:
    """The argument of LHLO: a domain or an address literal. Raises Malformed (BAD_SYNTAX)."""
    if _DOMAIN_ONLY.fullmatch(octets) is None:
        raise Malformed("Invalid host name", code="BAD_SYNTAX")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("Invalid host name", code="BAD_SYNTAX") from None


def _address(local: bytes, domain: bytes) -> Address:
    try:
        local_text = local.decode("utf-8")
        domain_text = domain.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("Address is not valid UTF-8", code="BAD_ADDRESS") from None
    text = f"{local_text}@{domain_text}" if domain_text else local_text
    if local_text[0] == '"':
        local_text = _ESCAPE.sub(r"\1", local_text[1:-1])
    if not (local_text.isascii() and domain_text.isascii()) and not (text.isprintable()):
        raise Malformed("Address with control characters", code="BAD_ADDRESS")  # C1 controls, bidi marks …
    return Address(local_text, domain_text, text)


def format_mailbox(local: str, domain: str) -> str:
    """The wire form of a local part and a domain: quotes and backslashes where needed."""
    if not local or _NEEDS_QUOTES.search(local):
        escaped = local.replace("\\", "\\\\").replace('"', '\\"')
        local = f'"{escaped}"'
    return f"{local}@{domain}" if domain else local


def split_detail(local: str, delimiters: str) -> tuple[str, str]:
    """``user+detail`` at the first of ``delimiters`` → ("user", "detail"); no detail is "".

    A delimiter at the very beginning separates nothing: ``+x`` is a user of that name.
    """
    cuts = [cut for cut in (local.find(c, 1) for c in delimiters) if cut > 0]
    if not cuts:
        return local, ""
    cut = min(cuts)
    return local[:cut], local[cut + 1 :]
