"""DIGEST-MD5 (RFC 2831), quality of protection ``auth`` only. Obsolete (RFC 6331): for old clients, off by default.

    S: realm="example.org",nonce="…",qop="auth",charset=utf-8,algorithm=md5-sess
    C: charset=utf-8,username="u",realm="example.org",nonce="…",nc=00000001,cnonce="…",digest-uri="imap/host",
       response=<32 hex digits>,qop=auth
    S: rspauth=<32 hex digits>

What is stored is MD5 of ``user:realm:password``, so it is tied to the name and the realm it was made for. No later
authentication with the same nonce (``nc`` is 1), no initial response.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re

from roost.sasl.base import Broken, Challenge, Lookup, Mechanism, Proved, Refuted, Surroundings, Turn

SCHEME = "DIGEST-MD5"
NONCE_OCTETS = 18
MAX_RESPONSE_OCTETS = 4096  # RFC 2831 §2.1.2

_directive = re.compile(
    rb'[ \t\r\n,]*([A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\\0]|\\[^\0])*)"|([^\s",\0]+))[ \t\r\n]*(?:,|\Z)'
)
_hex = re.compile(rb"[0-9a-f]{32}")
_quoted_pair = re.compile(rb"\\(.)", re.DOTALL)
_KNOWN = frozenset(
    (b"username", b"realm", b"nonce", b"cnonce", b"nc", b"qop", b"digest-uri", b"response", b"maxbuf", b"charset")
)


class DigestMd5:
    """One challenge, one answer, the server's proof."""

    __slots__ = ("_answer", "_nonce", "_realms")

    def __init__(self, surroundings: Surroundings) -> None:
        self._nonce = binascii.b2a_base64(surroundings.entropy(NONCE_OCTETS), newline=False)
        self._realms = tuple(realm.encode() for realm in surroundings.realms)
        self._answer: dict[bytes, bytes] = {}

    def start(self, initial: bytes | None) -> Turn:
        if initial:
            return Broken("DIGEST-MD5 has no initial response")
        realms = b"".join(b'realm="%b",' % _quoted(realm) for realm in self._realms or (b"",))
        return Challenge(b'%bnonce="%b",qop="auth",charset=utf-8,algorithm=md5-sess' % (realms, self._nonce))

    def step(self, response: bytes) -> Turn:
        answer = self._answer = parse(response) or {}
        why = self._wrong(answer)
        if why:
            return Broken("DIGEST-MD5 response " + why)
        name, realm, authzid = answer[b"username"], answer.get(b"realm", b""), answer.get(b"authzid", b"")
        user = name + b"@" + realm if realm and b"@" not in name else name
        utf8 = b"charset" in answer
        hashed_as = b"%b:%b:" % (as_hashed(name, utf8), as_hashed(realm, utf8))
        return Lookup(user, SCHEME, self._verified, b"" if authzid in (name, user) else authzid, hashed_as)

    def _wrong(self, answer: dict[bytes, bytes]) -> str:
        """What is wrong with it; "" when it has the form. Never what the client sent."""
        if not answer:
            return "has not the mechanism's form"
        missing = [key for key in (b"username", b"nonce", b"cnonce", b"nc", b"digest-uri") if not answer.get(key)]
        if missing:
            return f"has no {missing[0].decode()}"
        if not hmac.compare_digest(answer[b"nonce"], self._nonce):
            return "has another nonce"
        if answer[b"nc"] != b"00000001":
            return "counts the nonce wrongly"
        if answer.get(b"qop", b"auth") != b"auth":
            return "asks for a quality of protection that is not offered"
        if answer.get(b"charset", b"utf-8").lower() != b"utf-8":
            return "has an unknown charset"
        realm = answer.get(b"realm", b"")
        if realm and realm not in self._realms:
            return "has a realm that is not offered"
        if b"/" not in answer[b"digest-uri"]:
            return "has a broken digest-uri"
        return "" if _hex.fullmatch(answer.get(b"response", b"")) else "has no 32 hexadecimal digits"

    def _verified(self, stored: bytes) -> Turn:
        """``stored``: the 16 octets of the scheme."""
        expected = self._digest(stored, b"AUTHENTICATE:")
        if not hmac.compare_digest(expected, self._answer[b"response"]):
            return Refuted()
        return Proved(b"rspauth=" + self._digest(stored, b":"))

    def _digest(self, stored: bytes, method: bytes) -> bytes:
        """RFC 2831 §2.1.2.1 (``method`` with AUTHENTICATE) and §2.1.3 (without)."""
        answer = self._answer
        session = [stored, self._nonce, answer[b"cnonce"]]
        if b"authzid" in answer:
            session.append(answer[b"authzid"])
        a1 = _md5(b":".join(session))
        a2 = _md5(method + answer[b"digest-uri"])
        return _md5(b":".join((a1, self._nonce, answer[b"nc"], answer[b"cnonce"], b"auth", a2)))


def secret_of(hashed_as: bytes, password: bytes) -> bytes:
    """What is stored: MD5 of ``user:realm:password``, 16 octets. ``hashed_as``: with both colons."""
    return hashlib.md5(hashed_as + as_hashed(password, True), usedforsecurity=False).digest()


def as_hashed(octets: bytes, utf8: bool) -> bytes:
    """RFC 2831 §2.1.2.1: text in UTF-8 that ISO 8859-1 can write is hashed in ISO 8859-1."""
    if not utf8 or octets.isascii():
        return octets
    try:
        return octets.decode("utf-8").encode("iso-8859-1")
    except UnicodeError:
        return octets


def parse(response: bytes) -> dict[bytes, bytes] | None:
    """The directives, names in lower case, quotes undone. None when the form is broken or one is there twice."""
    if len(response) > MAX_RESPONSE_OCTETS:
        return None
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(response):
        match = _directive.match(response, at)
        if match is None:
            return None
        key = match[1].lower()
        if key in found and (key in _KNOWN or key == b"authzid"):
            return None
        quoted = match[2]
        found[key] = match[3] if quoted is None else _quoted_pair.sub(rb"\1", quoted)
        at = match.end()
    return found


def _quoted(text: bytes) -> bytes:
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _md5(octets: bytes) -> bytes:
    return hashlib.md5(octets, usedforsecurity=False).hexdigest().encode()


DIGEST_MD5 = Mechanism("DIGEST-MD5", frozenset({"dictionary", "active", "mutual-auth"}), DigestMd5)
