"""OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's older form): an access token instead of a password.

    OAUTHBEARER   n,a=user@example.org,^Ahost=mail.example.org^Aport=143^Aauth=Bearer TOKEN^A^A
    XOAUTH2       user=user@example.org^Aauth=Bearer TOKEN^A^A

A message that will not do is answered with a JSON text that says why; the client answers that with anything (one 0x01),
and then it is refused (RFC 7628 §3.2.3). The token must be of the form RFC 6750 §2.1 gives it, so nothing else ever
reaches an URL or a header.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from roost.sasl.base import Challenge, Mechanism, Rejected, Surroundings, Token, TokenFailure, Turn
from roost.util.secret import Secret

SEPARATOR = b"\x01"
XOAUTH2_SCOPE = "mail"
XOAUTH2_STATUS = {
    TokenFailure.INVALID_REQUEST: "400",
    TokenFailure.INVALID_TOKEN: "401",
    TokenFailure.INSUFFICIENT_SCOPE: "403",
}

_bearer = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")
_key = re.compile(rb"[A-Za-z]+")
_bad_name = re.compile(rb"=(?!2C|3D)|\0")


class Bearer:
    """One message; ``payload`` writes the text of a failure, ``parse`` takes the message apart: name and credentials.

    ``parse`` answers None for a message that has not the form.
    """

    __slots__ = ("_name", "_parse", "_payload")

    def __init__(
        self,
        name: str,
        parse: Callable[[bytes], tuple[bytes, bytes] | None],
        payload: Callable[[TokenFailure], dict[str, str]],
    ) -> None:
        self._name = name
        self._parse = parse
        self._payload = payload

    def start(self, initial: bytes | None) -> Turn:
        if initial is None:
            return Challenge(b"")
        return self.step(initial)

    def step(self, response: bytes) -> Turn:
        parsed = self._parse(response)
        if parsed is None or not parsed[0]:
            return self._rejected(TokenFailure.INVALID_REQUEST, "message has not the mechanism's form")
        token = _bearer.fullmatch(parsed[1])
        if token is None:  # also the empty one, by which clients ask where to get a token (RFC 7628 §4.3)
            return self._rejected(TokenFailure.INVALID_TOKEN, "message has no bearer token")
        return Token(parsed[0], Secret(token[1]), self._failed)

    def _failed(self, why: TokenFailure) -> Rejected:
        return self._rejected(why, f"token refused ({why.value})")

    def _rejected(self, why: TokenFailure, what: str) -> Rejected:
        import json  # only failures need it

        return Rejected(json.dumps(self._payload(why)).encode(), f"{self._name} {what}")


def _pairs(parts: list[bytes]) -> dict[bytes, bytes] | None:
    """``key=value`` each once, then two empty parts (the message ends in two separators)."""
    if len(parts) < 3 or parts[-1] or parts[-2]:
        return None
    pairs: dict[bytes, bytes] = {}
    for part in parts[:-2]:
        key, found, value = part.partition(b"=")
        if not found or _key.fullmatch(key) is None or key.lower() in pairs:
            return None
        pairs[key.lower()] = value
    return pairs


def parse_oauthbearer(message: bytes) -> tuple[bytes, bytes] | None:
    header, *rest = message.split(SEPARATOR)
    pairs = _pairs(rest)
    parts = header.split(b",")
    if pairs is None or len(parts) != 3 or parts[0] not in (b"n", b"y") or parts[2]:
        return None
    if parts[1][:2] != b"a=" or _bad_name.search(parts[1][2:]):
        return None
    return parts[1][2:].replace(b"=2C", b",").replace(b"=3D", b"="), pairs.get(b"auth", b"")


def parse_xoauth2(message: bytes) -> tuple[bytes, bytes] | None:
    pairs = _pairs(message.split(SEPARATOR))
    if pairs is None or b"\0" in pairs.get(b"user", b""):
        return None
    return pairs.get(b"user", b""), pairs.get(b"auth", b"")


def _begin_oauthbearer(surroundings: Surroundings) -> Bearer:
    def payload(why: TokenFailure) -> dict[str, str]:
        texts = {"status": why.value, "scope": surroundings.scope}
        texts["openid-configuration"] = surroundings.openid_configuration
        return {key: text for key, text in texts.items() if text}

    return Bearer("OAUTHBEARER", parse_oauthbearer, payload)


def _begin_xoauth2(surroundings: Surroundings) -> Bearer:
    def payload(why: TokenFailure) -> dict[str, str]:
        return {"status": XOAUTH2_STATUS[why], "schemes": "bearer", "scope": surroundings.scope or XOAUTH2_SCOPE}

    return Bearer("XOAUTH2", parse_xoauth2, payload)


OAUTHBEARER = Mechanism("OAUTHBEARER", frozenset({"plaintext"}), _begin_oauthbearer)
XOAUTH2 = Mechanism("XOAUTH2", frozenset({"plaintext"}), _begin_xoauth2)
