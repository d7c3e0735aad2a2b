"""Quotes of the Dovecot language: a value within one pair of ``"`` or ``'``; escaped are the quote and ``\\``."""

from __future__ import annotations


def closing_quote(text: str, start: int) -> int:
    """The position of the quote that closes the one at ``start``, or -1. A backslash hides the next character."""
    quote = text[start]
    pos = start + 1
    while pos < len(text):
        char = text[pos]
        if char == "\\":
            pos += 2
            continue
        if char == quote:
            return pos
        pos += 1
    return -1


def unquote(text: str) -> str:
    """The content of ``"…"`` or ``'…'`` (both ends are there). Raises ValueError on an unknown escape."""
    quote, body = text[0], text[1:-1]
    if "\\" not in body:
        return body
    made: list[str] = []
    pos = 0
    while pos < len(body):
        char = body[pos]
        if char == "\\":
            following = body[pos + 1 : pos + 2]
            if following not in ("\\", quote):
                raise ValueError(f"Unknown escape sequence \\{following} (write \\\\ for a backslash)")
            char = following
            pos += 1
        made.append(char)
        pos += 1
    return "".join(made)


def quote(text: str) -> str:
    """``text`` in double quotes, so that ``unquote`` gives it back. It must have no line end."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def needs_quotes(value: str) -> bool:
    """Whether a value written bare would be read differently."""
    if not value or value != value.strip(" \t") or value[0] in "\"'<" or value.endswith("\\"):
        return True
    return "#" in value or "$" in value


def written(value: str) -> str:
    """A value as it can stand after ``key =`` on one line."""
    return quote(value) if needs_quotes(value) else value
