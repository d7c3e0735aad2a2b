"""SCRAM-SHA-1 (RFC 5802) and SCRAM-SHA-256 (RFC 7677), without channel binding.

    C: n,,n=user,r=<client nonce>
    S: r=<client nonce><server nonce>,s=<salt>,i=<iterations>
    C: c=<header again>,r=<both nonces>,p=<proof>
    S: v=<server signature>

The password never crosses the line, nor anything that lets one log in elsewhere; the server proves itself too. The name
is taken as the octets that came, without SASLprep: the rules for names of the caller prepare it.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from collections.abc import Callable

from roost.sasl import scram_keys
from roost.sasl.base import Broken, Challenge, Lookup, Mechanism, Proved, Refuted, Surroundings, Turn

NONCE_OCTETS = 18  # of entropy; 24 characters
MAX_CLIENT_NONCE = 512  # it is sent back, so the answer must stay a line

_nonce = re.compile(rb"[\x21-\x2b\x2d-\x7e]+")
_bad_name = re.compile(rb"=(?!2C|3D)|\0")
_extension = re.compile(rb"[A-Za-z]=[^\0]+")


class Scram:
    """One conversation. ``nonce`` makes the server's part of the nonce: printable, no comma."""

    __slots__ = ("_algorithm", "_bare", "_first", "_header", "_keys", "_make_nonce", "_name", "_nonce", "_server_first")

    def __init__(self, name: str, algorithm: str, nonce: Callable[[], bytes]) -> None:
        self._name = name
        self._algorithm = algorithm
        self._make_nonce = nonce
        self._first = True
        self._header = self._bare = self._nonce = self._server_first = b""
        self._keys: scram_keys.Keys | None = None

    def start(self, initial: bytes | None) -> Turn:
        if initial is None:
            return Challenge(b"")
        return self.step(initial)

    def step(self, response: bytes) -> Turn:
        if self._first:
            self._first = False
            return self._client_first(response)
        assert self._keys is not None  # the second response comes after our challenge, which needed them
        return self._client_final(response, self._keys)

    def _client_first(self, message: bytes) -> Turn:
        parts = message.split(b",", 2)
        if len(parts) != 3:
            return self._broken("has no header")
        flag, authzid, bare = parts
        if flag[:2] == b"p=":
            return self._broken("binds to a channel, which is not offered")
        if flag not in (b"n", b"y"):
            return self._broken("has a broken header")
        attributes = bare.split(b",")
        if attributes[0][:2] == b"m=":
            return self._broken("demands an extension")
        if len(attributes) < 2 or attributes[0][:2] != b"n=" or attributes[1][:2] != b"r=":
            return self._broken("has no name or nonce")
        if not all(_extension.fullmatch(one) for one in attributes[2:]):
            return self._broken("has a broken extension")
        name, nonce = attributes[0][2:], attributes[1][2:]
        if not name or _bad_name.search(name):
            return self._broken("has a broken name")
        if len(nonce) > MAX_CLIENT_NONCE or _nonce.fullmatch(nonce) is None:
            return self._broken("has a broken nonce")
        if authzid and (authzid[:2] != b"a=" or len(authzid) == 2 or _bad_name.search(authzid[2:])):
            return self._broken("has a broken authorization identity")
        self._header = flag + b"," + authzid + b","
        self._bare = bare
        self._nonce = nonce + self._make_nonce()
        authcid, wanted = _unescaped(name), _unescaped(authzid[2:])
        return Lookup(authcid, self._name, self._server_answer, b"" if wanted == authcid else wanted)

    def _server_answer(self, credentials: bytes) -> Turn:
        keys = self._keys = scram_keys.parse(self._algorithm, credentials)
        salt = binascii.b2a_base64(keys.salt, newline=False)
        self._server_first = b"r=%b,s=%b,i=%d" % (self._nonce, salt, keys.iterations)
        return Challenge(self._server_first)

    def _client_final(self, message: bytes, keys: scram_keys.Keys) -> Turn:
        without_proof, found, shown = message.rpartition(b",p=")
        attributes = without_proof.split(b",")
        if not found or len(attributes) < 2 or not all(_extension.fullmatch(one) for one in attributes[2:]):
            return self._broken("has no proof or a broken extension")
        if attributes[0] != b"c=" + binascii.b2a_base64(self._header, newline=False):
            return self._broken("has another header than before")
        if attributes[1] != b"r=" + self._nonce:
            return self._broken("has another nonce")
        try:
            proof = binascii.a2b_base64(shown, strict_mode=True)
        except ValueError:
            proof = b""
        if len(proof) != len(keys.stored):
            return self._broken("has a broken proof")
        signed = self._bare + b"," + self._server_first + b"," + without_proof
        signature = hmac.digest(keys.stored, signed, self._algorithm)
        client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.new(self._algorithm, client_key).digest(), keys.stored):
            return Refuted()
        verifier = hmac.digest(keys.server, signed, self._algorithm)
        return Proved(b"v=" + binascii.b2a_base64(verifier, newline=False))

    def _broken(self, what: str) -> Broken:
        return Broken(f"{self._name} message {what}")


def _unescaped(name: bytes) -> bytes:
    return name.replace(b"=2C", b",").replace(b"=3D", b"=")


def _mechanism(name: str, algorithm: str) -> Mechanism:
    def begin(surroundings: Surroundings) -> Scram:
        return Scram(name, algorithm, lambda: binascii.b2a_base64(surroundings.entropy(NONCE_OCTETS), newline=False))

    return Mechanism(name, frozenset({"mutual-auth"}), begin)


SCRAM_SHA_1 = _mechanism("SCRAM-SHA-1", "sha1")
SCRAM_SHA_256 = _mechanism("SCRAM-SHA-256", "sha256")
