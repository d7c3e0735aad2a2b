"""The door to the system's user database: ``getpwnam_r`` and ``getspnam_r`` of the C library through ctypes.

Python's ``pwd`` says "no such user" also when a server behind NSS is away, and its ``spwd`` is gone from 3.13. Both
calls block and are made in threads.
"""

from __future__ import annotations

import ctypes
import errno
import os
from dataclasses import dataclass, field

from roost.errors import Unavailable

FIRST_BUFFER_OCTETS = 4096
LAST_BUFFER_OCTETS = 1 << 20
NOT_FOUND = frozenset({0, errno.ENOENT, errno.ESRCH, errno.EBADF, errno.EPERM})  # what passwd(3) calls "not found"


class _Passwd(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("uid", ctypes.c_uint),
        ("gid", ctypes.c_uint),
        ("gecos", ctypes.c_char_p),
        ("home", ctypes.c_char_p),
        ("shell", ctypes.c_char_p),
    )


class _Shadow(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("last_change", ctypes.c_long),
        ("least_days", ctypes.c_long),
        ("most_days", ctypes.c_long),
        ("warning_days", ctypes.c_long),
        ("inactive_days", ctypes.c_long),
        ("expires", ctypes.c_long),
        ("flag", ctypes.c_ulong),
    )


@dataclass(frozen=True, slots=True)
class Account:
    """A line of passwd(5)."""

    name: str
    password: str = field(repr=False)
    unix_uid: int
    unix_gid: int
    home: str


@dataclass(frozen=True, slots=True)
class Shadow:
    """A line of shadow(5). ``expires_day``: days since 1970, -1 = never."""

    password: str = field(repr=False)
    expires_day: int


def usable(name: str) -> bool:
    """Whether a system may have a user of this name: printable ASCII without ``:`` and ``/``."""
    return bool(name) and name.isascii() and name.isprintable() and ":" not in name and "/" not in name


def account(name: str) -> Account | None:
    """None: no such user. Raises Unavailable. Blocks."""
    found = _look_up("getpwnam_r", name, _Passwd)
    if found is None:
        return None
    return Account(_text(found.name), _text(found.password), found.uid, found.gid, _text(found.home))


def shadow(name: str) -> Shadow | None:
    """None: no such user, or none in the shadow file. Raises Unavailable, also when we may not read it. Blocks."""
    found = _look_up("getspnam_r", name, _Shadow)
    return None if found is None else Shadow(_text(found.password), found.expires)


def _look_up(function: str, name: str, kind: type[_Passwd] | type[_Shadow]) -> _Passwd | _Shadow | None:
    call = getattr(ctypes.CDLL(None), function)
    octets = FIRST_BUFFER_OCTETS
    while True:
        row, result, buffer = kind(), ctypes.c_void_p(), ctypes.create_string_buffer(octets)
        code = call(
            ctypes.c_char_p(name.encode("ascii")),
            ctypes.byref(row),
            buffer,
            ctypes.c_size_t(octets),
            ctypes.byref(result),
        )
        if code == errno.ERANGE and octets < LAST_BUFFER_OCTETS:
            octets *= 4
            continue
        if result.value:
            row.keep = buffer  # the row's texts live in it
            return row
        if code in NOT_FOUND:
            return None
        raise Unavailable("The user database is away.", detail=f"{function}({name}): {os.strerror(code)}")


def _text(octets: bytes | None) -> str:
    return (octets or b"").decode("utf-8", "surrogateescape")
