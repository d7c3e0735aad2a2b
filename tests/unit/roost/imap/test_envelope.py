"""ENVELOPE: the ten fields, what is missing, groups, routes, comments, and text that cannot be quoted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.imap.envelope import address_list, envelope
from roost.mime.addresses import Budget
from roost.mime.header import field_values


def of(header: str) -> bytes:
    return envelope(field_values(header.replace("\n", "\r\n").encode("latin-1")))


FROM = b'((NIL NIL "user" "domain"))'
DATE = "Date: Thu, 15 Feb 2007 01:02:03 +0200\n"


def test_all_ten_fields() -> None:
    assert of(
        "Message-ID: <msg@id>\nIn-Reply-To: <reply@to.id>\n" + DATE + "Subject: subject header\n"
        "From: From Real <fromuser@fromdomain.org>\nTo: To Real <touser@todomain.org>\n"
        "Cc: Cc Real <ccuser@ccdomain.org>\nBcc: Bcc Real <bccuser@bccdomain.org>\n"
        "Sender: Sender Real <senderuser@senderdomain.org>\nReply-To: ReplyTo Real <replytouser@replytodomain.org>\n"
    ) == (
        b'("Thu, 15 Feb 2007 01:02:03 +0200" "subject header" (("From Real" NIL "fromuser" "fromdomain.org")) '
        b'(("Sender Real" NIL "senderuser" "senderdomain.org")) '
        b'(("ReplyTo Real" NIL "replytouser" "replytodomain.org")) '
        b'(("To Real" NIL "touser" "todomain.org")) (("Cc Real" NIL "ccuser" "ccdomain.org")) '
        b'(("Bcc Real" NIL "bccuser" "bccdomain.org")) "<reply@to.id>" "<msg@id>")'
    )


@pytest.mark.parametrize(
    "extra", ["", "Sender: \nReply-To: \n", "Sender:\nReply-To: ,\n", "To:\nCc: ,,\nBcc: (nobody)\n"]
)
def test_missing_and_empty_addresses(extra: str) -> None:
    assert of("From: user@domain\n" + extra) == b"(NIL NIL %s %s %s NIL NIL NIL NIL NIL)" % (FROM, FROM, FROM)


def test_nothing_at_all() -> None:
    assert of("") == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def test_empty_text_is_not_missing() -> None:
    assert of("Date:\nSubject: \nMessage-ID:\n") == b'("" "" NIL NIL NIL NIL NIL NIL NIL "")'


def test_text_is_unfolded_and_otherwise_kept() -> None:
    assert of("Subject: one\n  two\n\tthree \n") == b'(NIL "one two three" NIL NIL NIL NIL NIL NIL NIL NIL)'
    assert of("Subject: =?utf-8?q?x?=\n").split(b" ")[1] == b'"=?utf-8?q?x?="'
    assert of('Subject: a "b" \\c\n') == b'(NIL "a \\"b\\" \\\\c" NIL NIL NIL NIL NIL NIL NIL NIL)'


def test_8_bit_text_is_a_literal() -> None:
    assert of("Subject: caf\xe9\n") == b"(NIL {4}\r\ncaf\xe9 NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert b"(({1}\r\n\xe9 NIL" in of("From: \xe9 <a@b>\n")
    assert b"\x00" not in of("Subject: a\x00b\nFrom: a\x00b <c@d\x00>\n")


def test_repeated_fields() -> None:
    assert of("Subject: one\nSubject: two\n").split(b" ")[1] == b'"two"'
    assert b'((NIL NIL "a" "b")(NIL NIL "c" "d"))' in of("To: a@b\nSubject: x\nTo: c@d\n")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"user@domain (Real Name)", b'(("Real Name" NIL "user" "domain"))'),
        (
            b"group: g1@d1.org, g2@d2.org;, group2: g3@d3.org;",
            b'((NIL NIL "group" NIL)(NIL NIL "g1" "d1.org")(NIL NIL "g2" "d2.org")(NIL NIL NIL NIL)'
            b'(NIL NIL "group2" NIL)(NIL NIL "g3" "d3.org")(NIL NIL NIL NIL))',
        ),
        (
            b"group:;, group2: (foo) ;",
            b'((NIL NIL "group" NIL)(NIL NIL NIL NIL)(NIL NIL "group2" NIL)(NIL NIL NIL NIL))',
        ),
        (b"<@route:user@domain>", b'((NIL "@route" "user" "domain"))'),
        (b'""@x', b'((NIL NIL "" "x"))'),
        (b'"a\\"b" <"c d"@e>', b'(("a\\"b" NIL "c d" "e"))'),
        (b"", b"NIL"),
    ],
)
def test_address_lists(value: bytes, wanted: bytes) -> None:
    assert address_list(value) == wanted


def test_one_budget_for_all_fields() -> None:
    fields = dict.fromkeys((b"from", b"to", b"cc"), b"a@b, " * 10)
    budget = Budget(15)
    assert envelope(fields, budget).count(b'"b"') == 10 * 3 + 5  # From stands three times
    assert budget.addresses == 0
    assert envelope(fields, budget) == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


@given(st.dictionaries(st.sampled_from([b"from", b"to", b"subject", b"date", b"sender"]), st.binary(max_size=60)))
def test_no_octets_raise_and_parentheses_balance(fields: dict[bytes, bytes]) -> None:
    wire = envelope(fields)
    assert wire.startswith(b"(")
    assert wire.endswith(b")")


@pytest.mark.parametrize("value", [b"a@b", b"Ann Lee <a@b>", b"g: a@b, (x) c@d;", b"a b c", b'"x" <a@b>,c@d'])
def test_remembered_lists_count_against_the_budget(value: bytes) -> None:
    def spent(times: int, text: bytes) -> tuple[int, int]:
        budget = Budget()
        for _ in range(times):
            address_list(text, budget)
        return budget.addresses, budget.tokens

    once, twice = spent(1, value), spent(2, value)
    full = Budget()
    long = spent(1, value + b" " * 500)  # too long to be remembered
    assert once == long
    assert full.addresses - twice[0] == 2 * (full.addresses - once[0])
    assert full.tokens - twice[1] == 2 * (full.tokens - once[1])


def test_a_budget_that_is_nearly_spent_bounds_short_lists() -> None:
    assert address_list(b"a@b, c@d", Budget()) == b'((NIL NIL "a" "b")(NIL NIL "c" "d"))'
    assert address_list(b"a@b, c@d", Budget(1)) == b'((NIL NIL "a" "b"))'
