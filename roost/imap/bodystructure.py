"""BODY and BODYSTRUCTURE (RFC 9051 §7.5.2): from a tree of parts to wire-ready octets.

    body-type-1part = type SP subtype SP params SP id SP desc SP enc SP octets [SP lines | SP envelope SP body SP lines]
                      [SP md5 SP dsp SP lang SP loc]
    body-type-mpart = 1*body SP subtype [SP params SP dsp SP lang SP loc]

Types are lower case; the pieces of an RFC 2231 parameter are one, its encoding stays (``name*``). A text part without
charset is shown with us-ascii, a multipart without parts with one empty text part: the grammar wants one. Deep trees
are walked with a stack of our own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from roost.imap.envelope import envelope
from roost.imap.replies import nstring, string
from roost.mime import parameters
from roost.mime.addresses import Budget
from roost.mime.header import unfold
from roost.mime.parameters import Parameters
from roost.mime.parts import Part

_PLAIN: Final = bytes(octet for octet in range(0x20, 0x7F) if octet not in b'"\\')
_REMEMBERED_OCTETS: Final = 80
_NO_PARTS = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0%s)'
_NO_EXTENSION = b" NIL NIL NIL NIL"


def bodystructure(part: Part, extended: bool = True) -> bytes:
    """BODYSTRUCTURE of a tree, or with ``extended`` False its BODY. Never raises."""
    return both(part)[0 if extended else 1]


def both(root: Part) -> tuple[bytes, bytes]:
    """``(BODYSTRUCTURE, BODY)`` in one walk."""
    if not root.children and root.type != b"multipart":
        basic = _basic(root)
        lines = b" %d" % root.lines if root.type == b"text" else b""
        return b"(%s%s%s)" % (basic, lines, _extension(root)), b"(%s%s)" % (basic, lines)
    budget = Budget()  # for the envelopes of all messages inside
    long: list[bytes] = []
    short: list[bytes] = []
    # Parts still to be written, and the two texts that close a part whose children are written.
    todo: list[Part | tuple[bytes, bytes]] = [root]
    while todo:
        part = todo.pop()
        if isinstance(part, tuple):
            long.append(part[0])
            short.append(part[1])
        elif part.type == b"multipart":
            subtype = string(part.subtype)
            more = b" %s%s" % (_parameters(part.parameters), _disposition_language_location(part))
            todo.append((b" %s%s)" % (subtype, more), b" %s)" % subtype))
            long.append(b"(")
            short.append(b"(")
            if part.children:
                todo.extend(reversed(part.children))
            else:
                long.append(_NO_PARTS % _NO_EXTENSION)
                short.append(_NO_PARTS % b"")
        else:
            basic = _basic(part)
            extension = _extension(part)
            if part.children:  # message/rfc822
                inner = part.children[0]
                opening = b"(%s %s " % (basic, envelope(inner.fields, budget))
                long.append(opening)
                short.append(opening)
                lines = b" %d" % part.lines
                todo.append((b"%s%s)" % (lines, extension), lines + b")"))
                todo.append(inner)
            else:
                lines = b" %d" % part.lines if part.type == b"text" else b""
                long.append(b"(%s%s%s)" % (basic, lines, extension))
                short.append(b"(%s%s)" % (basic, lines))
    return b"".join(long), b"".join(short)


def _basic(part: Part) -> bytes:
    """``type subtype params id desc enc octets``."""
    fields = part.fields
    encoding = fields.get(b"content-transfer-encoding", b"")
    if part.type == b"text" and len(fields.get(b"content-type", b"")) + len(encoding) <= _REMEMBERED_OCTETS:
        kind, encoding = _usual(part.subtype, part.parameters, encoding)
    else:
        kind, encoding = _kind_and_encoding(part.type, part.subtype, part.parameters, encoding)
    octets = part.stop - part.body
    if b"content-id" not in fields and b"content-description" not in fields:
        return b"%s NIL NIL %s %d" % (kind, encoding, octets)
    texts = _text(fields.get(b"content-id")), _text(fields.get(b"content-description"))
    return b"%s %s %s %s %d" % (kind, *texts, encoding, octets)


def _kind_and_encoding(kind: bytes, subtype: bytes, params: Parameters, encoding: bytes) -> tuple[bytes, bytes]:
    """``(type subtype params, enc)`` from a part's type and its raw encoding."""
    if kind == b"text" and (not params or parameters.get(params, b"charset") is None):
        params = (*params, (b"charset", b"us-ascii"))
    token = (parameters.token(encoding) if encoding else None) or b"7bit"
    return b'"%s" "%s" %s' % (kind, subtype, _parameters(params)), b'"%s"' % token


@lru_cache(maxsize=256)
def _usual(subtype: bytes, params: Parameters, encoding: bytes) -> tuple[bytes, bytes]:
    """Of a short text part: there are few different ones."""
    return _kind_and_encoding(b"text", subtype, params, encoding)


def _extension(part: Part) -> bytes:
    """`` md5 dsp lang loc``, with the space before."""
    if not _EXTENSION_FIELDS.isdisjoint(part.fields):
        return b" %s%s" % (_text(part.fields.get(b"content-md5")), _disposition_language_location(part))
    return _NO_EXTENSION


_EXTENSION_FIELDS = frozenset((b"content-md5", b"content-disposition", b"content-language", b"content-location"))


def _disposition_language_location(part: Part) -> bytes:
    get = part.fields.get
    disposition = get(b"content-disposition")
    found = None if disposition is None else parameters.disposition(disposition)
    language = get(b"content-language")
    languages = [] if language is None else parameters.tokens(language)
    return b" %s %s %s" % (
        b"NIL" if found is None else b"(%s %s)" % (string(found[0]), _parameters(found[1])),
        b"(%s)" % b" ".join([string(each) for each in languages]) if languages else b"NIL",
        _text(get(b"content-location")),
    )


def _parameters(params: Parameters) -> bytes:
    if not params:
        return b"NIL"
    return b"(%s)" % b" ".join([_string(name) + b" " + _string(value) for name, value in params])


def _string(value: bytes) -> bytes:
    return string(value) if value.translate(None, _PLAIN) else b'"%s"' % value


def _text(raw_value: bytes | None) -> bytes:
    return b"NIL" if raw_value is None else nstring(unfold(raw_value))
