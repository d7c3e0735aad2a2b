"""``*`` and ``?`` patterns over user names, in linear space and at most quadratic time whatever the pattern."""

from __future__ import annotations

from collections.abc import Sequence


def matches(pattern: str, name: str) -> bool:
    """Whether the whole name matches, letter case apart."""
    pattern, name = pattern.lower(), name.lower()
    at = position = 0
    star, resume = -1, 0
    while position < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[position]):
            at += 1
            position += 1
        elif star >= 0:
            at = star + 1
            resume += 1
            position = resume
        else:
            return False
    return pattern[at:].strip("*") == ""


def selected(patterns: Sequence[str], name: str) -> bool:
    """A filter list: any plain pattern must match (if there are plain ones), and no ``!pattern`` may."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    if any(matches(pattern[1:], name) for pattern in patterns if pattern.startswith("!")):
        return False
    return not wanted or any(matches(pattern, name) for pattern in wanted)
