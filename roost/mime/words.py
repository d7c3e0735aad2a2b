"""Encoded words in header text (RFC 2047): octets to ``str``. Never raises, linear time.

    encoded-word = "=?" charset ["*" language] "?" ("B" / "Q") "?" encoded-text "?="

White space between two encoded words is not part of the text. Neighbouring words of one charset and encoding are joined
before decoding, since senders cut in the middle of a character. A word that cannot be decoded stays as it is.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp

from roost.mime.charsets import codec, decode, decode_unknown
from roost.mime.header import unfold

_WORD = re.compile(rb"=\?([A-Za-z0-9_.:()+-]{1,40}+)(?:\*[A-Za-z0-9-]*+)?\?([BbQq])\?([^?\x00-\x1f]*+)\?=")
_WHITE = re.compile(rb"[ \t\r\n]*")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def decode_words(value: bytes) -> str:
    """The text of an unfolded header value."""
    if b"=?" not in value:
        return decode_unknown(value) if not value.isascii() else value.decode("ascii")
    parts: list[str] = []
    pos = 0
    run: list[bytes] = []  # decoded octets of neighbouring words of one charset
    run_charset = ""
    for match in _WORD.finditer(value):
        octets = _octets(match[2], match[3])
        charset = match[1].decode("ascii").lower()
        if octets is None or codec(charset) is None:
            continue
        between = value[pos : match.start()]
        if run and not between.strip():
            if charset != run_charset:
                parts.append(decode(b"".join(run), run_charset))
                run = []
        else:
            if run:
                parts.append(decode(b"".join(run), run_charset))
                run = []
            parts.append(decode_unknown(between))
        run.append(octets)
        run_charset = charset
        pos = match.end()
    if run:
        parts.append(decode(b"".join(run), run_charset))
    parts.append(decode_unknown(value[pos:]))
    return "".join(parts)


def header_text(raw_value: bytes) -> str:
    """The text of a raw (folded) header value."""
    return decode_words(unfold(raw_value))


def _octets(encoding: bytes, text: bytes) -> bytes | None:
    if encoding in b"Qq":
        return a2b_qp(text, header=True)
    clean = _NOT_BASE64.sub(b"", text)
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    try:
        return a2b_base64(clean + b"=" * (-len(clean) % 4))
    except Base64Error:
        return None
