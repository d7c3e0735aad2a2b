"""Plays transcripts (``kit.transcript``) against anything that opens ``Channel``s."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kit.transcript import Matcher, Step, Transcript, split_replies, tag_of

DEADLINE_SECS = 5.0
MAIL = Path(__file__).resolve().parents[1] / "transcripts" / "imap" / "mail"


class Channel(Protocol):
    """One connection to a server."""

    def send(self, octets: bytes) -> None: ...

    def receive(self, secs: float) -> bytes | None:
        """What has arrived, at least one octet; b"" after ``secs`` without any; None at the end."""
        ...

    def close(self) -> None: ...


class Server(Protocol):
    """``preauth``: connections are logged in from the start."""

    preauth: bool
    user: str
    password: str

    def connect(self) -> Channel: ...


class Failed(AssertionError):
    """A transcript did not come out."""


@dataclass
class Conversation:
    """One connection: what has arrived and is not yet accounted for."""

    channel: Channel
    log: Callable[[str], None]
    rest: bytes = b""
    replies: list[bytes] = field(default_factory=list)  # not consumed by an S: line
    everything: list[bytes] = field(default_factory=list)  # since the last tagged one, consumed or not
    closed: bool = False

    def send(self, octets: bytes) -> None:
        self.log(f"C: {octets!r}")
        self.channel.send(octets)

    def more(self, secs: float = DEADLINE_SECS) -> bool:
        """Take what arrives next; False when nothing does."""
        got = self.channel.receive(secs)
        if got is None:
            self.closed = True
            return False
        whole, self.rest = split_replies(self.rest + got)
        for reply in whole:
            self.log(f"S: {reply!r}")
        self.replies += whole
        self.everything += whole
        return bool(got)

    def forget_before(self, tagged: bytes) -> None:
        """A tagged reply was dealt with: what came before it is over."""
        at = self.everything.index(tagged)
        del self.everything[: at + 1]
        self.replies = [reply for reply in self.replies if reply in self.everything]

    def before(self, tagged: bytes) -> list[bytes]:
        """The untagged replies since the last tagged one."""
        return [reply for reply in self.everything[: self.everything.index(tagged)] if reply.startswith(b"* ")]

    def command(self, octets: bytes, tag: bytes) -> list[bytes]:
        """Send a whole command and return everything up to its tagged reply."""
        self.send(octets + b"\r\n")
        while not any(tag_of(reply) == tag for reply in self.replies):
            if not self.more():
                raise Failed(f"no reply to {octets[:80]!r}")
        replies, self.replies, self.everything = self.replies, [], []
        if not any(reply.startswith(tag + b" OK") for reply in replies):
            raise Failed(f"{octets[:80]!r} failed: {replies[-1]!r}")
        return replies


def play(transcript: Transcript, server: Server) -> None:
    """Raises Failed naming the file and line."""
    history: list[str] = []
    opened: list[Conversation] = []

    def open_one(number: int) -> Conversation:
        found = Conversation(server.connect(), lambda text: history.append(f"{number}{text}"))
        opened.append(found)
        return found

    try:
        _prepare_mailbox(transcript, server, open_one)
        talks = {}
        for number in transcript.connections:
            talks[number] = open_one(number)
            _prepare_state(transcript, server, talks[number])
        matcher = Matcher()
        bans: dict[int, list[Step]] = {}
        for step in transcript.steps:
            talk = talks[step.connection]
            try:
                _do(step, talk, matcher, bans, transcript.header.get("order") == "strict")
            except Failed as exc:
                raise Failed(f"{transcript.path.name}:{step.line}: {exc}\n" + "\n".join(history[-60:])) from None
        for number, steps in bans.items():
            check_bans(steps, talks[number].everything, matcher)
    finally:
        for talk in opened:
            talk.channel.close()


def _prepare_mailbox(transcript: Transcript, server: Server, open_one: Callable[[int], Conversation]) -> None:
    wanted = transcript.header.get("mailbox", "")
    if not wanted:
        return
    talk = open_one(0)
    _log_in(server, talk)
    match = re.fullmatch(r"(\d+) messages?(?:, uids ([\d ]+))?", wanted)
    if match:
        count = int(match[1])
        uids = [int(uid) for uid in match[2].split()] if match[2] else list(range(1, count + 1))
        messages = {uid: sample(n) for n, uid in enumerate(uids, 1)}
    else:
        uids = list(range(1, len(wanted.split()) + 1))
        messages = {uid: (MAIL / name).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                    for uid, name in zip(uids, wanted.split(), strict=True)}  # fmt: skip
    filler = b"Subject: filler\r\n\r\n\r\n"
    for uid in range(1, uids[-1] + 1):
        content = messages.get(uid, filler)
        date = b' "%02d-Feb-2026 10:00:00 +0000"' % ((uid - 1) % 28 + 1)
        talk.command(b"P APPEND INBOX%b {%d+}\r\n%b" % (date, len(content), content), b"P")
    flags = transcript.header.get("flags", "")
    gaps = [uid for uid in range(1, uids[-1] + 1) if uid not in messages]
    if gaps or flags:
        talk.command(b"P SELECT INBOX", b"P")
        if gaps:
            gap_set = ",".join(map(str, gaps)).encode()
            talk.command(b"P UID STORE %b +FLAGS.SILENT (\\Deleted)" % gap_set, b"P")
            talk.command(b"P EXPUNGE", b"P")
        for item in filter(None, flags.split(";")):
            number, _, names = item.strip().partition(" ")
            talk.command(b"P STORE %b +FLAGS.SILENT (%b)" % (number.encode(), names.encode()), b"P")
        talk.command(b"P UNSELECT", b"P")
    talk.command(b"P LOGOUT", b"P")


def sample(n: int) -> bytes:
    """The n-th message of a ``N messages`` mailbox."""
    return (
        b"Date: Sun, %02d Feb 2026 12:00:00 +0100\r\nFrom: Ann <ann%d@example.org>\r\nTo: Bob <bob@example.net>\r\n"
        b"Subject: Message %d\r\nMessage-ID: <m%d@example.org>\r\n\r\nBody of message %d.\r\n" % (n, n, n, n, n)
    )


def _log_in(server: Server, talk: Conversation) -> None:
    while not talk.replies:
        if not talk.more():
            raise Failed("no greeting")
    talk.replies, talk.everything = [], []
    if not server.preauth:
        talk.command(f"P LOGIN {server.user} {server.password}".encode(), b"P")


def _prepare_state(transcript: Transcript, server: Server, talk: Conversation) -> None:
    state = transcript.header.get("state", "selected")
    if state == "nonauth":
        return
    _log_in(server, talk)
    if state == "selected":
        talk.command(transcript.header.get("select", "SELECT").encode().join((b"P ", b" INBOX")), b"P")


def _do(step: Step, talk: Conversation, matcher: Matcher, bans: dict[int, list[Step]], strict: bool) -> None:
    if step.kind == "C":
        _send(step, talk, matcher)
    elif step.kind == "!":
        bans.setdefault(step.connection, []).append(step)
    elif step.octets == b"(closed)":
        while not talk.closed:
            if not talk.more() and not talk.closed:
                raise Failed("the connection is still open")
    else:
        _expect(step, talk, matcher, bans, strict)


def _send(step: Step, talk: Conversation, matcher: Matcher) -> None:
    at = 0
    for wait in step.waits:
        talk.send(step.octets[at:wait])
        at = wait
        _take(talk, lambda reply: reply.startswith(b"+ "), "a continuation", stop_at_tagged=True)
    talk.send(matcher.expand(step.octets[at:]) + b"\r\n")


def _expect(step: Step, talk: Conversation, matcher: Matcher, bans: dict[int, list[Step]], strict: bool) -> None:
    untagged = step.octets.startswith(b"* ")
    found = _take(
        talk,
        lambda reply: _comparable(step.octets, reply) and matcher.matches(step.octets, reply),
        repr(step.octets.decode("utf-8", "replace")),
        stop_at_tagged=untagged,
        only_tag=None if untagged or step.octets.startswith(b"+") else tag_of(step.octets),
        strict=strict and untagged,
    )
    if not untagged and not found.startswith(b"+"):
        check_bans(bans.pop(step.connection, []), talk.before(found), matcher)
        talk.forget_before(found)


def check_bans(bans: list[Step], replies: list[bytes], matcher: Matcher) -> None:
    """Raises Failed for a reply that must not be there."""
    for ban in bans:
        for reply in replies:
            if _comparable(ban.octets, reply) and matcher.matches(ban.octets, reply):
                raise Failed(f"line {ban.line} forbids {reply!r}")


def _comparable(expected: bytes, reply: bytes) -> bool:
    return expected[:2] == reply[:2] if expected[:2] in (b"* ", b"+ ") else tag_of(expected) == tag_of(reply)


def _take(
    talk: Conversation,
    wanted: Callable[[bytes], bool],
    what: str,
    *,
    stop_at_tagged: bool,
    only_tag: bytes | None = None,
    strict: bool = False,
) -> bytes:
    """Remove and return the first reply that is wanted, reading on until it comes."""
    while True:
        for at, reply in enumerate(talk.replies):
            if wanted(reply):
                del talk.replies[0 if strict else at : at + 1]
                return reply
            if only_tag is not None and tag_of(reply) == only_tag:
                raise Failed(f"expected {what}, got {reply!r}")
            if stop_at_tagged and not reply.startswith((b"* ", b"+ ")):
                raise Failed(f"{what} did not come before {reply!r}")
        if not talk.more():
            raise Failed(f"{what} did not come" + (": connection closed" if talk.closed else ""))
