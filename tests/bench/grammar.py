"""Microseconds of CPU of the sans-IO hot paths: ``python tests/bench/grammar.py``.

The best of several runs, so that a busy machine disturbs little. Each row names its target; one above it says so.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable
from pathlib import Path
from time import process_time

sys.path.insert(0, str(Path(__file__).parents[2]))

from roost.imap import fetch_items, search_keys, seqset
from roost.imap.args import Args
from roost.imap.assembler import Assembler, Complete
from roost.imap.bodystructure import both
from roost.imap.envelope import envelope
from roost.imap.flags import FlagTexts
from roost.mime import parts
from roost.mime.header import select_fields

HEADER = b"""Return-Path: <alice@example.com>
Delivered-To: bob@example.org
Received: from mail.example.com (mail.example.com [192.0.2.1])
 by mx.example.org (Postfix) with ESMTPS id 4ABCDEF
 for <bob@example.org>; Mon, 5 Jan 2026 10:00:00 +0000 (UTC)
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=mail;
 bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=;
 b=BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB
Message-ID: <CAF0123456789@mail.example.com>
Date: Mon, 5 Jan 2026 11:00:00 +0100
From: Alice Example <alice@example.com>
To: Bob <bob@example.org>, "Carol, C." <carol@example.org>
Cc: dave@example.net
Subject: Quarterly numbers and the plan for February
In-Reply-To: <x@y>
References: <x@y> <z@w>
MIME-Version: 1.0
"""
TEXT = b"Hello there, this is a line of text that is about this long.\n"
PLAIN = (HEADER + b"Content-Type: text/plain; charset=utf-8\n\n" + TEXT * 52).replace(b"\n", b"\r\n")
MULTIPART = (
    HEADER + b'Content-Type: multipart/mixed; boundary="0000aaaa"\n\n--0000aaaa\n'
    b'Content-Type: multipart/alternative; boundary="0000bbbb"\n\n--0000bbbb\n'
    b'Content-Type: text/plain; charset="UTF-8"\n\n' + TEXT * 20 + b"\n--0000bbbb\n"
    b'Content-Type: text/html; charset="UTF-8"\nContent-Transfer-Encoding: quoted-printable\n\n'
    + TEXT * 22 + b'\n--0000bbbb--\n--0000aaaa\nContent-Type: application/pdf; name="report.pdf"\n'
    b'Content-Disposition: attachment; filename="report.pdf"\nContent-Transfer-Encoding: base64\n\n'
    + (b"A" * 76 + b"\n") * 36 + b"--0000aaaa--\n"
).replace(b"\n", b"\r\n")  # fmt: skip
SET_500 = b",".join(b"%d:%d" % (n * 10, n * 10 + 4) for n in range(1, 501))
KEYS = b'UNDELETED OR FROM alice SUBJECT "numbers" SINCE 1-Jan-2026'
WANTED = frozenset((b"from", b"to", b"cc", b"subject", b"date", b"message-id"))


def lines(line: bytes, read: Callable[[Args], object]) -> Callable[[], object]:
    """1000 copies of ``line`` from the buffer to values."""
    assembler = Assembler(65536)

    def run() -> None:
        assembler.feed(line * 1000)
        for _ in range(1000):
            event = assembler.next_event()
            assert isinstance(event, Complete)
            read(Args(event))

    return run


def noop(args: Args) -> None:
    args.command()


def uid_fetch(args: Args) -> None:
    args.command()
    args.space()
    args.seqset()
    args.space()
    fetch_items.parse(args)


def message(data: bytes) -> Callable[[], object]:
    def run() -> None:
        tree = parts.parse(data)
        envelope(tree.fields)
        both(tree)

    return run


TEXTS = FlagTexts(["$Junk"])
MASKS = [n % 32 for n in range(1000)]
ROWS: tuple[tuple[str, Callable[[], object], int, float], ...] = (
    ("NOOP, buffer to (tag, name)", lines(b"a1 NOOP\r\n", noop), 1000, 1.0),
    ("UID FETCH 1:* (FLAGS), whole parse", lines(b"a1 UID FETCH 1:* (FLAGS)\r\n", uid_fetch), 1000, 4.0),
    ("SEARCH of four keys", lambda: search_keys.parse(Args(Complete(KEYS))), 1, 20.0),
    ("sequence set of 500 ranges", lambda: seqset.parse(SET_500), 1, 150.0),
    (f"multipart message of {len(MULTIPART)} octets, all", message(MULTIPART), 1, 90.0),
    (f"text/plain message of {len(PLAIN)} octets, all", message(PLAIN), 1, 35.0),
    ("HEADER.FIELDS of six fields", lambda: select_fields(PLAIN, WANTED), 1, 10.0),
    ("flag text of one mask", lambda: [TEXTS[mask] for mask in MASKS], 1000, 0.1),
)


def main() -> None:
    for name, run, per, target in ROWS:
        number = max(1, 2000 // per)
        took = min(timeit.repeat(run, timer=process_time, number=number, repeat=25)) / number / per * 1e6
        print(f"{name:45} {took:8.2f} µs   target {target:6.1f}{'   ABOVE' if took > target else ''}")


if __name__ == "__main__":
    main()
