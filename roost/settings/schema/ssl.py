"""TLS of our listeners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from roost.settings.fields import BOOL, ENUM, FILE, SECRET, STR, setting

CIPHERS = "ALL:!kRSA:!SRP:!kDHd:!DSS:!aNULL:!eNULL:!EXPORT:!DES:!3DES:!MD5:!PSK:!RC4:!ADH:!LOW@STRENGTH"


@dataclass(frozen=True)
class SslSettings:
    """Certificate files are named here and read by the processes that need them, before they drop privileges."""

    WITHIN: ClassVar[tuple[str, ...]] = ("ssl_server",)

    ssl: str = setting(
        "yes",
        type=ENUM,
        choices=("yes", "no", "required"),
        text="TLS: offered, switched off (ssl listeners are not opened), or required before any login.",
    )
    ssl_cipher_list: str = setting(CIPHERS, type=STR, text="OpenSSL cipher list for TLS 1.2 and older.")
    ssl_cipher_suites: str = setting("", type=STR, text='TLS 1.3 cipher suites. "" = OpenSSL\'s default.')
    ssl_curve_list: str = setting("", type=STR, text='Elliptic curves, by preference. "" = OpenSSL\'s default.')
    ssl_min_protocol: str = setting(
        "TLSv1.2", type=ENUM, choices=("TLSv1.2", "TLSv1.3"), text="Oldest protocol version that is spoken."
    )
    ssl_peer_certificate_fingerprint_hash: str = setting(
        "",
        type=ENUM,
        choices=("", "sha256", "sha384", "sha512"),
        text="Hash of the fingerprints of a client's certificate and its key that the auth service is told; "
        '"" = they are not made.',
    )
    ssl_server_ca_file: str = setting("", type=FILE, text="Certificates of the authorities client certificates need.")
    ssl_server_cert_file: str = setting("", type=FILE, text="Certificate and its chain, PEM.")
    ssl_server_cert_username_field: str = setting(
        "commonName", type=STR, text="Part of a client certificate's subject that names the user."
    )
    ssl_server_dh_file: str = setting("", type=FILE, text='Diffie-Hellman parameters, PEM. "" = OpenSSL\'s own.')
    ssl_server_key_file: str = setting("", type=FILE, text="Private key, PEM.")
    ssl_server_key_password: str = setting("", type=SECRET, text="Password of the private key.")
    ssl_server_prefer_ciphers: str = setting(
        "client", type=ENUM, choices=("client", "server"), text="Whose order of ciphers decides."
    )
    ssl_server_request_client_cert: str = setting(
        "no",
        type=ENUM,
        choices=("no", "yes", "any-cert"),
        text="Ask clients for a certificate; yes needs ssl_server_ca_file.",
    )
    ssl_server_require_crl: bool = setting(
        True,
        type=BOOL,
        text="Client certificates count only if ssl_server_ca_file also holds their authorities' revocation lists.",
    )
