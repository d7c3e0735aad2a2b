"""What TLS knows of a connection beside its octets: data to bind an authentication to it, and the client's certificate.

**Channel binding** (RFC 5056, 5929, 9266). Kinds that this process can deliver:

* ``tls-server-end-point``: the hash of our certificate, by its own signature's hash function (SHA-256 for MD5 and
  SHA-1). Works with every version of TLS. Not for certificates whose signature has no hash function (Ed25519).
* ``tls-unique``: the first Finished message, TLS 1.2 and older only (RFC 9266 §3: it is not defined for 1.3).
* ``tls-exporter``: only where Python's ssl can export keying material. No version up to 3.14 can; as soon as
  ``ssl.CHANNEL_BINDING_TYPES`` names it, it is offered.

The certificate is read with a DER walk of a few lines: Python's ssl does not tell the signature's algorithm, and a
library for it would cost every mail process 20 MB.

**Client certificates** come verified: the handshake fails for one that does not lead to ``ssl_server_ca_file``.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roost.settings.schema.ssl import SslSettings

END_POINT, UNIQUE, EXPORTER = "tls-server-end-point", "tls-unique", "tls-exporter"
CAN_EXPORT = EXPORTER in ssl.CHANNEL_BINDING_TYPES
OLD_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2")

SEQUENCE, OBJECT_IDENTIFIER, VERSION_TAG, HASH_TAG = 0x30, 0x06, 0xA0, 0xA0

# Signature algorithm (the octets of its OBJECT IDENTIFIER) → the hash RFC 5929 §4.1 says.
_RSA, _ECDSA = "2a864886f70d0101", "2a8648ce3d04"
_NIST_HASH, _NIST_SIGNATURE = "608648016503040", "60864801650304030"
SIGNATURE_HASHES: Mapping[str, str] = {
    _RSA + "04": "sha256",  # MD5, raised
    _RSA + "05": "sha256",  # SHA-1, raised
    _RSA + "0e": "sha224",
    _RSA + "0b": "sha256",
    _RSA + "0c": "sha384",
    _RSA + "0d": "sha512",
    _ECDSA + "01": "sha256",  # SHA-1, raised
    _ECDSA + "0301": "sha224",
    _ECDSA + "0302": "sha256",
    _ECDSA + "0303": "sha384",
    _ECDSA + "0304": "sha512",
    _NIST_SIGNATURE + "2": "sha256",  # DSA
}
RSA_PSS = _RSA + "0a"  # its hash is a parameter
HASHES: Mapping[str, str] = {
    "2b0e03021a": "sha256",  # SHA-1, raised
    _NIST_HASH + "201": "sha256",
    _NIST_HASH + "202": "sha384",
    _NIST_HASH + "203": "sha512",
    _NIST_HASH + "204": "sha224",
}

# Short names that OpenSSL knows for parts of a certificate's subject, where Python shows the long one.
LONG_NAMES: Mapping[str, str] = {
    "cn": "commonName",
    "uid": "userId",
    "email": "emailAddress",
    "sn": "surname",
    "gn": "givenName",
    "o": "organizationName",
    "ou": "organizationalUnitName",
}


class ServerContext(ssl.SSLContext):
    """A context that remembers the end point data of its certificate; b"" when it has none."""

    end_point: bytes = b""


def binding_kinds(tls: ssl.SSLObject) -> tuple[str, ...]:
    """The kinds of channel binding this connection can give, the strongest first."""
    kinds = []
    if CAN_EXPORT and tls.version() == "TLSv1.3":
        kinds.append(EXPORTER)
    if getattr(tls.context, "end_point", b""):
        kinds.append(END_POINT)
    if tls.version() in OLD_VERSIONS:
        kinds.append(UNIQUE)
    return tuple(kinds)


def binding_data(tls: ssl.SSLObject, kind: str) -> bytes | None:
    """The data of one kind; None for one that ``binding_kinds`` does not name."""
    if kind not in binding_kinds(tls):
        return None
    if kind == END_POINT:
        found: bytes = getattr(tls.context, "end_point", b"")
        return found or None
    return tls.get_channel_binding(kind)


def end_point(certificate: bytes) -> bytes:
    """The tls-server-end-point data of a certificate in DER; b"" when RFC 5929 defines none."""
    try:
        algorithm = _children(_children(certificate)[0][1])[1][1]
        parts = _children(algorithm)
        name = parts[0][1].hex()
        if name == RSA_PSS:
            hashed = "sha256"  # the default is SHA-1, raised
            for tag, value in _children(parts[1][1]) if len(parts) > 1 else ():
                if tag == HASH_TAG:
                    hashed = HASHES[_children(_children(value)[0][1])[0][1].hex()]
        else:
            hashed = SIGNATURE_HASHES[name]
    except (IndexError, KeyError):
        return b""
    return hashlib.new(hashed, certificate).digest()


def public_key(certificate: bytes) -> bytes:
    """SubjectPublicKeyInfo of a certificate in DER, itself in DER; b"" when it cannot be read."""
    try:
        fields = _children(_children(_children(certificate)[0][1])[0][1])
        place = 6 if fields[0][0] == VERSION_TAG else 5
        tag, value = fields[place]
    except IndexError:
        return b""
    return _wrapped(value) if tag == SEQUENCE else b""


def client_fields(tls: ssl.SSLObject, settings: SslSettings) -> dict[str, str]:
    """What the auth service is told of the client's certificate, as parameters of AUTH. Empty when there is none.

    ``cert_username`` is there only when the subject has exactly one such part, and that is printable text: any doubt is
    no name.
    """
    der = tls.getpeercert(binary_form=True)
    shown = tls.getpeercert() if der else None
    if not der or not shown:
        return {}
    fields = {"valid-client-cert": ""}
    wanted = settings.ssl_server_cert_username_field
    wanted = LONG_NAMES.get(wanted.lower(), wanted)
    subject = shown.get("subject", ())
    names = [part[1] for group in subject if isinstance(group, tuple) for part in group if part[0] == wanted]
    if len(names) == 1 and isinstance(names[0], str) and names[0] and names[0].isprintable():
        fields["cert_username"] = names[0]
    hashed = settings.ssl_peer_certificate_fingerprint_hash
    if hashed:
        fields["ssl_client_cert_fp"] = hashlib.new(hashed, der).hexdigest()
        key = public_key(der)
        if key:
            fields["ssl_client_cert_pubkey_fp"] = hashlib.new(hashed, key).hexdigest()
    return fields


def _children(octets: bytes) -> list[tuple[int, bytes]]:
    """The elements (tag, contents) one after another. Raises IndexError when a length leads outside."""
    found = []
    at = 0
    while at < len(octets):
        tag, length = octets[at], octets[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4 or at + size > len(octets):
                raise IndexError
            length = int.from_bytes(octets[at : at + size], "big")
            at += size
        if at + length > len(octets):
            raise IndexError
        found.append((tag, octets[at : at + length]))
        at += length
    return found


def _wrapped(contents: bytes) -> bytes:
    """A SEQUENCE of these contents."""
    size = len(contents)
    if size < 0x80:
        return bytes((SEQUENCE, size)) + contents
    shown = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((SEQUENCE, 0x80 | len(shown))) + shown + contents
