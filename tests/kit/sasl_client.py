"""The client's side of SCRAM, CRAM-MD5 and DIGEST-MD5, written from the RFCs with the standard library alone."""

from __future__ import annotations

import base64
import hashlib
import hmac


class ScramClient:
    """``first()``, then ``final(challenge)``, then ``accepts(last words)``. ``algorithm``: sha1 or sha256."""

    def __init__(
        self,
        algorithm: str,
        user: bytes,
        password: bytes,
        nonce: bytes = b"clientnonce",
        header: bytes = b"n,,",
        binding: bytes = b"",
    ) -> None:
        """``binding``: the data of the TLS connection, with a header that says ``p=``."""
        self.algorithm = algorithm
        self.password = password
        self.header = header
        self.binding = binding
        self.nonce = nonce
        self.bare = b"n=" + user.replace(b"=", b"=3D").replace(b",", b"=2C") + b",r=" + nonce
        self._signed = b""
        self._server_key = b""

    def first(self) -> bytes:
        return self.header + self.bare

    def final(self, challenge: bytes) -> bytes:
        values = dict(part.split(b"=", 1) for part in challenge.split(b","))
        assert values[b"r"].startswith(self.nonce) and values[b"r"] != self.nonce
        salt = base64.b64decode(values[b"s"], validate=True)
        salted = hashlib.pbkdf2_hmac(self.algorithm, self.password, salt, int(values[b"i"]))
        client_key = hmac.digest(salted, b"Client Key", self.algorithm)
        self._server_key = hmac.digest(salted, b"Server Key", self.algorithm)
        without_proof = b"c=" + base64.b64encode(self.header + self.binding) + b",r=" + values[b"r"]
        self._signed = self.bare + b"," + challenge + b"," + without_proof
        signature = hmac.digest(hashlib.new(self.algorithm, client_key).digest(), self._signed, self.algorithm)
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + base64.b64encode(proof)

    def accepts(self, last_words: bytes) -> bool:
        """Whether the server has proved that it knows the password's keys."""
        return last_words == b"v=" + base64.b64encode(hmac.digest(self._server_key, self._signed, self.algorithm))


def cram_md5(user: bytes, password: bytes, challenge: bytes) -> bytes:
    return user + b" " + hmac.new(password, challenge, "md5").hexdigest().encode()


def digest_md5(
    user: bytes, password: bytes, challenge: bytes, realm: bytes = b"", uri: bytes = b"imap/h", authzid: bytes = b""
) -> tuple[bytes, bytes]:
    """(the response, what the server must say then) for names and passwords in ASCII."""

    def hashed(*parts: bytes) -> bytes:
        return hashlib.md5(b":".join(parts)).hexdigest().encode()

    nonce = challenge.partition(b'nonce="')[2].partition(b'"')[0]
    secret = hashlib.md5(b":".join((user, realm, password))).digest()
    a1 = hashed(secret, nonce, b"cnonce", *([authzid] if authzid else []))
    proofs = [
        hashed(a1, nonce, b"00000001", b"cnonce", b"auth", hashed(method, uri)) for method in (b"AUTHENTICATE", b"")
    ]
    text = b'username="%b",realm="%b",nonce="%b",cnonce="cnonce",nc=00000001,qop=auth,digest-uri="%b",response=%b'
    response = text % (user, realm, nonce, uri, proofs[0]) + (b',authzid="%b"' % authzid if authzid else b"")
    return b"charset=utf-8," + response, b"rspauth=" + proofs[1]
