"""The search engine on random trees, against evaluating each message by hand; and the text it compares."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.imap.criteria import (
    All,
    And,
    Before,
    Body,
    Criteria,
    Flag,
    Header,
    Keyword,
    Larger,
    ModSeq,
    Not,
    On,
    Or,
    Recent,
    Since,
    Smaller,
    Text,
    Uids,
)
from roost.mime.parts import Limits
from roost.storage.api import FetchRequest, MessageBatch
from roost.storage.columns import Columns
from roost.storage.journal import Entry, Kind, masks_octets
from roost.storage.search import search
from roost.storage.simple.mailbox import MemoryBody
from roost.storage.text import Needle, field_matches
from roost.util.ranges import Ranges

COUNT = 30
DAY = 86_400
LIMITS = Limits()


def subject(uid: int) -> str:
    return "even" if uid % 2 == 0 else f"odd {uid % 5}"


def body(uid: int) -> str:
    return "third" if uid % 3 == 0 else "other"


class Mailbox:
    """30 messages; counts what is asked for."""

    def __init__(self) -> None:
        self.columns = Columns(("Key",))
        masks = array("Q", [(uid % 4 == 0) | (uid % 5 == 0) << 5 for uid in range(1, COUNT + 1)])
        self.columns.apply(Entry(7, Kind.APPEND, Ranges.span(1, COUNT), masks_octets(masks)))
        self.asked: list[int] = []

    async def list_messages(self, uids: Ranges, request: FetchRequest) -> AsyncIterator[MessageBatch]:
        wanted = [uid for uid in uids if uid <= COUNT]
        self.asked += wanted
        for at in range(0, len(wanted), 4):
            part = wanted[at : at + 4]
            batch = MessageBatch(part)
            batch.sizes = [100 * uid for uid in part]
            batch.internal_dates = [uid * DAY // 2 for uid in part]
            batch.headers = [f"Subject: {subject(uid)}\r\n".encode() for uid in part]
            batch.contents = [MemoryBody(f"Subject: {subject(uid)}\r\n\r\n{body(uid)}\r\n".encode()) for uid in part]
            yield batch


def holds(criteria: Criteria, uid: int) -> bool:
    match criteria:
        case All():
            return True
        case And(keys):
            return all(holds(key, uid) for key in keys)
        case Or(keys):
            return any(holds(key, uid) for key in keys)
        case Not(key):
            return not holds(key, uid)
        case Uids(uids):
            return uid in uids  # type: ignore[operator]  # Ranges here
        case Flag(_, present):
            return (uid % 4 == 0) == present
        case Keyword(_, present):
            return (uid % 5 == 0) == present
        case Larger(octets):
            return 100 * uid > octets
        case Smaller(octets):
            return 100 * uid < octets
        case Before(day):
            return uid // 2 < day
        case Since(day):
            return uid // 2 >= day
        case On(day):
            return uid // 2 == day
        case Header(_, needle):
            return needle in subject(uid)
        case Body(needle):
            return needle in body(uid)
        case Text(needle):
            return needle in body(uid) or needle in "subject: " + subject(uid)
        case ModSeq(minimum):
            return minimum <= 7
    raise AssertionError(criteria)


LEAVES = st.one_of(
    st.just(All()),
    st.builds(Uids, st.builds(lambda a, b: Ranges([(a, b)]), st.integers(1, 40), st.integers(1, 40))),
    st.builds(Flag, st.just(1), st.booleans()),
    st.builds(Keyword, st.sampled_from(["key", "KEY"]), st.booleans()),
    st.builds(Larger, st.integers(0, 3100)),
    st.builds(Smaller, st.integers(0, 3100)),
    st.builds(Before, st.integers(0, 16)),
    st.builds(Since, st.integers(0, 16)),
    st.builds(On, st.integers(0, 16)),
    st.builds(Header, st.just("subject"), st.sampled_from(["odd", "even", "3", "x"])),
    st.builds(Body, st.sampled_from(["third", "other", "e", "x"])),
    st.builds(Text, st.sampled_from(["third", "odd 1", "e", "x"])),
    st.builds(ModSeq, st.integers(6, 8)),
)
TREES = st.recursive(
    LEAVES,
    lambda keys: st.one_of(
        st.builds(Not, keys),
        st.builds(And, st.lists(keys, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(keys, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@given(TREES, st.one_of(st.none(), st.just(Ranges([(3, 9), (20, 50)]))))
@settings(max_examples=200, deadline=None)
def test_random_trees(criteria: Criteria, within: Ranges | None) -> None:
    box = Mailbox()
    result = asyncio.run(search(box, box.columns, criteria, within, LIMITS))
    universe = [uid for uid in range(1, COUNT + 1) if within is None or uid in within]
    assert list(result.uids) == [uid for uid in universe if holds(criteria, uid)]


def test_dear_keys_look_only_where_they_must() -> None:
    box = Mailbox()
    criteria = And((Body("third"), Header("subject", "even"), Flag(1)))
    assert list(asyncio.run(search(box, box.columns, criteria, None, LIMITS)).uids) == [12, 24]
    seen = [uid for uid in range(1, COUNT + 1) if uid % 4 == 0]
    assert box.asked == seen * 2  # headers of the seen ones, then bodies of those with the subject
    box = Mailbox()
    assert list(asyncio.run(search(box, box.columns, Or((Body("x"), All())), None, LIMITS)).uids)[-1] == COUNT
    assert box.asked == []


def test_unresolved_keys_are_our_bug() -> None:
    box = Mailbox()
    with pytest.raises(TypeError):
        asyncio.run(search(box, box.columns, Recent(), None, LIMITS))


@pytest.mark.parametrize(
    ("header", "needle", "found"),
    [
        (b"Subject: Hello World\r\n", "lo wo", True),
        (b"Subject: Hello World\r\n", "subject", False),
        (b"Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?= an alle\r\n", "GR\u00dcSSE AN", True),
        (b"Subject: one\r\n two\r\n", "one two", True),
        (b"Subject: a\r\nSubject: b\r\n", "b", True),
        (b"Subject: \xe9t\xe9\r\n", "x", False),
        (b"", "x", False),
        (b"", "", False),
        (b"X:\r\n", "", True),
    ],
)
def test_fields(header: bytes, needle: str, found: bool) -> None:
    assert list(field_matches(needle)([header])) == [found]
    assert list(field_matches(needle)([header, b"", header])) == [found, False, found]


@pytest.mark.parametrize(
    ("needle", "in_body", "in_message"),
    [("visible", True, True), ("attached secret", True, True), ("outer", False, True), ("inner subject", True, True),
     ("Y2FuJ3Q", False, False), ("gr\u00fc\u00dfe", True, True), ("boundary", False, True), ("nowhere", False, False)],
)  # fmt: skip
def test_needles(needle: str, in_body: bool, in_message: bool) -> None:
    data = (
        b"Subject: Outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
        b"\r\nVisi=\r\nble Gr=C3=BC=C3=9Fe\r\n--b\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nY2FuJ3Q=\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\n\r\nSubject: Inner Subject\r\n\r\nattached SECRET\r\n--b--\r\n"
    )
    assert Needle(needle, LIMITS).in_body(data) is in_body
    assert Needle(needle, LIMITS).in_message(data) is in_message


@given(st.text(alphabet="ab \r\n:=?", max_size=60), st.text(alphabet="ab =", min_size=1, max_size=3))
@settings(max_examples=200)
def test_the_short_cut_never_lies(text: str, needle: str) -> None:
    data = text.encode()
    fast, slow = Needle(needle, LIMITS), Needle(needle, LIMITS)
    slow._octets = b""
    assert fast.in_message(data) == slow.in_message(data)
    assert fast.in_body(data) == slow.in_body(data)
