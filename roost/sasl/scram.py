"""SCRAM-SHA-1 (RFC 5802) and SCRAM-SHA-256 (RFC 7677), and both with channel binding (``-PLUS``).

    C: n,,n=user,r=<client nonce>
    S: r=<client nonce><server nonce>,s=<salt>,i=<iterations>
    C: c=<header again>,r=<both nonces>,p=<proof>
    S: v=<server signature>

The password never crosses the line, nor anything that lets one log in elsewhere; the server proves itself too. The name
is taken as the octets that came, without SASLprep: the rules for names of the caller prepare it.

**Channel binding.** The header's flag must fit: ``p=<kind>`` with -PLUS and only there; ``n`` (the client cannot) and
``y`` (it could, but was shown no -PLUS) without. ``y`` where -PLUS was shown means that somebody between has changed
the list of mechanisms: it is refused. With ``p`` the second message's ``c=`` holds the header and the data of the TLS
connection, and the proof covers it: who stands between has another connection to each side.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from collections.abc import Callable

from roost.sasl import scram_keys
from roost.sasl.base import Bind, Broken, Challenge, Lookup, Mechanism, Proved, Refuted, Surroundings, Turn

NONCE_OCTETS = 18  # of entropy; 24 characters
MAX_CLIENT_NONCE = 512  # it is sent back, so the answer must stay a line
PLUS = "-PLUS"

_nonce = re.compile(rb"[\x21-\x2b\x2d-\x7e]+")
_bad_name = re.compile(rb"=(?!2C|3D)|\0")
_extension = re.compile(rb"[A-Za-z]=[^\0]+")


class Scram:
    """One conversation. ``nonce`` makes the server's part of the nonce: printable, no comma.

    ``bindings`` None: without channel binding; otherwise the kinds that the connection can give. ``plus_shown``: the
    client was shown this mechanism's -PLUS form too.
    """

    __slots__ = (
        "_algorithm",
        "_bare",
        "_binding",
        "_bindings",
        "_first",
        "_header",
        "_keys",
        "_lookup",
        "_make_nonce",
        "_name",
        "_nonce",
        "_plus_shown",
        "_server_first",
    )

    def __init__(
        self,
        name: str,
        algorithm: str,
        nonce: Callable[[], bytes],
        *,
        bindings: frozenset[str] | None = None,
        plus_shown: bool = False,
    ) -> None:
        self._name = name
        self._algorithm = algorithm
        self._make_nonce = nonce
        self._bindings = bindings
        self._plus_shown = plus_shown
        self._first = True
        self._header = self._bare = self._nonce = self._server_first = self._binding = b""
        self._lookup: Lookup | None = None
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
        kind = flag[2:].decode("ascii", "replace") if flag[:2] == b"p=" else ""
        why = self._flag_is_wrong(flag, kind)
        if why:
            return self._broken(why)
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
        lookup = Lookup(authcid, self._name, self._server_answer, b"" if wanted == authcid else wanted)
        if not kind:
            return lookup
        self._lookup = lookup
        return Bind(kind, self._bound)

    def _flag_is_wrong(self, flag: bytes, kind: str) -> str:
        """What the header's flag has to do with the mechanism; "" when it fits."""
        if kind:
            if self._bindings is None:
                return "binds to a channel, which is for the -PLUS mechanism"
            return "" if kind in self._bindings else "asks for a kind of channel binding that there is not"
        if flag not in (b"n", b"y"):
            return "has a broken header"
        if self._bindings is not None:
            return "does not bind to the channel"
        if flag == b"y" and self._plus_shown:
            return "says that no channel binding was offered, but it was: somebody changed the list of mechanisms"
        return ""

    def _bound(self, data: bytes | None) -> Turn:
        assert self._lookup is not None
        if not data:
            return self._broken("asks for a channel binding that the connection cannot give")
        self._binding = data
        lookup, self._lookup = self._lookup, None
        return lookup

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
        if attributes[0] != b"c=" + binascii.b2a_base64(self._header + self._binding, newline=False):
            if self._binding:
                return self._broken("is bound to another connection, or has another header than before")
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
        plus = PLUS if self._bindings is not None else ""
        return Broken(f"{self._name}{plus} message {what}")


def _unescaped(name: bytes) -> bytes:
    return name.replace(b"=2C", b",").replace(b"=3D", b"=")


def _mechanism(name: str, algorithm: str, *, plus: bool = False) -> Mechanism:
    def begin(surroundings: Surroundings) -> Scram:
        return Scram(
            name,
            algorithm,
            lambda: binascii.b2a_base64(surroundings.entropy(NONCE_OCTETS), newline=False),
            bindings=surroundings.bindings if plus else None,
            plus_shown=name + PLUS in surroundings.plus,
        )

    if plus:
        return Mechanism(name + PLUS, frozenset({"mutual-auth", "channel-binding"}), begin, of_connection=True)
    return Mechanism(name, frozenset({"mutual-auth"}), begin, of_connection=True)


SCRAM_SHA_1 = _mechanism("SCRAM-SHA-1", "sha1")
SCRAM_SHA_256 = _mechanism("SCRAM-SHA-256", "sha256")
SCRAM_SHA_1_PLUS = _mechanism("SCRAM-SHA-1", "sha1", plus=True)
SCRAM_SHA_256_PLUS = _mechanism("SCRAM-SHA-256", "sha256", plus=True)
