"""Filters that cut, join and rewrite text."""

from __future__ import annotations

import re
from functools import lru_cache

from roost.settings.filters.value import Evaluator, FilterError, Value, data_of, number, octets, option, text_of
from roost.settings.template import Call

MAX_FILL = 4096
MAX_REGEXP_INPUT = 4096

_TAB_ESCAPES = {b"0": b"\0", b"1": b"\x01", b"t": b"\t", b"r": b"\r", b"n": b"\n"}
_TAB_ESCAPE = re.compile(rb"\x01(.)", re.DOTALL)
_POSIX_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r" \t\r\n\f\v",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
    "xdigit": "0-9A-Fa-f",
    "cntrl": r"\x00-\x1f\x7f",
    "print": r"\x20-\x7e",
    "graph": r"\x21-\x7e",
}


def upper(ask: Evaluator, value: Value, call: Call) -> Value:
    """ASCII letters only."""
    return value._replace(data=data_of(value).upper())


def lower(ask: Evaluator, value: Value, call: Call) -> Value:
    """ASCII letters only."""
    return value._replace(data=data_of(value).lower())


def reverse(ask: Evaluator, value: Value, call: Call) -> Value:
    return value._replace(data=data_of(value)[::-1])


def username(ask: Evaluator, value: Value, call: Call) -> Value:
    """What is before the first @."""
    return value._replace(data=data_of(value).partition(b"@")[0])


def domain(ask: Evaluator, value: Value, call: Call) -> Value:
    """What is after the first @."""
    return value._replace(data=data_of(value).partition(b"@")[2])


def concat(ask: Evaluator, value: Value, call: Call) -> Value:
    return Value(b"".join((value.data or b"", *map(ask.argument, call.arguments))))


def substr(ask: Evaluator, value: Value, call: Call) -> Value:
    """substr(offset, length): a negative offset counts from the end, a negative length leaves that many there."""
    data = data_of(value)
    offset = number(ask.argument(call.arguments[0]), "offset")
    start = offset + len(data) if offset < 0 else offset
    if not 0 <= start <= len(data):
        raise FilterError("Offset out of bounds")
    length = len(data) - start
    if len(call.arguments) > 1:
        wanted = number(ask.argument(call.arguments[1]), "length")
        length = len(data) - start + wanted if wanted < 0 else wanted
    if length < 0 or start + length > len(data):
        raise FilterError("Length out of bounds")
    return value._replace(data=data[start : start + length])


def index(ask: Evaluator, value: Value, call: Call) -> Value:
    """index(separator, n): the n-th piece from 0; negative from the end."""
    separator = ask.argument(call.arguments[0])
    if not separator:
        raise FilterError("The separator is empty")
    pieces = data_of(value).split(separator)
    position = number(ask.argument(call.arguments[1]), "position")
    if not -len(pieces) <= position < len(pieces):
        raise FilterError("Position out of bounds")
    return value._replace(data=pieces[position])


def list_(ask: Evaluator, value: Value, call: Call) -> Value:
    """A TAB-separated, escaped list, joined by a separator."""
    separator = option(ask, call, 0, "sep")
    pieces = data_of(value).split(b"\t")
    plain = [_TAB_ESCAPE.sub(lambda match: _TAB_ESCAPES.get(match[1], match[1]), piece) for piece in pieces]
    return value._replace(data=(b"," if separator is None else separator).join(plain))


def lfill(ask: Evaluator, value: Value, call: Call) -> Value:
    return _filled(ask, value, call, left=True)


def rfill(ask: Evaluator, value: Value, call: Call) -> Value:
    return _filled(ask, value, call, left=False)


def _filled(ask: Evaluator, value: Value, call: Call, *, left: bool) -> Value:
    width = number(ask.argument(call.arguments[0]), "width")
    if not 0 <= width <= MAX_FILL:
        raise FilterError(f"The width must be between 0 and {MAX_FILL}")
    fill = ask.argument(call.arguments[1]) if len(call.arguments) > 1 else b"0"
    if len(fill) != 1:
        raise FilterError("The filler must be one character")
    data = data_of(value)
    return value._replace(data=data.rjust(width, fill) if left else data.ljust(width, fill))


def text(ask: Evaluator, value: Value, call: Call) -> Value:
    """Printable UTF-8: everything else becomes ``?``; no longer binary."""
    shown = text_of(data_of(value))
    return value._replace(
        data=octets("".join(char if char.isprintable() and char != "\ufffd" else "?" for char in shown)), binary=False
    )


def ldap_dn(ask: Evaluator, value: Value, call: Call) -> Value:
    """``example.org`` → ``example,dc=org``."""
    return value._replace(data=data_of(value).replace(b".", b",dc="))


def regexp(ask: Evaluator, value: Value, call: Call) -> Value:
    """regexp(pattern, replacement): the first match of a POSIX extended pattern; ``\\1`` … ``\\9`` are its groups."""
    data = data_of(value)
    if len(data) > MAX_REGEXP_INPUT:
        raise FilterError(f"The input of regexp is too long (more than {MAX_REGEXP_INPUT} octets)")
    pattern = compiled(ask.argument(call.arguments[0]).decode("latin-1"))
    replacement = ask.argument(call.arguments[1]).decode("latin-1")
    match = pattern.search(data.decode("latin-1"))
    if not match:
        return value
    groups = match.groups(default="")

    def group(reference: re.Match[str]) -> str:
        position = int(reference[1]) - 1
        if position >= len(groups):
            raise FilterError(f"\\{reference[1]}: there is no such group")
        return str(groups[position])

    made = match.string[: match.start()] + re.sub(r"\\([1-9])", group, replacement) + match.string[match.end() :]
    return value._replace(data=made.encode("latin-1"))


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """A POSIX extended regular expression over octets (as Latin-1). Raises FilterError."""
    for name, members in _POSIX_CLASSES.items():
        pattern = pattern.replace(f"[:{name}:]", members)
    try:
        return re.compile(pattern, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise FilterError(f"Invalid regular expression: {error}") from None


def escape(ask: Evaluator, value: Value, call: Call) -> Value:
    """The context's escaping here instead of at the end."""
    return value._replace(data=octets(ask.escape(text_of(data_of(value)))), escaped=True)


def safe(ask: Evaluator, value: Value, call: Call) -> Value:
    """No escaping of this value; must be the last filter (any filter after it makes it unsafe again)."""
    return value._replace(safe=True)
