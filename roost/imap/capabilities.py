"""What the server says it can do (RFC 9051 §7.2.2): one row for each capability, when it is shown and what it needs.

A row is shown before login, after it, or both, as long as every word in ``needs`` is among the session's features. The
rows' order is the order on the wire. AUTH= and APPENDLIMIT carry values and are added by ``show``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Capability:
    """``needs``.

    Features of the session (``tls_possible``, ``plaintext_forbidden``) or of the store (``condstore`` …).
    """

    name: bytes
    source: str
    before_login: bool = False
    after_login: bool = True
    needs: tuple[str, ...] = ()


CAPABILITIES: Final = (
    Capability(b"IMAP4rev1", "RFC 3501", before_login=True),
    Capability(b"SASL-IR", "RFC 4959", before_login=True),
    Capability(b"ID", "RFC 2971", before_login=True),
    Capability(b"ENABLE", "RFC 5161", before_login=True),
    Capability(b"IDLE", "RFC 2177", before_login=True),
    Capability(b"LITERAL+", "RFC 7888", before_login=True),
    Capability(b"STARTTLS", "RFC 3501 §6.2.1", before_login=True, after_login=False, needs=("tls_possible",)),
    Capability(b"LOGINDISABLED", "RFC 3501", before_login=True, after_login=False, needs=("plaintext_forbidden",)),
    Capability(b"NAMESPACE", "RFC 2342"),
    Capability(b"CHILDREN", "RFC 3348"),
    Capability(b"UNSELECT", "RFC 3691"),
    Capability(b"UIDPLUS", "RFC 4315"),
    Capability(b"MULTIAPPEND", "RFC 3502"),
    Capability(b"LIST-EXTENDED", "RFC 5258"),
    Capability(b"LIST-STATUS", "RFC 5819"),
    Capability(b"SPECIAL-USE", "RFC 6154", needs=("special_use",)),
    Capability(b"MOVE", "RFC 6851", needs=("move",)),
    Capability(b"CONDSTORE", "RFC 7162", needs=("condstore",)),
)


def show(
    *,
    logged_in: bool,
    features: Collection[str],
    mechanisms: Sequence[str] = (),
    append_limit: int | None = None,
) -> list[bytes]:
    """The capabilities to announce now. ``mechanisms`` are SASL names, shown before login.

    ``append_limit`` octets or None.
    """
    names = [
        row.name
        for row in CAPABILITIES
        if (row.after_login if logged_in else row.before_login) and all(need in features for need in row.needs)
    ]
    if logged_in:
        names.append(b"APPENDLIMIT" if append_limit is None else b"APPENDLIMIT=%d" % append_limit)
    else:
        names.extend([b"AUTH=%s" % name.encode("ascii") for name in mechanisms])
    return names
