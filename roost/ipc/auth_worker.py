"""The auth-worker socket's messages (``docs/protocols/auth-worker.md``): lookups done in another process.

The auth room connects, the worker serves; TAB-separated lines as everywhere (``roost.ipc.lines``). Both greet at once:
``VERSION⇥auth-master⇥1⇥0`` and ``VERSION⇥auth-worker⇥1⇥0``. The worker adds ``PROCESS-LIMIT⇥n``, the auth room
``DBHASH⇥<of the passdbs>⇥<of the userdbs>``, and the worker answers that with ``SUCCESS`` when its own configuration
is the same, else with ``RESTART`` and the end of the connection.

Requests, each after ``id⇥``:

================================================= ================================================================
``PASSV⇥database⇥password⇥args``                  is this the user's password?
``PASSW⇥database⇥password⇥{SCHEME}data⇥args``     does this password match this stored one?
``PASSL⇥database⇥scheme⇥args``                    what is stored about the user? (``scheme``: the one wanted, or empty)
``TOKEN⇥database⇥token⇥args``                     is this the user's token?
``USER⇥database⇥args``                            where does the user live?
``LIST⇥database⇥args``                            all users
``CANCEL``                                        nobody waits for the answer of this request any more
================================================= ================================================================

Replies, each after ``id⇥``: ``OK``, ``NEXT``, ``COMPARE`` and ``FAIL``, all followed by
``result⇥user⇥password⇥reason⇥fields…``; ``NOTFOUND``; and ``*⇥name`` for each user of a list. ``COMPARE`` answers PASSV
where the database knows no more than what is stored: the auth room compares. ``reason`` is for the log.

Without an id the worker says ``RESTART`` (send no more, I leave when this is answered), ``ERROR`` and ``SUCCESS``
(databases fail, work again) and ``INFO⇥database⇥key=value…`` (what a driver is, once it is loaded).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from roost.errors import Malformed
from roost.ipc.handshake import is_number
from roost.ipc.lines import decode, encode, escape, to_octets, to_text

MASTER, WORKER, MAJOR, MINOR = "auth-master", "auth-worker", 1, 0
MAX_LINE_OCTETS = 1 << 20  # both peers are ours; a driver may have much to say
MAX_ID = 2**32 - 1

PASSV, PASSW, PASSL, TOKEN, USER, LIST, CANCEL = "PASSV", "PASSW", "PASSL", "TOKEN", "USER", "LIST", "CANCEL"
OK, NEXT, COMPARE, FAIL, NOTFOUND, NAME = "OK", "NEXT", "COMPARE", "FAIL", "NOTFOUND", "*"
RESTART, ERROR, SUCCESS, INFO = "RESTART", "ERROR", "SUCCESS", "INFO"

RESULT_OK, RESULT_MISMATCH, RESULT_INTERNAL, RESULT_SCHEME = 1, 0, -1, -2
RESULT_UNKNOWN, RESULT_DISABLED, RESULT_EXPIRED, RESULT_NEXT = -3, -4, -5, -6

# Word → how many fields stand between the database and the arguments.
_SECRETS = {PASSV: 1, PASSW: 2, PASSL: 1, TOKEN: 1, USER: 0, LIST: 0}
_REPLIES = frozenset({OK, NEXT, COMPARE, FAIL})


@dataclass(frozen=True, slots=True)
class Request:
    """One request as a worker got it. ``secret``: the password or token; ``stored``: what it is compared with."""

    id: int
    command: str
    database: str = ""
    secret: bytes = field(default=b"", repr=False)
    stored: str = field(default="", repr=False)
    arguments: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. ``word``: OK, NEXT, COMPARE, FAIL or NOTFOUND."""

    id: int
    word: str
    result: int = RESULT_INTERNAL
    user: str = ""
    password: str = field(default="", repr=False)
    reason: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


# --- the auth room's side


def hash_line(passdbs: str, userdbs: str) -> bytes:
    return encode("DBHASH", passdbs, userdbs)


def request_tail(
    command: str, database: str, arguments: Mapping[str, str], *, secret: bytes | None = None, stored: str | None = None
) -> bytes:
    """A request without its id, so that it can be sent again under another one (``request_line``).

    ``secret`` is the password, the token, or the wanted scheme; each command has the fields the table says.
    """
    fields = [command, database]
    if secret is not None:
        fields.append(to_text(secret))  # loses nothing; ``encode`` is quick where all fields are text
    if stored is not None:
        fields.append(stored)
    return encode(*fields, *[f"{key}={value}" for key, value in arguments.items()])


def request_line(request_id: int, tail: bytes) -> bytes:
    return b"%d\t%b" % (request_id, tail)


def cancel_line(request_id: int) -> bytes:
    return b"%d\tCANCEL\n" % request_id


def split_reply(line: bytes) -> tuple[int, bytes]:
    """(id, rest) of a line of the worker; the id is 0 for a line about the worker itself. Raises Malformed."""
    first, _, rest = line.partition(b"\t")
    if not first[:1].isdigit():
        return 0, line
    return _id(to_text(first)), rest


def is_name(rest: bytes) -> bool:
    """Whether the rest of a reply line is one user of a list."""
    return rest.startswith(b"*\t")


def parse_name(rest: bytes) -> str:
    return to_text(decode(rest[2:])[0])


def parse_reply(request_id: int, rest: bytes) -> Reply:
    """A reply that ends its request. Raises Malformed."""
    word, *fields = _texts(decode(rest))
    if word == NOTFOUND:
        return Reply(request_id, word, RESULT_UNKNOWN)
    if word not in _REPLIES:
        raise Malformed("Invalid reply.", detail=f"unknown reply {word[:20]!r}")
    if len(fields) < 4 or not is_number(fields[0].removeprefix("-")):
        raise Malformed("Invalid reply.", detail=f"{word} misses fields")
    result, user, password, reason = fields[:4]
    return Reply(request_id, word, int(result), user, password, reason, _pairs(fields[4:]))


def parse_state(line: bytes) -> tuple[str, list[str]]:
    """(word, arguments) of a line without an id."""
    word, *arguments = [to_text(one) for one in decode(line)]
    return word, arguments


def parse_info(arguments: list[str]) -> tuple[str, dict[str, str]]:
    """(database, traits) of INFO. Raises Malformed."""
    if not arguments:
        raise Malformed("Invalid INFO.", detail="INFO without a database")
    return arguments[0], _pairs(arguments[1:])


# --- the worker's side


def limit_line(processes: int) -> bytes:
    return b"PROCESS-LIMIT\t%d\n" % processes


def parse_hashes(line: bytes) -> tuple[str, str]:
    """The two hashes of DBHASH. Raises Malformed."""
    fields = [to_text(one) for one in decode(line)]
    if len(fields) != 3 or fields[0] != "DBHASH":
        raise Malformed("DBHASH expected.", detail="the line after the greeting is no DBHASH")
    return fields[1], fields[2]


def parse_request(line: bytes) -> Request:
    """One request. Raises Malformed; nothing of the line is in its text, for there may be a password in it."""
    fields = decode(line)
    if len(fields) < 2:
        raise Malformed("Invalid request.", detail="a request of less than two fields")
    request_id = _id(to_text(fields[0]))
    command = to_text(fields[1])
    if command == CANCEL:
        return Request(request_id, command)
    secrets = _SECRETS.get(command)
    if secrets is None:
        raise Malformed("Unknown command.", detail=f"unknown command of {len(fields[1])} octets")
    if len(fields) < 3 + secrets:
        raise Malformed("Invalid request.", detail=f"{command} misses fields")
    return Request(
        request_id,
        command,
        to_text(fields[2]),
        fields[3] if secrets else b"",
        to_text(fields[4]) if secrets == 2 else "",
        _pairs(_texts(fields[3 + secrets :])),
    )


def _texts(fields: list[bytes]) -> Iterable[str]:
    """All as text in one step, unless one of them contains what stands between them."""
    joined = b"\n".join(fields)
    if not fields or joined.count(b"\n") != len(fields) - 1:
        return [to_text(one) for one in fields]
    return to_text(joined).split("\n")


def reply_line(reply: Reply) -> bytes:
    """Without fields that have a TAB or a line end in their name: nobody can mean them."""
    if reply.word == NOTFOUND:
        return b"%d\tNOTFOUND\t\n" % reply.id
    return encode(
        str(reply.id),
        reply.word,
        str(reply.result),
        reply.user,
        reply.password,
        reply.reason,
        *(f"{key}={value}" for key, value in reply.fields.items()),
    )


def name_line(request_id: int, name: str) -> bytes:
    return b"%d\t*\t%b\n" % (request_id, escape(to_octets(name)))


def state_line(word: str) -> bytes:
    return encode(word)


def info_line(database: str, traits: Mapping[str, str]) -> bytes:
    return encode(INFO, database, *(f"{key}={value}" for key, value in traits.items()))


def _id(text: str) -> int:
    if not is_number(text) or not 0 < int(text) <= MAX_ID:
        raise Malformed("Invalid request ID.", detail="the ID is no number from 1 to 4294967295")
    return int(text)


def _pairs(fields: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in fields:
        key, _, value = text.partition("=")
        found[key] = value
    return found
