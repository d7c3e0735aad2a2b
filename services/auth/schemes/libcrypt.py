"""The door to the system's crypt(3): ``crypt_r`` of libcrypt.so.1 (libxcrypt on Debian) through ctypes.

Python's own ``crypt`` module is gone from 3.13. ctypes releases the interpreter lock during the call, so hashes run in
parallel in threads. Without the library every scheme of ``crypt.py`` raises SchemeUnavailable with what to install.
"""

from __future__ import annotations

import ctypes
import threading

from services.auth.schemes.base import SchemeUnavailable

NAMES = ("libcrypt.so.1", "libcrypt.so.2")
STATE_OCTETS = 135_168  # struct crypt_data: 32,768 octets in libxcrypt, 131,232 in glibc's old one
REMEDY = "libcrypt.so.1 is missing (Debian: install libcrypt1)"


class _State(ctypes.Structure):
    _fields_ = (("octets", ctypes.c_char * STATE_OCTETS),)


_local = threading.local()
_lock = threading.Lock()
_library: ctypes.CDLL | None = None


def _load() -> ctypes.CDLL:
    global _library
    with _lock:
        if _library is None:
            for name in NAMES:
                try:
                    library = ctypes.CDLL(name, use_errno=True)
                except OSError:
                    continue
                library.crypt_r.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(_State))
                library.crypt_r.restype = ctypes.c_char_p
                _library = library
                return library
            raise SchemeUnavailable("Scheme is not available.", detail=REMEDY)
        return _library


def crypt(password: bytes, setting: bytes) -> bytes | None:
    """crypt(3). None: the library does not know this method, or refuses the salt or a password so long.

    A password with a NUL would be cut there, so it is None as well. Raises SchemeUnavailable.
    """
    library = _load()
    if b"\0" in password or b"\0" in setting:
        return None
    state = getattr(_local, "state", None)
    if state is None:
        state = _local.state = _State()
    result: bytes | None = library.crypt_r(password, setting, ctypes.byref(state))
    ctypes.memset(ctypes.byref(state), 0, STATE_OCTETS)
    return None if result is None or result.startswith(b"*") else result
