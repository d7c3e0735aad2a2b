"""Digest filters: ``hash(method, rounds=1, salt='')`` and its short forms. The result is binary."""

from __future__ import annotations

import hashlib

from roost.settings.filters.value import Evaluator, FilterError, Value, data_of, option, whole
from roost.settings.template import Call

METHODS = {
    "md4": "md4",
    "md5": "md5",
    "sha1": "sha1",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
    "sha3-256": "sha3_256",
    "sha3-512": "sha3_512",
}
MAX_ROUNDS = 100_000


def hash_(ask: Evaluator, value: Value, call: Call) -> Value:
    method = ask.argument(call.arguments[0]).decode("utf-8", "replace")
    return _digest(ask, value, method, whole(ask, call, -1, "rounds", 1), option(ask, call, -1, "salt") or b"")


def _short(ask: Evaluator, value: Value, call: Call, method: str) -> Value:
    return _digest(ask, value, method, whole(ask, call, 0, "rounds", 1), option(ask, call, 1, "salt") or b"")


def md5(ask: Evaluator, value: Value, call: Call) -> Value:
    return _short(ask, value, call, "md5")


def sha1(ask: Evaluator, value: Value, call: Call) -> Value:
    return _short(ask, value, call, "sha1")


def sha256(ask: Evaluator, value: Value, call: Call) -> Value:
    return _short(ask, value, call, "sha256")


def sha384(ask: Evaluator, value: Value, call: Call) -> Value:
    return _short(ask, value, call, "sha384")


def sha512(ask: Evaluator, value: Value, call: Call) -> Value:
    return _short(ask, value, call, "sha512")


def _digest(ask: Evaluator, value: Value, method: str, rounds: int, salt: bytes) -> Value:
    data = data_of(value)
    if method == "size":
        return Value(len(salt + data).to_bytes(8, "big"), binary=True)
    if method not in METHODS:
        raise FilterError(f"Unknown hash method '{method}' (there are {', '.join(METHODS)}, size)")
    if not 1 <= rounds <= MAX_ROUNDS:
        raise FilterError(f"rounds must be between 1 and {MAX_ROUNDS}")
    try:
        for _ in range(rounds):
            data = hashlib.new(METHODS[method], salt + data, usedforsecurity=False).digest()
    except ValueError:
        raise FilterError(f"The system's OpenSSL has no hash method '{method}'") from None
    return Value(data, binary=True)
