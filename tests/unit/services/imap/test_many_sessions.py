"""Random commands of three sessions on one mailbox: what each was told adds up to what the mailbox holds."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.imap_memory import MemoryChannel, MemoryImap

from roost.storage.backends.memory import open_memory
from roost.storage.backends.sqlite import open_sqlite

STORES = {"memory": open_memory, "sqlite": open_sqlite}
NO_EXPUNGE = (b"FETCH", b"STORE", b"SEARCH")
COMMANDS = (
    b"NOOP",
    b"FETCH 1:* FLAGS",
    b"UID FETCH 1:* (FLAGS)",
    b"FETCH %n BODY[TEXT]",
    b"STORE %n +FLAGS (\\Seen)",
    b"STORE %n -FLAGS (\\Seen \\Deleted)",
    b"STORE %n +FLAGS.SILENT (\\Deleted)",
    b"UID STORE %n +FLAGS (\\Flagged $k%n)",
    b"UID STORE %n FLAGS.SILENT (\\Deleted)",
    b"EXPUNGE",
    b"UID EXPUNGE 1:%n",
    b"SEARCH DELETED",
    b"UID SEARCH UNSEEN",
    b"COPY %n INBOX",
    b"UID MOVE %n INBOX",
    b"MOVE %n Trash",
    b"APPEND INBOX {5+}\r\nhello",
    b"CHECK",
    b"STATUS Trash (MESSAGES)",
)


class Session:
    """A client that believes what it is told."""

    def __init__(self, server: MemoryImap) -> None:
        self.channel: MemoryChannel = server.connect()
        self.flags: list[frozenset[bytes] | None] = []  # by sequence number; None: not told yet
        self.recent = 0
        self.do(b"LOGIN u1 pw")
        self.do(b"SELECT INBOX")

    def do(self, command: bytes) -> list[bytes]:
        self.channel.send(b"T " + command + b"\r\n")
        got = b""
        while b"T OK" not in got and b"T NO" not in got and b"T BAD" not in got:
            more = self.channel.receive(5)
            assert more, (command, got)
            got += more
        lines = got.split(b"\r\n")
        silent = b"SILENT" in command
        for line in lines:
            self.hear(line, command)
        assert silent or lines
        return lines

    def hear(self, line: bytes, command: bytes) -> None:
        match = re.match(rb"\* (\d+) (EXISTS|EXPUNGE|RECENT|FETCH)", line)
        if match is None:
            return
        number, what = int(match[1]), match[2]
        if what == b"EXISTS":
            assert number >= len(self.flags), "EXISTS fell"
            self.flags += [None] * (number - len(self.flags))
        elif what == b"EXPUNGE":
            assert not command.startswith(NO_EXPUNGE), f"EXPUNGE in {command!r}"
            del self.flags[number - 1]
        elif what == b"RECENT":
            self.recent = number
        elif found := re.search(rb"FLAGS \(([^)]*)\)", line):
            self.flags[number - 1] = frozenset(found[1].lower().split())


steps = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(COMMANDS), st.integers(1, 6)), min_size=5, max_size=40)


@pytest.mark.parametrize("store", STORES)
@settings(max_examples=40, deadline=None)
@given(plan=steps)
def test_sessions_agree_in_the_end(store: str, plan: list[tuple[int, bytes, int]]) -> None:
    with TemporaryDirectory() as home:
        server = MemoryImap({"imap_max_bad_commands": 1000}, make_backend=STORES[store], home=Path(home))
        try:
            agree(server, plan)
            assert not server.failures, server.failures
            assert not [text for level, text in server.sink.rows if level in "EWFP"]
        finally:
            server.close()


def agree(server: MemoryImap, plan: list[tuple[int, bytes, int]]) -> None:
    sessions = [Session(server) for _ in range(3)]
    for _ in range(4):
        sessions[0].do(b"APPEND INBOX {5+}\r\nhello")
    for session in sessions:
        session.do(b"FETCH 1:* FLAGS")
    silent: set[int] = set()
    for who, command, n in plan:
        if b"SILENT" in command:
            silent.add(who)
        sessions[who].do(command.replace(b"%n", b"%d" % n))
    recents: list[int] = []
    for session in sessions:
        session.do(b"NOOP")
    counts = {len(session.flags) for session in sessions}
    assert len(counts) == 1, "sessions count differently"
    truth = []
    for who, session in enumerate(sessions):
        believed = list(session.flags)
        session.do(b"FETCH 1:* FLAGS") if session.flags else None
        actual = list(session.flags)
        if who not in silent:
            for told, now in zip(believed, actual, strict=True):
                assert told is None or told == now, "a change was not told"
        recents.append(sum(b"\\recent" in (flags or ()) for flags in actual))
        assert recents[-1] == session.recent
        truth.append([flags - {b"\\recent"} for flags in actual if flags is not None])
    assert truth[0] == truth[1] == truth[2], "sessions see different flags"
    for n in range(len(truth[0])):
        holders = [s for s in sessions if s.flags[n] is not None and b"\\recent" in (s.flags[n] or ())]
        assert len(holders) <= 1, "a message is recent in two sessions"
