"""Content-Type and Content-Disposition values (RFC 2045 §5.1, RFC 2183): the type and its parameters as they are
written.

RFC 2231 continuations (``name*0=…; name*1*=…``) are joined into ``name`` or, if any piece is encoded, ``name*``, as
Dovecot hands them to clients; charsets and %-escapes stay for the client to decode.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import Final

from roost.mime.header import unescape, unfold

_TOKEN = rb"[^\x00-\x20\x7f-\xff()<>@,;:\\\"/\[\]?=]"
_TYPE = re.compile(rb"\s*+(" + _TOKEN + rb"++)\s*+/\s*+(" + _TOKEN + rb"++)\s*+")
_WORD = re.compile(rb"\s*+(" + _TOKEN + rb"++)")
# An unclosed quoted string runs to the end, so that no octet is looked at again and again.
_PARAMETER = re.compile(rb';\s*+([^\s=;"()]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)(?:"|\\?\Z)|([^\s;"()]*+))', re.DOTALL)
# The forms nearly all values have: a/b, or a/b; name=value, without comments, escapes or continuations.
_USUAL = re.compile(
    rb"([A-Za-z]++)/([A-Za-z0-9.+-]++)(?:;[ \t\r\n]*+([A-Za-z-]++)="
    rb"(?:\"([ !#-'+-\[\]-~]*+)\"|([A-Za-z0-9._=+/:'-]++)))?[ \r\n]*+"
)
_USUAL_DISPOSITION = re.compile(
    rb"([A-Za-z]++)(?:;[ \t\r\n]*+([A-Za-z-]++)=(?:\"([ !#-'+-\[\]-~]*+)\"|([A-Za-z0-9._=+/:'-]++)))?[ \r\n]*+"
)
_USUAL_TOKEN = re.compile(rb"([A-Za-z0-9-]++)\r?")
_PIECE = re.compile(rb"([^*]+)\*([0-9]{1,4})(\*?)")
_NOT_ATTRIBUTE = re.compile(rb"[^A-Za-z0-9!#$&+.^_`{|}~-]")
_TO_COMMENT = re.compile(rb'[^("]*+(?:"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)[^("]*+)*+', re.DOTALL)
_IN_COMMENT = re.compile(rb"[()\\]")

MAX_PARAMETERS: Final = 200
_MAX_COMMENT_SIGNS = 1000
_MANY_OCTETS = 16 * 1024
_REMEMBERED_OCTETS = 80

Parameters = tuple[tuple[bytes, bytes], ...]


def content_type(raw_value: bytes | None) -> tuple[bytes, bytes, Parameters] | None:
    """``(type, subtype, parameters)``, both names in lower case; None when there is none or it is malformed."""
    if raw_value is None:
        return None
    if len(raw_value) <= _REMEMBERED_OCTETS and raw_value[:5].lower() == b"text/":
        return _text_type(raw_value)  # others mostly carry a name or boundary of their own
    return _content_type(raw_value)


def _content_type(raw_value: bytes) -> tuple[bytes, bytes, Parameters] | None:
    usual = _USUAL.fullmatch(raw_value)
    if usual is not None:
        kind, subtype, name, quoted, plain = usual.groups()
        return kind.lower(), subtype.lower(), () if name is None else ((name, quoted or plain or b""),)
    value = _without_comments(unfold(raw_value))
    match = _TYPE.match(value)
    if match is None:
        return None
    return match[1].lower(), match[2].lower(), parameters(value, match.end())


_text_type = lru_cache(maxsize=256)(_content_type)


def disposition(raw_value: bytes) -> tuple[bytes, Parameters] | None:
    """``(disposition as written, parameters)`` of a Content-Disposition, or None when it is malformed."""
    usual = _USUAL_DISPOSITION.fullmatch(raw_value)
    if usual is not None:
        kind, name, quoted, plain = usual.groups()
        return kind, () if name is None else ((name, quoted or plain or b""),)
    value = _without_comments(unfold(raw_value))
    match = _WORD.match(value)
    return None if match is None else (match[1], parameters(value, match.end()))


def token(raw_value: bytes | None) -> bytes | None:
    """The token of a field that holds just one (Content-Transfer-Encoding), or None."""
    if raw_value is None:
        return None
    match = _USUAL_TOKEN.fullmatch(raw_value) or _WORD.match(_without_comments(unfold(raw_value)))
    return match[1] if match else None


def tokens(raw_value: bytes) -> list[bytes]:
    """The comma-separated tokens of a Content-Language."""
    found = [_WORD.match(item) for item in _without_comments(unfold(raw_value)).split(b",", MAX_PARAMETERS)]
    return [match[1] for match in found if match]


def parameters(value: bytes, start: int = 0) -> Parameters:
    """The parameters from ``start`` on: (name as written, value without quotes). The first ``MAX_PARAMETERS``."""
    if b";" not in value:
        return ()
    found: list[tuple[bytes, bytes, bytes]]
    if len(value) <= _MANY_OCTETS:
        found = _PARAMETER.findall(value, start)
    else:
        found = [(each[1], each[2], each[3]) for each in islice(_PARAMETER.finditer(value, start), MAX_PARAMETERS)]
    pairs = [(name, unescape(quoted) if quoted else plain or b"") for name, quoted, plain in found[:MAX_PARAMETERS]]
    return _joined(pairs) if b"*" in value else tuple(pairs)


def _joined(pairs: list[tuple[bytes, bytes]]) -> Parameters:
    """``pairs`` with the pieces of RFC 2231 continuations made one, after the others. A piece without its forerunners
    stays as it is."""
    whole: list[tuple[bytes, bytes]] = []
    pieces: dict[bytes, dict[int, tuple[bytes, bytes, bool, bytes]]] = {}
    for name, value in pairs:
        match = _PIECE.fullmatch(name)
        if match is None:
            whole.append((name, value))
        else:
            numbered = pieces.setdefault(match[1].lower(), {})
            numbered.setdefault(int(match[2]), (match[1], value, bool(match[3]), name))
    for numbered in pieces.values():
        count = 0
        while count in numbered:
            count += 1
        row = [numbered.pop(number) for number in range(count)]
        if row:
            encoded = any(is_encoded for _, _, is_encoded, _ in row)
            texts = [_escaped(text) if encoded and not is_encoded else text for _, text, is_encoded, _ in row]
            whole.append((row[0][0] + b"*" if encoded else row[0][0], b"".join(texts)))
        whole.extend([(name, text) for _, text, _, name in numbered.values()])
    return tuple(whole)


def _escaped(text: bytes) -> bytes:
    return _NOT_ATTRIBUTE.sub(lambda found: b"%%%02x" % found[0][0], text)


def get(parameters: Parameters, name: bytes) -> bytes | None:
    """The first parameter ``name`` (lower case), or None."""
    for written, value in parameters:
        if written.lower() == name:
            return value
    return None


def _without_comments(value: bytes) -> bytes:
    """``value`` with each comment, nested ones included, made a space. An unclosed one, or too many, end the value."""
    if b"(" not in value:
        return value
    kept = []
    depth = pos = 0
    for _ in range(_MAX_COMMENT_SIGNS):
        if not depth:
            text = _TO_COMMENT.match(value, pos)
            if text is None or text.end() == len(value):
                kept.append(value[pos:])
                break
            kept.append(text[0])
            pos = text.end() + 1
            depth = 1
        sign = _IN_COMMENT.search(value, pos)
        if sign is None:
            break
        pos = sign.end()
        if sign[0] == b"(":
            depth += 1
        elif sign[0] == b")":
            depth -= 1
        else:
            pos += 1
    return b" ".join(kept)
