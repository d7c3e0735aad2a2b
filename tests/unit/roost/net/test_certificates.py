"""What is read of certificates: the end point data of each kind of signature, keys, names; and of broken ones."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.net.certificates import binding_data, binding_kinds, client_fields, end_point, public_key
from roost.settings.schema.ssl import SslSettings

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
PSS = {
    name: padding.PSS(padding.MGF1(hashed), hashed.digest_size)
    for name, hashed in (("sha256", hashes.SHA256()), ("sha384", hashes.SHA384()), ("sha512", hashes.SHA512()))
}


def certificate(key: Any, hashed: hashes.HashAlgorithm | None, pss: padding.PSS | None = None) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x" * 40)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    made = builder.sign(key, hashed, rsa_padding=pss) if pss is not None else builder.sign(key, hashed)
    return made.public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["rsa", "ecdsa"])
@pytest.mark.parametrize("hashed", [hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_the_signatures_own_hash(key: Any, hashed: hashes.HashAlgorithm) -> None:
    der = certificate(key, hashed)
    assert end_point(der) == hashlib.new(hashed.name, der).digest()


@pytest.mark.parametrize("name", sorted(PSS))
def test_pss_names_its_hash_in_its_parameters(name: str) -> None:
    hashed = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[name]
    der = certificate(RSA_KEY, hashed, PSS[name])
    assert end_point(der) == hashlib.new(name, der).digest()


def test_a_signature_without_a_hash_has_no_end_point() -> None:
    assert end_point(certificate(ed25519.Ed25519PrivateKey.generate(), None)) == b""


def test_sha_1_and_md5_are_raised() -> None:
    """RFC 5929 §4.1; libraries no longer make such certificates, so one is made over."""
    der = certificate(RSA_KEY, hashes.SHA256())
    oid = bytes.fromhex("06092a864886f70d0101")
    for weak in (b"\x04", b"\x05"):
        changed = der.replace(oid + b"\x0b", oid + weak)
        assert changed != der and end_point(changed) == hashlib.sha256(changed).digest()


@pytest.mark.parametrize("key", [RSA_KEY, EC_KEY], ids=["rsa", "ec"])
def test_the_public_key(key: Any) -> None:
    info = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public_key(certificate(key, hashes.SHA256())) == info


@given(cut=st.integers(0, 400), octets=st.binary(max_size=8))
@settings(max_examples=200, deadline=None)
def test_broken_certificates_are_no_exception(cut: int, octets: bytes) -> None:
    der = _DER[:cut] + octets + _DER[cut + len(octets) :]
    assert isinstance(end_point(der), bytes) and isinstance(public_key(der), bytes)
    assert end_point(_DER[: min(cut, len(_DER) - 1)]) == b"" and isinstance(public_key(octets), bytes)


_DER = certificate(EC_KEY, hashes.SHA256())


class Tls:
    """A TLS connection as far as it is looked at."""

    def __init__(self, version: str, point: bytes = b"", subject: tuple[object, ...] | None = None) -> None:
        self._version = version
        self._subject = subject
        self.context = type("Context", (), {"end_point": point})

    def version(self) -> str:
        return self._version

    def get_channel_binding(self, kind: str) -> bytes:
        assert kind == "tls-unique"
        return b"finished"

    def getpeercert(self, binary_form: bool = False) -> object:
        if self._subject is None:
            return None if binary_form else {}
        return _DER if binary_form else {"subject": self._subject}


def test_kinds_of_binding() -> None:
    old: Any = Tls("TLSv1.2", b"point")
    assert binding_kinds(old) == ("tls-server-end-point", "tls-unique")
    assert binding_data(old, "tls-unique") == b"finished" and binding_data(old, "tls-server-end-point") == b"point"
    new: Any = Tls("TLSv1.3", b"point")
    assert binding_kinds(new)[-1] == "tls-server-end-point" and "tls-unique" not in binding_kinds(new)
    assert binding_data(new, "tls-unique") is None and binding_data(new, "nonsense") is None
    none: Any = Tls("TLSv1.3")
    assert "tls-server-end-point" not in binding_kinds(none)


@pytest.mark.parametrize(
    ("subject", "field", "name"),
    [
        (((("commonName", "u1"),),), "commonName", "u1"),
        (((("commonName", "u1"),),), "CN", "u1"),
        (((("userId", "u2"),), (("commonName", "x"),)), "uid", "u2"),
        (((("commonName", "u1"),), (("commonName", "u2"),)), "commonName", None),
        (((("commonName", "u1"), ("commonName", "u1")),), "commonName", None),
        (((("organizationName", "u1"),),), "commonName", None),
        (((("commonName", ""),),), "commonName", None),
        (((("commonName", "u1\0.example"),),), "commonName", None),
        (((("commonName", "u1\t"),),), "commonName", None),
        ((), "commonName", None),
    ],
)
def test_the_name_in_a_certificate(subject: tuple[object, ...], field: str, name: str | None) -> None:
    tls: Any = Tls("TLSv1.3", subject=subject)
    fields = client_fields(tls, SslSettings(ssl_server_cert_username_field=field))
    # An empty subject still is a certificate; getpeercert shows its other parts.
    assert fields == {"valid-client-cert": ""} | ({} if name is None else {"cert_username": name})


def test_fingerprints() -> None:
    tls: Any = Tls("TLSv1.3", subject=((("commonName", "u1"),),))
    fields = client_fields(tls, SslSettings(ssl_peer_certificate_fingerprint_hash="sha256"))
    assert fields["ssl_client_cert_fp"] == hashlib.sha256(_DER).hexdigest()
    assert fields["ssl_client_cert_pubkey_fp"] == hashlib.sha256(public_key(_DER)).hexdigest()
    none: Any = Tls("TLSv1.3")
    assert client_fields(none, SslSettings()) == {}
