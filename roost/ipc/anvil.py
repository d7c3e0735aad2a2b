"""The anvil socket's messages (``docs/protocols/anvil.md``): who is connected, how often, and the order to leave.

After the greeting a client sends one line: empty (an administrator's tool) or ``service pid`` (a worker, whose sessions
live as long as this connection). Requests are answered in order:

=============================================== =================================================================
``CONNECT guid pid user service ip kick dest``  two numbers: sessions of user+service+ip now, this one included, and
                                                a bound: other workers have no more of them; ``-`` and a reason when
                                                the table is full. Nothing with ``quiet`` as last field (workers only)
``DISCONNECT guid pid user service ip``         nothing (workers only)
``KICKED request count``                        nothing: a worker's answer to ``KICK request user guid``
``LOOKUP user service ip``                      number of sessions
``CONNECT-DUMP``                                a line of alternative user fields (empty), one line a session:
                                                pid user service ip guid dest; an empty line
``KICK-USER user [guid]``                       ``+`` and the number of sessions that were ended
``PENALTY-DUMP``                                a line an address: address level risen updated; an empty line
=============================================== =================================================================

Unasked, a worker gets ``KICK``, and ``BOUND user service ip number`` when the bound of an earlier CONNECT is exceeded
(``-``: it is not told any more). While its own sessions and the bound are below the limit together, a worker need not
ask: it announces its sessions quietly.

The socket ``anvil-auth-penalty`` has the same greeting; there an auth process has, besides PENALTY-DUMP:

=============================================== =================================================================
``PENALTY-GET address``                         ``level risen``, a space between them; ``0 0`` when there is none
``PENALTY-INC address checksum level``          nothing; ignored when this checksum (not 0) was seen before
``PENALTY-SET address level``                   nothing
``PENALTY-SET-EXPIRE-SECS secs``                nothing
=============================================== =================================================================

Auth processes learn of each other's changes: ``PENALTY address level risen updated checksum``.
"""

from __future__ import annotations

from dataclasses import dataclass

from roost.errors import Malformed
from roost.ipc.handshake import is_number
from roost.ipc.lines import decode_text, encode

CLIENT, SERVER, MAJOR, MINOR = "anvil-client", "anvil-server", 2, 0
KICK_BY_LINE = "A"  # sessions are ended by a line on the worker's own connection

Key = tuple[str, str, str]
"""User, service (before its first ``-``), address."""

WORKER_COMMANDS = frozenset({"CONNECT", "DISCONNECT", "KICKED"})
_ARGUMENTS = {
    "CONNECT": (5, 99),
    "DISCONNECT": (5, 5),
    "KICKED": (2, 2),
    "LOOKUP": (3, 3),
    "CONNECT-DUMP": (0, 0),
    "KICK-USER": (1, 2),
    "PENALTY-DUMP": (0, 0),
    "PENALTY-GET": (1, 1),
    "PENALTY-INC": (3, 3),
    "PENALTY-SET": (2, 2),
    "PENALTY-SET-EXPIRE-SECS": (1, 1),
}
PENALTY_DUMP = "PENALTY-DUMP"
PENALTY_COMMANDS = frozenset({"PENALTY-GET", "PENALTY-INC", "PENALTY-SET", "PENALTY-SET-EXPIRE-SECS"})
PENALTY_NEWS = "PENALTY"
PENALTY_SOCKET = "penalty"  # the type of the listener


@dataclass(frozen=True, slots=True)
class PenaltyRow:
    """One row of ``PENALTY-DUMP``. Times are Unix seconds."""

    address: str
    level: int
    risen: int
    updated: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One row of ``CONNECT-DUMP``."""

    pid: int
    user: str
    service: str
    remote_ip: str
    session_id: str


def connect_line(session_id: str, pid: int, user: str, service: str, remote_ip: str, *, quiet: bool = False) -> bytes:
    line = encode("CONNECT", session_id, str(pid), user, service, remote_ip, KICK_BY_LINE, "")
    return line[:-1] + b"\tquiet\n" if quiet else line


def disconnect_line(session_id: str, pid: int, user: str, service: str, remote_ip: str) -> bytes:
    return encode("DISCONNECT", session_id, str(pid), user, service, remote_ip)


def kick_line(request: int, user: str, session_id: str) -> bytes:
    """Service to worker: end this session of this user (empty id: all of them) and answer ``KICKED``."""
    return encode("KICK", str(request), user, session_id)


def bound_line(key: Key, bound: int | None) -> bytes:
    """Service to worker: the others have no more sessions of ``key`` than this; None: not told any more."""
    return encode("BOUND", *key, "-" if bound is None else str(bound))


def kicked_line(request: int, count: int) -> bytes:
    return encode("KICKED", str(request), str(count))


def row_line(row: SessionRow) -> bytes:
    return encode(str(row.pid), row.user, row.service, row.remote_ip, row.session_id, "")


def parse_row(line: bytes) -> SessionRow:
    """One row of the dump, without LF. Raises Malformed."""
    fields = decode_text(line)
    if len(fields) < 5 or not is_number(fields[0]):
        raise Malformed("Invalid reply.", detail=f"got {line[:80]!r}")
    return SessionRow(int(fields[0]), fields[1], fields[2], fields[3], fields[4])


def penalty_line(row: PenaltyRow) -> bytes:
    return encode(row.address, str(row.level), str(row.risen), str(row.updated))


def penalty_news_line(row: PenaltyRow, checksum: int) -> bytes:
    """Service to auth process: another one has changed this."""
    return encode(PENALTY_NEWS, row.address, str(row.level), str(row.risen), str(row.updated), str(checksum))


def parse_penalty(fields: list[str]) -> PenaltyRow:
    """Of a row's fields. Raises Malformed."""
    if len(fields) != 4 or not all(is_number(one) for one in fields[1:]):
        raise Malformed("Invalid reply.", detail=f"got {len(fields)} fields where a penalty was expected")
    return PenaltyRow(fields[0], int(fields[1]), int(fields[2]), int(fields[3]))


def parse_command(line: bytes) -> tuple[str, list[str]]:
    """(command, arguments) of one request. Raises Malformed with Dovecot's text for an unknown command."""
    word, *arguments = decode_text(line)
    bounds = _ARGUMENTS.get(word)
    if bounds is None:
        raise Malformed(f"Unknown command: {word[:80]}")
    if not bounds[0] <= len(arguments) <= bounds[1]:
        raise Malformed(f"{word}: Wrong number of parameters")
    if word in ("CONNECT", "DISCONNECT") and not is_number(arguments[1]):
        raise Malformed(f"{word}: Invalid pid")
    if word in PENALTY_COMMANDS and not all(is_number(one) for one in arguments[word != "PENALTY-SET-EXPIRE-SECS" :]):
        raise Malformed(f"{word}: Invalid number")
    if word == "KICKED" and not (is_number(arguments[0]) and is_number(arguments[1])):
        raise Malformed(f"{word}: Invalid number")
    return word, arguments


def parse_hello(line: bytes) -> tuple[str, int] | None:
    """The line after the greeting: (service, pid) of a worker, None for a tool. Raises Malformed."""
    if not line:
        return None
    fields = decode_text(line)
    if len(fields) != 2 or not is_number(fields[1]) or not fields[0]:
        raise Malformed("Invalid handshake.", detail=f"got {line[:80]!r}")
    return fields[0], int(fields[1])


def key_of(user: str, service: str, remote_ip: str) -> Key:
    """What sessions are counted by."""
    return user, base_service(service), remote_ip


def base_service(service: str) -> str:
    """``imap`` for ``imap-login``: sessions are counted by the name before the first ``-``."""
    return service.partition("-")[0]
