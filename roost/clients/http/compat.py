"""Tables of HTTP client settings as scripts for Dovecot 2.3 write them: other names, plain numbers, real booleans.

2.3 ignored what it did not know, so nothing here is an error; what was ignored or translated is told, for one warning.
The documented example's ``timeout`` (milliseconds) never existed in a release; it is taken as the request timeout,
which is what its authors meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Value = str | int | float | bool

# 2.3's key → (2.4's key, how its value is read: plain, inverted boolean, milliseconds, seconds)
RENAMED: Final[dict[str, tuple[str, str]]] = {
    "max_attempts": ("request_max_attempts", "plain"),
    "max_redirects": ("request_max_redirects", "plain"),
    "no_auto_redirect": ("auto_redirect", "inverted"),
    "no_auto_retry": ("auto_retry", "inverted"),
    "request_timeout_msecs": ("request_timeout", "ms"),
    "request_absolute_timeout_msecs": ("request_absolute_timeout", "ms"),
    "connect_timeout_msecs": ("connect_timeout", "ms"),
    "soft_connect_timeout_msecs": ("soft_connect_timeout", "ms"),
    "connect_backoff_time_msecs": ("connect_backoff_time", "ms"),
    "connect_backoff_max_time_msecs": ("connect_backoff_max_time", "ms"),
    "max_idle_time_msecs": ("max_idle_time", "ms"),
    "max_auto_retry_delay_secs": ("max_auto_retry_delay", "secs"),
    "timeout": ("request_timeout", "ms"),
}
IGNORED: Final = ("debug",)


def translate(values: Mapping[str, Value], known: Mapping[str, tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """2.4's texts for a table of any mixture, and what was tolerated. 2.4's own name wins over 2.3's."""
    texts: dict[str, str] = {}
    notes: list[str] = []
    for key, value in values.items():
        if key in known:
            texts[key] = _text(value, known[key][0])
            if not isinstance(value, str) and known[key][0] in ("bool", "msecs", "secs"):
                notes.append(f"{key}: write {texts[key]!r}")
        elif key in RENAMED:
            new, how = RENAMED[key]
            if new not in values:
                texts[new] = _old(value, how)
            notes.append(f"{key} is {new} now")
        elif key in IGNORED:
            notes.append(f"{key} is gone")
        else:
            notes.append(f"{_shown(key)} is unknown and ignored")
    return texts, notes


def _shown(key: str) -> str:
    return key if key.isascii() and key.isprintable() else repr(key)


def _text(value: Value, kind: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and kind == "msecs":
        return f"{value}ms"
    if isinstance(value, int) and kind == "secs":
        return f"{value}s"
    return str(value)


def _old(value: Value, how: str) -> str:
    if how == "inverted":
        true = value if isinstance(value, bool) else str(value).lower() in ("yes", "y", "1", "true")
        return "no" if true else "yes"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    if how in ("ms", "secs") and text.isdigit():
        return text + ("ms" if how == "ms" else "s")
    return text
