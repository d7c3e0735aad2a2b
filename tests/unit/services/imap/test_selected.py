"""The view: numbers, sets, and that what it tells adds up to what the store says."""

from __future__ import annotations

import re
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.imap.seqset import parse
from roost.storage.api import Changes, MailboxState, Snapshot
from roost.util.ranges import EMPTY, Ranges
from services.imap.selected import View


def snapshot(uids: list[int], *, recent: Ranges = EMPTY, read_only: bool = False) -> Snapshot:
    return Snapshot(
        uidvalidity=1,
        uidnext=(uids[-1] if uids else 0) + 1,
        highest_modseq=1,
        uids=array("I", uids),
        count=len(uids),
        first_unseen_uid=None,
        keywords=(),
        recent=recent,
        read_only=read_only,
        cursor=1,
    )


def view_of(uids: list[int], **more: object) -> View:
    return View(None, snapshot(uids, **more))  # type: ignore[arg-type]  # no mailbox is asked


def changes(uids: list[int], cursor: int = 2, **more: object) -> Changes:
    values: dict[str, object] = {
        "cursor": cursor,
        "state": MailboxState.OK,
        "uids": array("I", uids),
        "count": len(uids),
        "uidnext": 1000,
        "highest_modseq": cursor,
        "keywords": (),
        "new": EMPTY,
        "recent": EMPTY,
        "vanished": EMPTY,
        "changed_uids": (),
        "changed_flags": (),
        "changed_modseqs": (),
    }
    return Changes(**(values | more))  # type: ignore[arg-type]


def tell(view: View, what: Changes, *, expunge: bool = True, by_uid: bool = False, condstore: bool = False) -> bytes:
    return b"".join(view.apply(what, expunge=expunge, by_uid=by_uid, condstore=condstore))


@pytest.mark.parametrize(
    ("text", "rows"),
    [("1:*", [(0, 5)]), ("3", [(2, 3)]), ("*", [(4, 5)]), ("4:2", [(1, 4)]), ("1,3,5", [(0, 1), (2, 3), (4, 5)])],
)
def test_sequence_sets(text: str, rows: list[tuple[int, int]]) -> None:
    assert view_of([2, 3, 5, 8, 13]).rows(parse(text.encode())) == rows


@pytest.mark.parametrize("text", ["6", "1:6", "7:*", "4294967295"])
def test_numbers_that_do_not_exist_are_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        view_of([2, 3, 5, 8, 13]).rows(parse(text.encode()))


def test_any_set_in_an_empty_mailbox_is_malformed_by_number_and_nothing_by_uid() -> None:
    view = view_of([])
    with pytest.raises(Malformed):
        view.rows(parse(b"1:*"))
    assert view.uid_rows(parse(b"1:*")) == []
    assert view.known_rows(parse(b"1:*")) == []
    assert view.all_uids() == EMPTY


@pytest.mark.parametrize(
    ("text", "rows"),
    [("1:*", [(0, 5)]), ("99:*", [(4, 5)]), ("4", []), ("3:8", [(1, 4)]), ("13,2", [(0, 1), (4, 5)]), ("14:20", [])],
)
def test_uid_sets(text: str, rows: list[tuple[int, int]]) -> None:
    view = view_of([2, 3, 5, 8, 13])
    assert view.uid_rows(parse(text.encode())) == rows


def test_search_sets_ignore_numbers_beyond_the_end() -> None:
    view = view_of([2, 3, 5])
    assert view.known_rows(parse(b"2:99")) == [(1, 3)]
    assert view.known_rows(parse(b"9")) == []


def test_uids_of_rows_hold_no_other_message_of_the_view() -> None:
    view = view_of([2, 3, 5, 8, 13])
    found = view.uids_of([(0, 2), (3, 5)])
    assert [uid for uid in view.uids if uid in found] == [2, 3, 8, 13]


def test_sequence_numbers_of_uids() -> None:
    view = view_of([2, 3, 5, 8, 13])
    assert view.seqs([3, 5, 8]) == range(2, 5)
    assert list(view.seqs([2, 8])) == [1, 4]
    assert list(view.seqs([13])) == [5]
    assert list(view.seqs([])) == []


def test_the_array_beyond_the_count_is_not_seen() -> None:
    view = view_of([1, 2, 3])
    view.uids.append(4)
    assert view.uid_rows(parse(b"1:*")) == [(0, 3)]
    assert view.rows(parse(b"*")) == [(2, 3)]


def test_nothing_new_says_nothing() -> None:
    assert tell(view_of([1, 2]), changes([1, 2])) == b""


def test_expunges_are_told_from_the_highest_down() -> None:
    view = view_of([1, 2, 3, 4, 5, 6])
    said = tell(view, changes([1, 4], vanished=Ranges([(2, 3), (5, 6)])))
    assert said == b"* 6 EXPUNGE\r\n* 5 EXPUNGE\r\n* 3 EXPUNGE\r\n* 2 EXPUNGE\r\n"
    assert list(view.uids[: view.count]) == [1, 4]


def test_an_expunge_that_may_not_be_told_waits_and_the_numbers_stay() -> None:
    view = view_of([1, 2, 3])
    assert tell(view, changes([1, 3], vanished=Ranges.of(2)), expunge=False) == b""
    assert list(view.seqs([3])) == [3]
    said = tell(view, changes([1, 3, 4], 3, new=Ranges.of(4)), expunge=False)
    assert said == b"* 4 EXISTS\r\n* 0 RECENT\r\n"
    assert list(view.seqs([4])) == [4]
    assert tell(view, changes([1, 3, 4], 4)) == b"* 2 EXPUNGE\r\n"
    assert list(view.seqs([4])) == [3]


def test_flags_are_told_before_expunges_in_the_old_numbers() -> None:
    view = view_of([1, 2, 3])
    what = changes([1, 3], vanished=Ranges.of(2), changed_uids=(3,), changed_flags=(1,), changed_modseqs=(9,))
    assert tell(view, what, by_uid=True, condstore=True) == (
        b"* 3 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (9))\r\n* 2 EXPUNGE\r\n"
    )


def test_new_keywords_are_announced_before_their_first_use() -> None:
    view = view_of([1])
    what = changes([1], keywords=("$Junk",), changed_uids=(1,), changed_flags=(32,), changed_modseqs=(2,))
    said = tell(view, what).split(b"\r\n")
    assert said[0] == b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)"
    assert said[1].startswith(b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk \\*)]")
    assert said[2] == b"* 1 FETCH (FLAGS ($Junk))"


def test_recent_messages_show_it_and_are_counted_until_they_go() -> None:
    view = view_of([1, 2, 3], recent=Ranges.of(2, 3))
    assert view.flags_of([1, 2, 3], [0, 1, 0]) == [b"()", b"(\\Seen \\Recent)", b"(\\Recent)"]
    assert tell(view, changes([1, 2], vanished=Ranges.of(3))) == b"* 3 EXPUNGE\r\n* 1 RECENT\r\n"
    said = tell(view, changes([1, 2, 7], 3, new=Ranges.of(7), recent=Ranges.of(7)))
    assert said == b"* 3 EXISTS\r\n* 2 RECENT\r\n"


def test_examine_has_no_permanent_flags() -> None:
    assert b"[PERMANENTFLAGS ()]" in view_of([1], read_only=True).flags_reply()


def test_large_changes_come_in_bounded_chunks() -> None:
    uids = list(range(1, 5001))
    view = view_of(uids)
    what = changes([], vanished=Ranges.span(1, 5000), changed_uids=uids, changed_flags=[1] * 5000)
    chunks = list(view.apply(what, expunge=True, by_uid=False, condstore=False))
    assert max(map(len, chunks)) < 32768
    assert b"".join(chunks).count(b" EXPUNGE\r\n") == 5000


class Client:
    """What a client makes of the untagged replies."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.flags: dict[int, bytes] = {}  # by sequence number

    def hear(self, said: bytes) -> None:
        for line in said.split(b"\r\n"):
            match = re.match(rb"\* (\d+) (EXPUNGE|EXISTS|RECENT|FETCH)(?: \(FLAGS (\(.*\))\))?", line)
            if match is None:
                continue
            number = int(match[1])
            if match[2] == b"EXISTS":
                assert number >= self.count, "EXISTS fell"
                self.count = number
            elif match[2] == b"EXPUNGE":
                assert 1 <= number <= self.count
                self.count -= 1
                self.flags = {n - (n > number): flag for n, flag in self.flags.items() if n != number}
            elif match[2] == b"FETCH":
                assert 1 <= number <= self.count
                self.flags[number] = match[3]


operations = st.lists(
    st.tuples(st.sampled_from(["append", "expunge", "flag", "sync", "keep"]), st.integers(0, 9)), max_size=40
)


@settings(max_examples=200, deadline=None)
@given(operations)
def test_what_is_told_adds_up(steps: list[tuple[str, int]]) -> None:
    store = dict.fromkeys(range(1, 6), 0)  # uid → flags
    view = view_of(list(store))
    client = Client(5)
    seen_uids, next_uid, cursor = set(store), 6, 1
    flagged: set[int] = set()
    told: dict[int, bytes] = {}
    for what, n in [*steps, ("sync", 0)]:
        alive = sorted(store)
        if what == "append":
            store[next_uid] = 0
            next_uid += 1
        elif what == "expunge" and alive:
            del store[alive[n % len(alive)]]
        elif what == "flag" and alive:
            uid = alive[n % len(alive)]
            store[uid] ^= 1
            flagged.add(uid)
        elif what in ("sync", "keep"):
            cursor += 1
            changed = sorted(uid for uid in flagged if uid in store and uid in seen_uids)
            reply = changes(
                alive,
                cursor,
                new=Ranges.of_sorted(uid for uid in alive if uid not in seen_uids),
                vanished=Ranges.of_sorted(sorted(uid for uid in seen_uids if uid not in store)),
                changed_uids=changed,
                changed_flags=[store[uid] for uid in changed],
                changed_modseqs=[cursor] * len(changed),
            )
            said = tell(view, reply, expunge=what == "sync")
            assert what == "sync" or b"EXPUNGE" not in said
            client.hear(said)
            for uid in changed:
                told[uid] = b"(\\Seen)" if store[uid] else b"()"
            seen_uids, flagged = set(store), set()
    assert client.count == len(store) == view.count
    assert list(view.uids[: view.count]) == sorted(store)
    for number, uid in enumerate(sorted(store), 1):
        if uid in told:
            assert client.flags[number] == told[uid]
