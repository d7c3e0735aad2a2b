"""Text of a setting → its typed value, and back to canonical text (spec: value types).

Pure. Every refusal is a ``ValueError`` naming the value and what would be right; the caller adds file and line.
"""

from __future__ import annotations

import re
from typing import Any

from roost.settings.fields import (
    BOOL,
    BOOLLIST,
    ENUM,
    MSECS,
    NETS,
    OCTAL,
    PORT,
    REFUSED,
    SECS,
    SIZE,
    STRLIST,
    UINT,
    Spec,
)

UINT_MAX = 0xFFFFFFFF
SIZE_MAX = (1 << 63) - 1
SECS_MAX = 0x7FFFFFFF

_NUMBER = re.compile(r"[0-9]{1,20}\Z", re.ASCII)
_OCTAL = re.compile(r"0[0-7]{0,6}\Z")
_WITH_UNIT = re.compile(r"([0-9]{1,20})[ \t]*([A-Za-z]*)\Z", re.ASCII)
_SIZE_UNITS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}
# Any non-empty prefix of a word counts. Minutes come before milliseconds: "m" and "mi" are minutes, as in Dovecot.
_TIME_WORDS = (
    ("secs", 1000),
    ("seconds", 1000),
    ("mins", 60_000),
    ("minutes", 60_000),
    ("msecs", 1),
    ("mseconds", 1),
    ("millisecs", 1),
    ("milliseconds", 1),
    ("hours", 3_600_000),
    ("days", 86_400_000),
    ("weeks", 604_800_000),
)
_LIST_ITEM = re.compile(r'[ \t,]*(?:"((?:[^"\\]|\\.)*)"|([^ \t,]+))')
_SHOWN_UNITS = ((604_800, "weeks"), (86_400, "days"), (3_600, "hours"), (60, "mins"))


def parse_value(spec: Spec, text: str) -> Any:
    """The value of ``text`` by the type of ``spec`` (lists: of a whole assignment). Raises ValueError."""
    kind = spec.type
    if kind is BOOL:
        return parse_bool(text)
    if kind in (UINT, OCTAL, SIZE, SECS, MSECS):
        if text.strip().lower() in ("unlimited", "infinite"):
            if spec.unlimited is REFUSED:
                raise ValueError(f"Invalid value: {text} (a number is needed here)")
            return spec.unlimited
        value = _number(spec, text)
        if (spec.low is not None and value < spec.low) or (spec.high is not None and value > spec.high):
            hint = ' (did you mean "unlimited"?)' if value == 0 and spec.unlimited is not REFUSED else ""
            raise ValueError(f"Value out of range: {text}: must be {_range_text(spec)}{hint}")
        return value
    if kind is PORT:
        if not _NUMBER.match(text) or int(text) > 65535:
            raise ValueError(f"Invalid port number {text} (0 to 65535)")
        return int(text)
    if kind is ENUM:
        if text not in spec.choices:
            for name, why in spec.left_out:
                if name == text:
                    raise ValueError(f"Invalid value: {text} ({why})")
            shown = ", ".join(choice or '""' for choice in spec.choices)
            raise ValueError(f"Invalid value: {text} (use one of: {shown})")
        return text
    if kind in (BOOLLIST, NETS):
        return tuple(dict.fromkeys(member(spec, item) for item in split_list(text)))
    if "\0" in text:
        raise ValueError("A NUL character is not allowed in a value")
    return text


def parse_bool(text: str) -> bool:
    """yes, y, 1 or no, in any case. Nothing else, so that a typing error is never a silent no."""
    word = text.lower()
    if word in ("yes", "y", "1"):
        return True
    if word == "no":
        return False
    raise ValueError(f"Invalid boolean value: {text} (use yes or no)")


def member(spec: Spec, item: str) -> str:
    """One member of a list setting: itself, or a network in canonical form. Raises ValueError."""
    if spec.type is NETS:
        return parse_network(item)
    if spec.choices and item not in spec.choices:
        folded = item.lower()
        if folded in spec.choices:
            return folded
        for name, why in spec.left_out:
            if name.lower() == folded:
                raise ValueError(f"Invalid value: {item} ({why})")
        raise ValueError(f"Invalid value: {item} (use any of: {', '.join(spec.choices)})")
    return item


def parse_network(text: str) -> str:
    """An address or CIDR network in canonical form (``10.0.0.1`` → ``10.0.0.1/32``). Raises ValueError."""
    import ipaddress  # 5 ms: only configurations with networks pay for it

    bare = text[1:].replace("]", "", 1) if text.startswith("[") else text
    try:
        return str(ipaddress.ip_network(bare, strict=False))
    except ValueError:
        raise ValueError(f"Invalid network mask: {text} (an IP address or ADDRESS/BITS)") from None


def split_list(text: str) -> tuple[str, ...]:
    """``a b, "c d"`` → ("a", "b", "c d"): spaces and commas separate, an item with either stands in double quotes."""
    items: list[str] = []
    pos, end = 0, len(text.rstrip(" \t,"))
    while pos < end:
        match = _LIST_ITEM.match(text, pos)
        if match is None:  # pragma: no cover - the pattern takes any text that is not only separators
            raise ValueError(f"Invalid list: {text}")
        quoted, plain = match.groups()
        item = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
        if item not in items:
            items.append(item)
        pos = match.end()
    return tuple(items)


def _number(spec: Spec, text: str) -> int:
    kind = spec.type
    if kind is SIZE:
        return parse_size(text)
    if kind is MSECS:
        return parse_msecs(text)
    if kind is SECS:
        msecs = parse_msecs(text)
        if msecs % 1000:
            raise ValueError(f"Milliseconds not supported for this setting: {text}")
        return msecs // 1000
    if kind is OCTAL:
        if not _OCTAL.match(text):
            raise ValueError(f"Invalid number {text}: an octal number with a leading 0 is needed, like 0600")
        return int(text, 8)
    if not _NUMBER.match(text):
        raise ValueError(f"Invalid number {text}: only digits are allowed")
    if int(text) > UINT_MAX:
        raise ValueError(f"Invalid number {text}: Value is too large")
    return int(text)


def parse_size(text: str) -> int:
    """``64k``, ``1 MiB``, ``5G``, ``100`` → octets, base 1024. Raises ValueError."""
    match = _WITH_UNIT.match(text)
    unit = match[2].lower() if match else "?"
    if unit[:1] in _SIZE_UNITS and unit[1:] in ("", "i", "ib", "b") and not (unit[:1] == "b" and unit[1:]):
        assert match is not None
        value = int(match[1]) << _SIZE_UNITS[unit[:1]]
        if value > SIZE_MAX:
            raise ValueError(f"Size is too large: {text}")
        return value
    raise ValueError(f"Invalid size: {text} (a number with B, K, M, G or T)")


def parse_msecs(text: str) -> int:
    """``30s``, ``2 mins``, ``1h``, ``250ms`` → milliseconds. A bare 0 needs no unit. Raises ValueError."""
    match = _WITH_UNIT.match(text)
    if not match:
        raise ValueError(f"Invalid time interval: {text}")
    number, unit = int(match[1]), match[2].lower()
    if not unit:
        if number == 0:
            return 0
        raise ValueError(f"Time interval '{text}' is missing units (add e.g. 's' for seconds)")
    for word, msecs in (("ms", 1), *_TIME_WORDS):
        if unit == word or (word != "ms" and word.startswith(unit)):
            if number * msecs > SECS_MAX * 1000:
                raise ValueError(f"Time interval is too large: {text}")
            return number * msecs
    raise ValueError(f"Invalid time interval: {text} (units: ms, secs, mins, hours, days, weeks)")


def _range_text(spec: Spec) -> str:
    low = "" if spec.low is None else f"at least {format_value(spec, spec.low)}"
    high = "" if spec.high is None else f"at most {format_value(spec, spec.high)}"
    return " and ".join(part for part in (low, high) if part)


def format_value(spec: Spec, value: Any) -> str:
    """Canonical text of a typed value: what ``parse_value`` reads back. Lists: space-separated; strlists: ""."""
    kind = spec.type
    if spec.unlimited is not REFUSED and value == spec.unlimited:
        return "infinite" if kind in (SECS, MSECS) else "unlimited"
    if kind is BOOL:
        return "yes" if value else "no"
    if kind is OCTAL:
        return f"0{value:o}"
    if kind is SIZE:
        for shift, unit in ((40, "T"), (30, "G"), (20, "M"), (10, "k")):
            if value and value % (1 << shift) == 0:
                return f"{value >> shift}{unit}"
        return str(value)
    if kind is SECS:
        return _format_secs(value)
    if kind is MSECS:
        return f"{value} ms" if value % 1000 else _format_secs(value // 1000)
    if kind in (BOOLLIST, NETS):
        return " ".join(quote_item(item) for item in value)
    if kind is STRLIST:
        return ""
    return str(value)


def quote_item(item: str) -> str:
    """A list member as it must be written."""
    if item and not re.search(r'[ \t,"]', item):
        return item
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _format_secs(value: int) -> str:
    for length, unit in _SHOWN_UNITS:
        if value and value % length == 0:
            return f"{value // length} {unit}"
    return f"{value} secs" if value else "0"
