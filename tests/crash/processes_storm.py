"""Clients of a whole instance whose processes are being killed.

Each ``Client`` is a thread with sessions of its own user, of a user shared by all, and to LMTP. It works on letters of
its own making only, so that what it is told says what must be there, whatever the others do.
"""

from __future__ import annotations

import random
import re
import threading

from crash.processes_storm_record import Box, Found, Letter, Record, letter
from kit.instance import PASSWORD, Instance
from kit.rawclient import RawClient
from kit.wait import wait_for

BOXES = (b"INBOX", b"Archive")
FLAGS = (b"\\Seen", b"\\Flagged", b"\\Answered", b"\\Draft", b"$Storm")
LOGIN_SECS = 30.0

_LOST = (EOFError, ConnectionError, FileNotFoundError)
_UIDVALIDITY = re.compile(rb"\[UIDVALIDITY (\d+)\]")
_UIDNEXT = re.compile(rb"\[UIDNEXT (\d+)\]")
_APPENDUID = re.compile(rb"\[APPENDUID (\d+) (\d+)\]")
_COPYUID = re.compile(rb"\[COPYUID (\d+) (\d+) (\d+)\]")


class Unanswered(Exception):
    """The connection ended before the answer came."""


class Refused(Exception):
    """The server said no: nothing was done."""


class Session:
    """A logged-in IMAP connection of ``user``."""

    def __init__(self, instance: Instance, user: str, record: Record) -> None:
        self.user, self.record = user, record
        self.box = b""
        self.client = RawClient(instance.imap_port, deadline_secs=LOGIN_SECS)
        try:
            greeting = self.client.line()
            if not greeting.startswith(b"* OK "):
                raise ConnectionError(greeting)
            answer = self.client.command(f"L LOGIN {user} {PASSWORD}".encode())[-1]
            if not answer.startswith(b"L OK"):
                raise ConnectionError(answer)
        except BaseException:
            self.client.close()
            raise

    def ask(self, text: bytes) -> list[bytes]:
        """A command that must succeed. Raises Unanswered, Refused."""
        try:
            lines = self.client.command(b"A " + text)
        except _LOST as exc:
            raise Unanswered from exc
        if not lines[-1].startswith(b"A OK"):
            raise Refused(text[:80], lines[-1])
        return lines

    def select(self, name: bytes) -> None:
        if self.box != name:
            box = (self.user, name)
            before = self.record.high(box)
            text = b"\n".join(self.ask(b"SELECT " + name))
            validity, uidnext = _UIDVALIDITY.search(text), _UIDNEXT.search(text)
            assert validity and uidnext, text
            self.record.selected(box, int(validity[1]), int(uidnext[1]), before)
            self.box = name


def new_session(instance: Instance, user: str, record: Record, deadline_secs: float = LOGIN_SECS) -> Session:
    """Log in, as often as it takes. Raises AssertionError at the deadline."""
    last: list[object] = []

    def attempt() -> Session | None:
        try:
            return Session(instance, user, record)
        except _LOST as exc:
            last[:] = [exc]
            return None

    try:
        session = wait_for(attempt, deadline_secs)
    except AssertionError:
        raise AssertionError(f"no login of {user} within {deadline_secs} seconds, the last because of {last}") from None
    assert session is not None
    return session


def read_all(instance: Instance, user: str, record: Record) -> dict[Box, Found]:
    """Everything a user has, over a fresh connection."""
    session = new_session(instance, user, record)
    client = session.client
    out: dict[Box, Found] = {}
    for name in BOXES:
        session.select(name)
        found = out[user, name] = {}
        client.send(b"A UID FETCH 1:* (UID FLAGS BODY.PEEK[])\r\n")
        while not (line := client.line()).startswith(b"A "):
            row = re.fullmatch(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) BODY\[\] \{(\d+)\}", line)
            if row:
                while len(client.buffer) < int(row[3]):
                    assert client.more(), "closed in the middle of a letter"
                octets, client.buffer = client.buffer[: int(row[3])], client.buffer[int(row[3]) :]
                assert int(row[1]) not in found, "a UID comes twice"
                found[int(row[1])] = (frozenset(row[2].split()), octets)
                assert client.line() == b")"
        assert line.startswith(b"A OK"), line
    client.close()
    return out


class Client(threading.Thread):
    """Works until ``stop`` is set; ``failure`` says what was wrong, if anything was."""

    def __init__(self, instance: Instance, record: Record, own: str, shared: str, seed: int) -> None:
        super().__init__(daemon=True, name=f"client-{own}")
        self.instance, self.record = instance, record
        self.users = (own, shared)
        self.rng = random.Random(seed)
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self.letters: list[Letter] = []
        self.sessions: dict[str, Session] = {}
        self.lmtp: RawClient | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.step()
        except BaseException as exc:
            self.failure = exc

    def close(self) -> None:
        for session in list(self.sessions.values()):
            self.lost(session)
        self.forget_lmtp()

    def step(self) -> None:
        """One operation on a letter that nothing is in doubt about, or a new letter."""
        known = [one for one in self.letters if one.places and one.in_doubt is None]
        kind = self.rng.choices(
            ["append", "deliver", "store", "copy", "move", "expunge"],
            [5, 4, 6, 2, 3, 3] if known else [1, 1, 0, 0, 0, 0],
        )[0]
        if kind == "deliver":
            self.deliver(self.rng.choice(self.users))
        elif kind == "append":
            self.append(self.rng.choice(self.users), self.rng.choice(BOXES))
        else:
            one = self.rng.choice(known)
            box, uid = self.rng.choice(list(one.places))
            self.change(kind, one, box, uid)

    def session(self, user: str) -> Session:
        if user not in self.sessions:
            self.sessions[user] = new_session(self.instance, user, self.record)
        return self.sessions[user]

    def prepared(self, user: str, name: bytes) -> Session:
        """A session that has the mailbox selected and knows all its messages."""
        while True:
            session = self.session(user)
            try:
                session.select(name)
                session.ask(b"NOOP")
                return session
            except Unanswered:
                self.lost(session)

    def lost(self, session: Session) -> None:
        session.client.close()
        self.sessions.pop(session.user, None)

    # -- the operations

    def deliver(self, user: str) -> None:
        """By LMTP. 4xx before the end of DATA, and after it too, is a promise that nothing was stored."""
        box = (user, b"INBOX")
        one = self.record.new()
        sent = False
        try:
            if self.lmtp is None:
                self.lmtp = RawClient(self.instance.lmtp_socket, deadline_secs=LOGIN_SECS)
                if not self.lmtp.reply().startswith(b"220") or not self.lmtp.say(b"LHLO c")[0].startswith(b"250"):
                    raise ConnectionError("no greeting")
            start = self.lmtp.say(b"MAIL FROM:<s@x>", b"RCPT TO:<%s@example.org>" % user.encode(), b"DATA")
            if not start[-1].startswith(b"354"):
                raise ConnectionError(start)
            sent = True
            self.lmtp.send(letter(one.number) + b".\r\n")
            if not self.lmtp.reply().startswith(b"250"):
                raise ConnectionRefusedError
        except ConnectionRefusedError:
            self.forget_lmtp()
        except _LOST:
            if sent:
                self.record.doubt(one, "deliver", box)
            self.forget_lmtp()
        else:
            one.places[box, 0] = set()
            self.letters.append(one)
            self.record.count()

    def forget_lmtp(self) -> None:
        if self.lmtp is not None:
            self.lmtp.close()
            self.lmtp = None

    def append(self, user: str, name: bytes) -> None:
        one, box = self.record.new(), (user, name)
        session = self.session(user)
        before = self.record.high(box)
        text = letter(one.number)
        try:
            lines = session.ask(b"APPEND %b {%d+}\r\n%b" % (name, len(text), text))
        except Unanswered:
            self.record.doubt(one, "append", box)
            self.lost(session)
            return
        given = _APPENDUID.search(lines[-1])
        assert given, lines
        self.record.told_uid(box, one, int(given[2]), before)
        one.places[box, int(given[2])] = set()
        self.letters.append(one)
        self.record.count()

    def change(self, kind: str, one: Letter, box: Box, uid: int) -> None:
        session = self.prepared(*box)
        if not uid:
            try:
                lines = session.ask(b"UID SEARCH HEADER Message-ID <%d@storm>" % one.number)
            except Unanswered:
                self.lost(session)
                return
            uids = {int(word) for line in lines if line.startswith(b"* SEARCH") for word in line.split()[2:]}
            uids -= {other for place, other in one.places if place == box}
            assert len(uids) == 1, f"letter {one.number} was acknowledged; found {uids} in {box}"
            (uid,) = uids
            one.places[box, uid] = one.places.pop((box, 0))
            self.record.told_uid(box, one, uid, 0)
        flag, to = self.rng.choice(FLAGS), (box[0], BOXES[1 - BOXES.index(box[1])])
        before = self.record.high(to)
        try:
            match kind:
                case "store":
                    told = b"\n".join(session.ask(b"UID STORE %d +FLAGS (%b)" % (uid, flag)))
                    flags = one.places[box, uid]  # one that is set already need not be told
                    assert flag in flags or (b"UID %d " % uid in told and flag in told), f"{uid} {flag!r}: {told!r}"
                    flags.add(flag)
                case "copy" | "move":
                    lines = session.ask(b"UID %b %d %b" % (kind.upper().encode(), uid, to[1]))
                    given = _COPYUID.search(b"\n".join(lines))
                    assert given and int(given[2]) == uid, f"letter {one.number} at {box} {uid} is gone: {lines}"
                    self.record.told_uid(to, one, int(given[3]), before)
                    one.places[to, int(given[3])] = set(one.places[box, uid])
                    if kind == "move":
                        del one.places[box, uid]
                case "expunge":
                    flag = b"\\Deleted"
                    kind = "store"
                    session.ask(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
                    one.places[box, uid].add(flag)
                    kind = "expunge"
                    # In the user of one's own anything deleted is of this letter: all others are gone already.
                    mine = box[0] == self.users[0]
                    session.ask(
                        b"EXPUNGE" if mine and self.record.is_the_only_deleted(box, uid) else b"UID EXPUNGE %d" % uid
                    )
                    del one.places[box, uid]
        except Unanswered:
            self.record.doubt(one, kind, box, uid, flag if kind == "store" else to)
            self.lost(session)
        else:
            self.record.count()
