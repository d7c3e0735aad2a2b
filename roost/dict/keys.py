"""Keys: ``shared/…`` for everybody, ``priv/…`` for one user; escaping; which keys an iteration shows.

Texts are Dovecot's, since scripts compare them.
"""

from __future__ import annotations

from roost.dict.api import Flags, Key
from roost.errors import LimitExceeded, Malformed

SHARED, PRIVATE = "shared/", "priv/"
BAD_PREFIX = "Invalid dict key prefix"
NEEDS_USER = "priv/ dict key prefix requires username"


def parse(text: str, user: str, max_octets: int) -> Key:
    """The key a caller wrote. Raises Malformed with Dovecot's text, LimitExceeded."""
    if text.startswith(SHARED):
        key = Key("", text[len(SHARED) :])
    elif text.startswith(PRIVATE):
        if not user:
            raise Malformed(NEEDS_USER)
        key = Key(user, text[len(PRIVATE) :])
    else:
        raise Malformed(BAD_PREFIX)
    if "\0" in text or "\0" in user:
        raise Malformed("Invalid dict key: NUL")
    try:
        octets = len(text.encode("utf-8", "surrogateescape")) + len(user.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise Malformed("Invalid dict key: not text") from None
    if octets > max_octets:
        raise LimitExceeded("The dict key is too long", detail=f"{octets} octets; dict_max_key_size")
    return key


def selected(path: Key, key: Key, flags: Flags) -> bool:
    """Whether an iteration over ``path`` shows ``key``. A path is a prefix as written: end it with ``/``."""
    if key.user != path.user or not key.path.startswith(path.path):
        return False
    if Flags.RECURSE in flags:
        return True
    if Flags.EXACT_KEY in flags:
        return key.path == path.path
    return "/" not in key.path[len(path.path) :]


def escape(part: str) -> str:
    r"""One component of a key: ``/`` becomes ``\|`` and ``\`` becomes ``\\``."""
    return part.replace("\\", "\\\\").replace("/", "\\|")


def unescape(part: str) -> str:
    r"""What ``escape`` was given. A backslash before anything else stands for that character."""
    made, chars = [], iter(part)
    for char in chars:
        if char == "\\":
            following = next(chars, "")
            made.append("/" if following == "|" else following)
        else:
            made.append(char)
    return "".join(made)


def escape_user(user: str) -> str:
    r"""A user's name in front of a private key, as Dovecot's redis driver writes it: ``/`` → ``\-``, ``\`` → ``\\``.

    Dovecot leaves a backslash alone in names without ``/``; here no two names are written alike.
    """
    return user.replace("\\", "\\\\").replace("/", "\\-")
