"""kill -9 of any process of a running instance, again and again, and once of its master: what was acknowledged stays.

``ROOST_STORM_ROUNDS`` (default 4) is how often every room is killed, ``ROOST_STORM_SEED`` chooses another storm.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from crash.processes_storm import LOGIN_SECS, Client, new_session, read_all
from crash.processes_storm_record import Box, Found, Letter, Record, letter
from kit.instance import Instance
from kit.running import alive
from kit.wait import wait_for

from master.reap import THROTTLE_FIRST_SECS

ROUNDS = int(os.environ.get("ROOST_STORM_ROUNDS", "4"))
SEED = int(os.environ.get("ROOST_STORM_SEED", "1"))
VICTIMS = ("imap", "lmtp", "imap", "auth", "lmtp", "imap", "anvil", "imap", "notify")
OWN_USERS, SHARED_USER, VISITOR = ("u1", "u2", "u3"), "u4", "u5"
VISIT_SECS = THROTTLE_FIRST_SECS + 10  # in which a new login works after a kill, on a busy machine too
BETWEEN_OPERATIONS = 60  # at most so many are answered between two kills

# Few connections of one user: what a killed process held of them must be given back.
CONF = """
auth_username_format = %{user | username | lower}
mail_max_userip_connections = 8
service imap {
  process_min_avail = 3
}
service lmtp {
  process_min_avail = 2
}
"""


@pytest.mark.timeout(120 + 15 * ROUNDS)
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    record = Record()
    with Instance(tmp_path, CONF) as roost:
        for user in (*OWN_USERS, SHARED_USER):
            new_session(roost, user, record).client.close()
        clients = [Client(roost, record, own, SHARED_USER, SEED * 100 + n) for n, own in enumerate(OWN_USERS)]

        def healthy() -> None:
            for client in clients:
                if client.failure is not None:
                    raise client.failure

        def work() -> None:
            """Let the clients do some more."""
            wanted = record.done + rng.randrange(1, BETWEEN_OPERATIONS)

            def enough() -> bool:
                healthy()
                return record.done >= wanted

            wait_for(enough, 2 * LOGIN_SECS, "clients to be served")

        def kill(service: str) -> None:
            pids = wait_for(lambda: roost.pids(service, "ready") | roost.pids(service, "busy"), LOGIN_SECS, service)
            pid = rng.choice(sorted(pids))
            os.kill(pid, signal.SIGKILL)
            roost.wait_log(f"child {pid} killed with signal 9", LOGIN_SECS)

        def kill_master() -> None:
            orphans = roost.pids()
            roost.kill_master()
            wait_for(lambda: not any(alive(pid) for pid in orphans), LOGIN_SECS, "the rooms to leave their sockets")

        for client in clients:
            client.start()
        try:
            for each in range(ROUNDS):
                work()
                for service in VICTIMS:
                    kill(service)
                    new_session(roost, VISITOR, record, VISIT_SECS).client.close()
                    work()
                if each == ROUNDS // 2:
                    kill_master()
                    roost.start()
                    work()
        finally:
            for client in clients:
                client.stop.set()
            for client in clients:
                client.join(3 * LOGIN_SECS)
        healthy()
        assert not any(client.is_alive() for client in clients)
        for client in clients:
            client.close()
            before = record.done
            client.deliver(SHARED_USER)
            client.append(SHARED_USER, b"INBOX")
            assert record.done == before + 2
            client.close()
        found: dict[Box, Found] = {}
        for user in (*OWN_USERS, SHARED_USER):
            found.update(read_all(roost, user, record))
        record.verify(found)
        assert "throttling" not in roost.log_text(), roost.report()
        assert record.done > record.doubts > 0


INBOX, ARCHIVE = ("u", b"INBOX"), ("u", b"Archive")
SEEN = frozenset({b"\\Seen"})


def told(doubt: tuple[str, Box, int, Box | bytes] | None = None) -> Record:
    """One letter, which is \\Seen and UID 5 of INBOX; ``doubt``: what was asked for last, without an answer."""
    record = Record()
    one = record.new()
    record.told_uid(INBOX, one, 5, 0)
    one.places[INBOX, 5] = set(SEEN)
    if doubt is not None:
        record.doubt(one, *doubt)
    return record


WHOLE = (SEEN, letter(1))


@pytest.mark.parametrize(
    ("doubt", "inbox", "archive"),
    [
        (None, {5: WHOLE}, {}),
        (("copy", INBOX, 5, ARCHIVE), {5: WHOLE}, {9: WHOLE}),
        (("copy", INBOX, 5, ARCHIVE), {5: WHOLE}, {}),
        (("move", INBOX, 5, ARCHIVE), {5: WHOLE}, {}),
        (("move", INBOX, 5, ARCHIVE), {}, {1: WHOLE}),
        (("expunge", INBOX, 5, b""), {5: WHOLE}, {}),
        (("expunge", INBOX, 5, b""), {}, {}),
        (("store", INBOX, 5, b"$Storm"), {5: (SEEN | {b"$Storm"}, letter(1))}, {}),
    ],
)
def test_the_record_allows(doubt: tuple[str, Box, int, Box | bytes] | None, inbox: Found, archive: Found) -> None:
    told(doubt).verify({INBOX: inbox, ARCHIVE: archive})


@pytest.mark.parametrize(
    ("doubt", "inbox", "archive"),
    [
        (None, {}, {}),
        (None, {6: WHOLE}, {}),
        (None, {5: WHOLE, 6: WHOLE}, {}),
        (None, {5: WHOLE}, {1: WHOLE}),
        (None, {5: (frozenset(), letter(1))}, {}),
        (None, {5: (SEEN | {b"$Storm"}, letter(1))}, {}),
        (None, {5: (SEEN, letter(1)[:-1])}, {}),
        (None, {5: (SEEN, letter(2))}, {}),
        (("copy", INBOX, 5, ARCHIVE), {5: WHOLE}, {8: WHOLE, 9: WHOLE}),
        (("copy", INBOX, 5, ARCHIVE), {}, {8: WHOLE}),
        (("move", INBOX, 5, ARCHIVE), {5: WHOLE}, {1: WHOLE}),
        (("move", INBOX, 5, ARCHIVE), {}, {}),
        (("expunge", INBOX, 5, b""), {}, {1: WHOLE}),
    ],
)
def test_the_record_notices(doubt: tuple[str, Box, int, Box | bytes] | None, inbox: Found, archive: Found) -> None:
    record = told(doubt)
    with pytest.raises((AssertionError, KeyError)):
        record.verify({INBOX: inbox, ARCHIVE: archive})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda record: record.told_uid(INBOX, Letter(2), 5, 0),
        lambda record: record.told_uid(INBOX, Letter(2), 4, record.high(INBOX)),
        lambda record: (record.selected(INBOX, 1, 6, 5), record.selected(INBOX, 2, 6, 5)),
        lambda record: record.selected(INBOX, 1, 5, record.high(INBOX)),
    ],
)
def test_the_record_notices_uids_that_go_back(wrong: Callable[[Record], object]) -> None:
    record = told()
    with pytest.raises(AssertionError):
        wrong(record)
