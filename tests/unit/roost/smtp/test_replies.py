"""REPLIES: one line each, codes and enhanced codes of the same class."""

from __future__ import annotations

import re

from roost.smtp.replies import REPLIES, Reply, multiline


def test_rows_are_well_formed() -> None:
    for name, reply in REPLIES.items():
        assert re.fullmatch(rb"[2345]\d\d [\x20-\x7e]+\r\n", reply.wire), name
        assert len(reply.wire) <= 512
        if reply.enhanced:
            assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", reply.enhanced), name
            assert reply.enhanced[0] == str(reply.code)[0], name
        else:
            assert reply.code in (220, 354), name
        assert reply.failed == (reply.code >= 400)


def test_text_cannot_break_the_line() -> None:
    assert Reply(550, "5.1.1", "x").line("a\r\n250 OK\x00\x7f") == b"550 5.1.1 a??250 OK??\r\n"
    assert multiline(250, ["a\r\nb", "c"]) == b"250-a??b\r\n250 c\r\n"
