"""The auth protocol's question for channel binding data (RFC 5056): CONT lines for the client, not for its client.

S: CONT⇥1⇥#⇥channel_binding=tls-server-end-point
C: CONT⇥1⇥#⇥channel_binding=<base64>              (without the field: there is none)
"""

from __future__ import annotations

from collections.abc import Sequence

from roost.ipc.auth import encode_base64
from roost.ipc.lines import escape, unescape

BINDING_KINDS_PARAMETER = b"channel_bindings"  # ours: the kinds of channel binding the client can answer, with commas
BINDING_FIELD = b"channel_binding="  # of CONT: the kind asked for, and the data in base64
BINDING_ASKED = b"#"  # instead of base64: a question for the client itself, not for its own client


def ask_binding_line(request_id: int, kind: str) -> bytes:
    """``CONT`` that asks the client for the channel binding data of its connection."""
    return b"CONT\t%d\t%b\t%b%b\n" % (request_id, BINDING_ASKED, BINDING_FIELD, escape(kind.encode()))


def binding_line(request_id: int, data: bytes) -> bytes:
    """The answer to that. Without data there is no field."""
    shown = b"\t" + BINDING_FIELD + encode_base64(data) if data else b""
    return b"CONT\t%d\t%b%b\n" % (request_id, BINDING_ASKED, shown)


def binding_field(arguments: Sequence[bytes]) -> bytes | None:
    """The text of ``channel_binding=`` among the arguments after a CONT's base64; None when it is not there."""
    for argument in arguments:
        if argument.startswith(BINDING_FIELD):
            return unescape(argument[len(BINDING_FIELD) :])
    return None
