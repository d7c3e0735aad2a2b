"""Realistic messages that are the same at every run: seeded words, a plain text or a multipart of a given size."""

from __future__ import annotations

import base64
import random

_WORDS = [
    "harbour",
    "lantern",
    "river",
    "feather",
    "morning",
    "report",
    "invoice",
    "meeting",
    "window",
    "garden",
    "copper",
    "signal",
    "ledger",
    "apple",
    "winter",
    "quarter",
    "budget",
    "flight",
    "ticket",
    "number",
    "answer",
    "question",
    "please",
    "regards",
    "thanks",
    "kindly",
    "attached",
    "document",
    "version",
    "final",
    "draft",
    "review",
    "street",
    "market",
    "bridge",
    "letter",
    "station",
    "yellow",
    "simple",
    "narrow",
    "public",
    "common",
    "little",
]
_NAMES = [
    "Ada",
    "Bela",
    "Cleo",
    "Dora",
    "Emil",
    "Finn",
    "Gita",
    "Hugo",
    "Iris",
    "Jan",
    "Kaya",
    "Lars",
    "Mina",
    "Nils",
    "Olga",
    "Pia",
]


def message(number: int, size_octets: int) -> bytes:
    """Message ``number`` of about ``size_octets``, with CRLF; every third is a multipart with an attachment."""
    rng = random.Random(number * 7919 + size_octets)
    sender, recipient = rng.choice(_NAMES), rng.choice(_NAMES)
    head = [
        f"Return-Path: <{sender.lower()}@example.org>",
        f"Received: from mx{rng.randrange(9)}.example.org (mx.example.org [192.0.2.{rng.randrange(255)}])",
        f"\tby mail.example.net with ESMTPS id {rng.randrange(1 << 40):x};"
        f" Sat, 21 Nov 2026 10:{number % 60:02d}:00 +0000",
        f"From: {sender} Example <{sender.lower()}@example.org>",
        f"To: {recipient} Example <{recipient.lower()}@example.net>, list@example.net",
        f"Subject: {' '.join(rng.choices(_WORDS, k=5))} {number}",
        f"Date: Sat, 21 Nov 2026 10:{number % 60:02d}:{number % 59:02d} +0000",
        f"Message-ID: <{number}.{rng.randrange(1 << 40):x}@example.org>",
        f"References: <{number // 2}.thread@example.org> <{number // 3}.thread@example.org>",
        "MIME-Version: 1.0",
        "User-Agent: Example Mail 7.1",
        "X-Spam-Status: No, score=-1.9",
    ]
    room = max(200, size_octets - sum(len(line) + 2 for line in head) - 100)
    if number % 3:
        head.append("Content-Type: text/plain; charset=utf-8; format=flowed")
        body = _text(rng, room)
    else:
        head.append('Content-Type: multipart/mixed; boundary="=_cut"')
        half = _text(rng, room // 2)
        blob = base64.encodebytes(rng.randbytes(room * 3 // 10)).decode().replace("\n", "\r\n")
        body = (
            f"--=_cut\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{half}\r\n"
            '--=_cut\r\nContent-Type: application/pdf; name="report.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="report.pdf"\r\n\r\n{blob}\r\n--=_cut--\r\n'
        )
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


def _text(rng: random.Random, octets: int) -> str:
    lines: list[str] = []
    size = 0
    while size < octets:
        lines.append(" ".join(rng.choices(_WORDS, k=9)))
        size += len(lines[-1]) + 2
    return "\r\n".join(lines) + "\r\n"
