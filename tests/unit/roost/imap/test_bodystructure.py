"""BODY and BODYSTRUCTURE: every kind of part, exact texts."""

from __future__ import annotations

from roost.imap.bodystructure import bodystructure, both
from roost.mime.parts import Limits, parse

MIXED = b"""From: user@domain.org
Mime-Version: 1.0
Content-Type: multipart/mixed; boundary="foo
 bar"

Root prologue

--foo bar
Content-Type: text/x-myown; charset=us-ascii; foo="quoted\\"string"
Content-ID: <foo@example.com>
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-Disposition: inline; foo=bar
Content-Description: hellodescription
Content-Language: en, fi, se
Content-Location: http://example.com/test.txt

hello

--foo bar
Content-Type: message/rfc822

From: sub@domain.org
To: sub-to1@domain.org, sub-to2@domain.org
Date: Sun, 12 Aug 2012 12:34:56 +0300
Subject: submsg
Content-Type: multipart/alternative; boundary="sub1"

Sub MIME prologue
--sub1
Content-Type: text/html
Content-Transfer-Encoding: 8bit

<p>Hello world</p>

--sub1
Content-Type: text/plain
Content-Transfer-Encoding: ?invalid

Hello another world

--sub1--
Sub MIME epilogue

--foo bar--
Root MIME epilogue
""".replace(b"\n", b"\r\n")

INNER_ENVELOPE = (
    b'("Sun, 12 Aug 2012 12:34:56 +0300" "submsg" ((NIL NIL "sub" "domain.org")) ((NIL NIL "sub" "domain.org")) '
    b'((NIL NIL "sub" "domain.org")) ((NIL NIL "sub-to1" "domain.org")(NIL NIL "sub-to2" "domain.org")) '
    b"NIL NIL NIL NIL)"
)


def test_everything_at_once() -> None:
    long, short = both(parse(MIXED))
    first = (
        b'("text" "x-myown" ("charset" "us-ascii" "foo" "quoted\\"string") '
        b'"<foo@example.com>" "hellodescription" "7bit" 7 1'
    )
    assert long == (
        b"("
        + first
        + b' "Q2hlY2sgSW50ZWdyaXR5IQ==" ("inline" ("foo" "bar")) ("en" "fi" "se") "http://example.com/test.txt")'
        b'("message" "rfc822" NIL NIL NIL "7bit" 412 ' + INNER_ENVELOPE + b" ("
        b'("text" "html" ("charset" "us-ascii") NIL NIL "8bit" 20 1 NIL NIL NIL NIL)'
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 21 1 NIL NIL NIL NIL)'
        b' "alternative" ("boundary" "sub1") NIL NIL NIL) 21 NIL NIL NIL NIL)'
        b' "mixed" ("boundary" "foo bar") NIL NIL NIL)'
    )
    assert short == (
        b"(" + first + b')("message" "rfc822" NIL NIL NIL "7bit" 412 ' + INNER_ENVELOPE + b" ("
        b'("text" "html" ("charset" "us-ascii") NIL NIL "8bit" 20 1)'
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 21 1) "alternative") 21) "mixed")'
    )
    assert bodystructure(parse(MIXED)) == long
    assert bodystructure(parse(MIXED), extended=False) == short


def one(message: bytes) -> bytes:
    return bodystructure(parse(message.replace(b"\n", b"\r\n")))


def test_single_parts() -> None:
    assert one(b"Subject: x\n\nhello\nworld") == (
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 12 1 NIL NIL NIL NIL)'
    )
    assert one(b"") == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'
    assert one(b"Content-Type: image/PNG; name=x\nContent-Transfer-Encoding: BASE64\n\nAAAA\n") == (
        b'("image" "png" ("name" "x") NIL NIL "BASE64" 6 NIL NIL NIL NIL)'
    )
    assert one(b"Content-Type: garbage\n\nx") == (
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)'
    )


def test_parameters_go_out_joined_and_still_encoded() -> None:
    assert one(
        b"Content-Type: application/x; name*0*=utf-8''a%20;\n name*1=b; NAME=\"\"\nContent-Disposition: attachment;\n"
        b" filename*=utf-8''%e2%82%ac.pdf\n\n"
    ) == (
        b'("application" "x" ("NAME" "" "name*" "utf-8\'\'a%20b") NIL NIL "7bit" 0 NIL '
        b'("attachment" ("filename*" "utf-8\'\'%e2%82%ac.pdf")) NIL NIL)'
    )


def test_8_bit_is_never_quoted() -> None:
    assert b'("name" {1}\r\n\xe9)' in one(b'Content-Type: application/x; name="\xe9"\n\n')
    assert b"{1}\r\n\xe9" in one(b"Content-Type: application/x\nContent-Description: \xe9\n\n")


def test_a_multipart_always_has_a_part() -> None:
    message = b"Content-Type: multipart/mixed; boundary=x\n\nno parts\n"
    empty = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'
    assert one(message) == b"(" + empty + b' "mixed" ("boundary" "x") NIL NIL NIL)'
    assert bodystructure(parse(message), extended=False) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")'
    )
    assert one(b"Content-Type: multipart/mixed\n\n--\n").startswith(b'("text" "plain"')


def test_an_attached_message_counts_its_lines() -> None:
    assert one(b"Content-Type: message/rfc822\n\nSubject: x\n\none\ntwo\n").endswith(
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 2 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)'
    )


def test_beyond_the_limits_it_is_an_octet_stream() -> None:
    deep = b"Content-Type: message/rfc822\r\n\r\n" * 5
    found = bodystructure(parse(deep, Limits(max_depth=3)))
    assert found.count(b'"message" "rfc822"') == 3
    assert found.count(b'"application" "octet-stream"') == 1


def test_a_very_deep_message_needs_no_deep_stack() -> None:
    deep = b"Content-Type: message/rfc822\r\n\r\n" * 5000
    limits = Limits(max_depth=5000, max_header_octets=1 << 30, max_fields=1 << 30)
    long, short = both(parse(deep, limits))
    assert long.count(b'"rfc822"') == short.count(b'"rfc822"') == 5000
