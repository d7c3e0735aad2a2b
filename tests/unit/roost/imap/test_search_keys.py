"""SEARCH programs: every key, structure, charsets, bounds; and resolving for a store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.errors import BadCharset, Malformed
from roost.imap import criteria as c
from roost.imap import flags, search_keys
from roost.imap.args import Args
from roost.imap.assembler import Complete
from roost.imap.search_keys import SearchProgram
from roost.imap.seqset import STAR, SeqSet, resolve
from roost.util.ranges import Ranges


def parse(raw: bytes, *literals: object) -> SearchProgram:
    return search_keys.parse(Args(Complete(raw, literals)))


DAY = 20485  # 1-Feb-2026
SEEN = c.Flag(flags.SEEN)
DELETED = c.Flag(flags.DELETED)

KEYS = {
    b"ALL": c.All(),
    b"ANSWERED": c.Flag(flags.ANSWERED),
    b"UNANSWERED": c.Flag(flags.ANSWERED, False),
    b"DELETED": DELETED,
    b"UNDELETED": c.Flag(flags.DELETED, False),
    b"DRAFT": c.Flag(flags.DRAFT),
    b"UNDRAFT": c.Flag(flags.DRAFT, False),
    b"FLAGGED": c.Flag(flags.FLAGGED),
    b"UNFLAGGED": c.Flag(flags.FLAGGED, False),
    b"SEEN": SEEN,
    b"unseen": c.Flag(flags.SEEN, False),
    b"RECENT": c.Recent(),
    b"OLD": c.Recent(False),
    b"NEW": c.And((c.Recent(), c.Flag(flags.SEEN, False))),
    b"KEYWORD NIL": c.Keyword("NIL"),
    b'KEYWORD "x"': c.Keyword("x"),
    b"UNKEYWORD $Junk": c.Keyword("$Junk", False),
    b"BCC x": c.Header("bcc", "x"),
    b"CC x": c.Header("cc", "x"),
    b"FROM NIL": c.Header("from", "NIL"),
    b'SUBJECT "a b"': c.Header("subject", "a b"),
    b"TO x": c.Header("to", "x"),
    b'HEADER X-Foo ""': c.Header("x-foo", ""),
    b"BODY x": c.Body("x"),
    b'TEXT "caf\xc3\xa9"': c.Text("café"),
    b"LARGER 0": c.Larger(0),
    b"SMALLER 9223372036854775807": c.Smaller(2**63 - 1),
    b"BEFORE 1-Feb-2026": c.Before(DAY),
    b'ON "01-Feb-2026"': c.On(DAY),
    b"SINCE 1-feb-2026": c.Since(DAY),
    b"SENTBEFORE 1-Feb-2026": c.SentBefore(DAY),
    b"SENTON 1-Feb-2026": c.SentOn(DAY),
    b"SENTSINCE 1-Feb-2026": c.SentSince(DAY),
    b"UID 4,2:3": c.Uids(SeqSet(((2, 4),))),
    b"1:*": c.Seqs(SeqSet(((1, STAR),))),
    b"*": c.Seqs(SeqSet(((STAR, STAR),))),
    b"MODSEQ 5": c.ModSeq(5),
    b'MODSEQ "/flags/\\\\draft" all 620162338': c.ModSeq(620162338),
    b"NOT SEEN": c.Not(SEEN),
    b"NOT NOT SEEN": SEEN,
    b"NOT (SEEN DELETED)": c.Not(c.And((SEEN, DELETED))),
    b"OR SEEN DELETED": c.Or((SEEN, DELETED)),
    b"OR SEEN OR DELETED ALL": c.Or((SEEN, DELETED, c.All())),
    b"OR OR SEEN DELETED ALL": c.Or((c.Or((SEEN, DELETED)), c.All())),
    b"OR (SEEN 1) NOT DELETED": c.Or((c.And((SEEN, c.Seqs(SeqSet(((1, 1),))))), c.Not(DELETED))),
    b"(SEEN)": SEEN,
    b"SEEN (DELETED 1)": c.And((SEEN, DELETED, c.Seqs(SeqSet(((1, 1),))))),
    b"( SEEN  DELETED )  ": c.And((SEEN, DELETED)),
}


@pytest.mark.parametrize("raw", KEYS)
def test_keys(raw: bytes) -> None:
    assert parse(raw).criteria == KEYS[raw]


def test_every_key_stands_in_the_table_of_tests() -> None:
    tested = {word.upper() for raw in KEYS for word in raw.replace(b"(", b" ").replace(b")", b" ").split()}
    tables = (
        search_keys.SIMPLE_KEYS,
        search_keys.FIELD_KEYS,
        search_keys.TEXT_KEYS,
        search_keys.SIZE_KEYS,
        search_keys.DATE_KEYS,
    )
    assert {key for table in tables for key in table} <= tested


def test_literals_and_charsets() -> None:
    assert parse(b"SUBJECT \n", b"a\r\nb").criteria == c.Header("subject", "a\r\nb")
    assert parse(b"CHARSET UTF-8 TEXT \n", "ä".encode()).criteria == c.Text("ä")
    assert parse(b"CHARSET iso-8859-1 TEXT \n", b"\xe4").criteria == c.Text("ä")
    assert parse(b'charset "US-ASCII" TEXT \n', "ä".encode()).criteria == c.Text("ä")
    assert parse(b"CHARSET KOI8-R TEXT \n", "Я".encode("koi8-r")).criteria == c.Text("Я")
    with pytest.raises(BadCharset):
        parse(b"CHARSET x-nothing ALL")
    with pytest.raises(BadCharset):
        parse(b"CHARSET idna TEXT x")
    with pytest.raises(Malformed):
        parse(b"TEXT \n", b"\xff")
    with pytest.raises(Malformed):
        parse(b"CHARSET UTF-8 TEXT \n", b"\xe4")


def test_return_options() -> None:
    assert parse(b"ALL").return_options is None
    assert parse(b"RETURN () ALL").return_options == ()
    found = parse(b"RETURN (MIN max) CHARSET UTF-8 1")
    assert (found.return_options, found.charset) == (("MIN", "MAX"), "UTF-8")
    assert parse(b"OR SEEN MODSEQ 1").uses_modseq
    assert not parse(b"ALL").uses_modseq


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"(", b"()", b"(SEEN", b"SEEN)", b"SEEN(DELETED)x", b"FOO", b"NOT", b"OR SEEN", b"OR",
        b"OR SEEN ", b"UID", b"UID x", b"0", b"1:", b"KEYWORD", b"SUBJECT", b"HEADER x", b"LARGER x",
        b"LARGER -1", b"LARGER 9223372036854775808", b"ON x", b"ON 32-Jan-2026", b"CHARSET UTF-8", b"CHARSET",
        b"RETURN (MIN)", b"RETURN MIN ALL", b"MODSEQ x", b'MODSEQ "/flags/x" foo 1', b"SEEN SEEN,", b'"SEEN"',
        b"\xe9", b"$", b"SEEN \x00",
    ],
)  # fmt: skip
def test_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"(" * 101 + b"ALL" + b")" * 101,
        b"NOT (" * 101 + b"ALL" + b")" * 101,
        b"OR " * 200 + b"ALL " * 201,
        b"OR ALL (" * 101 + b"ALL" + b")" * 101,
        b"ALL " * 10_001,
        b"NOT " * 10_001 + b"ALL",
        b"OR ALL " * 10_001 + b"ALL",
        b"(" * 30_000,
    ],
)
def test_bounds(raw: bytes) -> None:
    with pytest.raises(Malformed, match="Too"):
        parse(raw)


def test_just_inside_the_bounds() -> None:
    assert parse(b"(" * 100 + b"ALL" + b")" * 100).criteria == c.All()
    assert parse(b"NOT " * 9_998 + b"ALL").criteria == c.All()
    found = parse(b"OR ALL " * 3000 + b"ALL").criteria
    assert isinstance(found, c.Or)
    assert len(found.keys) == 3001


def test_limits_are_the_callers() -> None:
    with pytest.raises(Malformed):
        search_keys.parse(Args(Complete(b"((ALL))")), max_depth=1)
    with pytest.raises(Malformed):
        search_keys.parse(Args(Complete(b"ALL SEEN")), max_keys=1)


def test_resolved_for_a_store() -> None:
    tree = parse(b"OR NEW (NOT OLD 2:* UID 7:*) SEEN").criteria

    def uids_of(seqs: SeqSet) -> Ranges:
        return Ranges.of(*[n * 10 for n in resolve(seqs, 3)])

    found = c.resolve(tree, seqs=uids_of, uids=lambda uids: resolve(uids, 30), recent=Ranges.of(30))
    recent = c.Uids(Ranges.of(30))
    assert found == c.And(
        (
            c.Or(
                (
                    c.And((recent, c.Flag(flags.SEEN, False))),
                    c.And((c.Not(c.Not(recent)), c.Uids(Ranges.of(20, 30)), c.Uids(Ranges.span(7, 30)))),
                )
            ),
            SEEN,
        )
    )


WORDS = [
    b"(",
    b")",
    b" ",
    b"OR",
    b"NOT",
    b"SEEN",
    b"1:*",
    b"UID",
    b"TEXT",
    b'"x"',
    b"MODSEQ",
    b"1",
    b"KEYWORD",
    b"RETURN",
]


@given(st.lists(st.sampled_from(WORDS), max_size=20), st.sampled_from([b"", b" "]))
def test_no_text_raises_anything_else(words: list[bytes], between: bytes) -> None:
    try:
        parse(between.join(words))
    except Malformed:
        pass
