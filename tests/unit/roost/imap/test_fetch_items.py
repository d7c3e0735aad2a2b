"""FETCH items: every item, every section form, labels of the reply, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.errors import Malformed
from roost.imap import fetch_items
from roost.imap.args import Args
from roost.imap.assembler import Complete
from roost.imap.fetch_items import FetchArgs, Section


def parse(raw: bytes, *literals: object) -> FetchArgs:
    return fetch_items.parse(Args(Complete(raw, literals)))


def labels(raw: bytes) -> list[bytes]:
    return [item.label for item in parse(raw).items]


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"FLAGS", [b"FLAGS"]),
        (b"(FLAGS)", [b"FLAGS"]),
        (b"( flags  Uid )", [b"FLAGS", b"UID"]),
        (b"(UID FLAGS UID)", [b"UID", b"FLAGS"]),
        (b"FAST", [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"]),
        (b"all", [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"]),
        (b"FULL", [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE", b"BODY"]),
        (b"(BODYSTRUCTURE BODY MODSEQ)", [b"BODYSTRUCTURE", b"BODY", b"MODSEQ"]),
        (
            b"(RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)",
            [b"RFC822", b"RFC822.HEADER", b"RFC822.TEXT", b"RFC822.SIZE"],
        ),
        (b"BODY[]", [b"BODY[]"]),
        (b"body.peek[header]", [b"BODY[HEADER]"]),
        (b"BODY[1.2.mime]", [b"BODY[1.2.MIME]"]),
        (b"BODY[]<5.10>", [b"BODY[]<5>"]),
        (b"BODY.PEEK[HEADER.FIELDS (Date from)]", [b"BODY[HEADER.FIELDS (DATE FROM)]"]),
        (b'BODY[HEADER.FIELDS.NOT ( "X Y" )]<0.1>', [b'BODY[HEADER.FIELDS.NOT ("X Y")]<0>']),
        (b"(BODY[1] BODY.PEEK[2])", [b"BODY[1]", b"BODY[2]"]),
    ],
)
def test_labels(raw: bytes, wanted: list[bytes]) -> None:
    assert labels(raw) == wanted


@pytest.mark.parametrize(
    ("raw", "section"),
    [
        (b"RFC822", Section()),
        (b"RFC822.HEADER", Section(part="HEADER")),
        (b"RFC822.TEXT", Section(part="TEXT")),
        (b"BODY[]", Section()),
        (b"BODY[text]", Section(part="TEXT")),
        (b"BODY[12]", Section((12,))),
        (b"BODY[1.2.3]", Section((1, 2, 3))),
        (b"BODY[1.HEADER]", Section((1,), "HEADER")),
        (b"BODY[1.2.HEADER.FIELDS (A b)]", Section((1, 2), "HEADER.FIELDS", (b"a", b"b"))),
        (b"BODY[HEADER.FIELDS.NOT (A a B)]", Section((), "HEADER.FIELDS.NOT", (b"a", b"b"))),
        (b"BODY[header.fields (NIL)]", Section((), "HEADER.FIELDS", (b"nil",))),
    ],
)
def test_sections(raw: bytes, section: Section) -> None:
    assert parse(raw).items[0].section == section


def test_field_names_may_be_literals() -> None:
    item = parse(b"(BODY[HEADER.FIELDS (\n from)])", b"Subject").items[0]
    assert item.section == Section((), "HEADER.FIELDS", (b"subject", b"from"))
    assert item.label == b"BODY[HEADER.FIELDS (SUBJECT FROM)]"
    assert parse(b"BODY[HEADER.FIELDS (\n)]", b"\xe9").items[0].label == b"BODY[HEADER.FIELDS ({1}\r\n\xe9)]"


def test_partials_and_seen() -> None:
    assert parse(b"BODY[]<0.9223372036854775807>").items[0].partial == (0, 2**63 - 1)
    assert parse(b"BODY[]<7>").items[0].partial == (7, 2**63 - 1)
    assert parse(b"BODY[]<7.0>").items[0].partial == (7, 0)
    assert parse(b"BODY[0]").items[0].section == Section((0,))
    assert parse(b"(FLAGS BODY[])").sets_seen
    assert parse(b"RFC822").sets_seen
    assert parse(b"RFC822.TEXT").sets_seen
    assert not parse(b"(BODY.PEEK[] RFC822.HEADER BODY BODYSTRUCTURE ENVELOPE)").sets_seen


def test_changed_since() -> None:
    assert parse(b"(FLAGS) (CHANGEDSINCE 12345)").changed_since == 12345
    assert parse(b"FLAGS ( changedsince 0 )").changed_since == 0
    assert parse(b"FLAGS ").changed_since is None


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"()", b"(", b"(FLAGS", b"FLAGS)", b"FLAGS UID", b"FOO", b"(ALL)", b"(FLAGS(UID))", b'"FLAGS"',
        b"BODY[", b"BODY[]]", b"BODY[1.]", b"BODY[.1]", b"BODY[MIME]", b"BODY[1.FOO]", b"BODY[HEADERX]",
        b"BODY[TEXT.1]", b"BODY[HEADER.FIELDS]", b"BODY[HEADER.FIELDS ()]", b"BODY[HEADER.FIELDS (a]",
        b"BODY[HEADER.FIELDS (a)", b"BODY[ ]", b"BODY[HEADER.FIELDS(a)]",
        b"BODY[]<1.2", b"BODY[]<-1.2>", b"BODY[]<9223372036854775808.1>", b"FLAGS[]", b"RFC822.PEEK",
        b"BODYSTRUCTURE[]", b"FLAGS (FOO 1)", b"FLAGS (CHANGEDSINCE)", b"FLAGS (CHANGEDSINCE x)",
        b"FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)", b"FLAGS CHANGEDSINCE 1", b"BODY[12345678901]", b"BODY.PEEK",
    ],
)  # fmt: skip
def test_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse(raw)
    with pytest.raises(Malformed):  # what was refused is not remembered either
        parse(raw)


def test_remembered_and_fresh_parses_agree() -> None:
    raw = b"(UID BODY.PEEK[HEADER.FIELDS (From)] FLAGS)"
    assert parse(raw) is parse(raw)
    assert parse(raw) == fetch_items._parse(Args(Complete(raw)))
    long = b"(" + b"FLAGS " * 500 + b"UID)"
    assert labels(long) == [b"FLAGS", b"UID"]


@given(
    st.lists(
        st.sampled_from(
            [b"BODY", b"[", b"]", b"(", b")", b"<", b">", b".", b"1", b" ", b"HEADER", b".FIELDS", b"FLAGS", b"x"]
        ),
        max_size=14,
    )
)
def test_no_text_raises_anything_else(pieces: list[bytes]) -> None:
    try:
        parse(b"".join(pieces))
    except Malformed:
        pass
