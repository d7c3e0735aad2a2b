"""What TLS adds to AUTHENTICATE, through the real master and rooms: channel binding and client certificates."""

from __future__ import annotations

import hashlib
import imaplib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from kit.instance import PASSWORD, Instance
from kit.sasl_client import ScramClient

MECHANISMS = "plain scram-sha-256-plus scram-sha-256 scram-sha-1-plus scram-sha-1 external oauthbearer xoauth2"
CONF = """
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_ssl_username_from_cert = {from_cert}
ssl_server_request_client_cert = {request}
ssl_server_ca_file = {folder}/clients.pem
ssl_server_require_crl = no
ssl_peer_certificate_fingerprint_hash = sha256
passdb external {{
  driver = static
  mechanisms_filter = external
  fields {{
    nopassword = yes
  }}
}}
"""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("binding")
    authority.cert_pem.write_to_path(str(folder / "clients.pem"))
    conf = CONF.format(mechanisms=MECHANISMS, folder=folder, from_cert="no", request="yes")
    with Instance(folder, conf) as running:
        yield running


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[Instance]:
    """The certificate says who the user is."""
    folder = tmp_path_factory.mktemp("certified")
    authority.cert_pem.write_to_path(str(folder / "clients.pem"))
    conf = CONF.format(mechanisms=MECHANISMS, folder=folder, from_cert="yes", request="yes")
    with Instance(folder, conf + "auth_verbose = yes\n") as running:
        yield running


def connect(
    roost: Instance,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    certificate: trustme.LeafCert | None = None,
    *,
    starttls: bool = False,
) -> imaplib.IMAP4:
    context = ssl.create_default_context(cafile=str(roost.ca_file))
    context.minimum_version = context.maximum_version = version
    if certificate is not None:
        certificate.configure_cert(context)
    if not starttls:
        return imaplib.IMAP4_SSL("localhost", roost.imaps_port, ssl_context=context, timeout=30)
    imap = imaplib.IMAP4("localhost", roost.imap_port, timeout=30)
    assert not any(name.endswith("-PLUS") for name in imap.capabilities)
    imap.starttls(context)
    return imap


def data_of(imap: imaplib.IMAP4, kind: str) -> bytes:
    assert isinstance(imap.sock, ssl.SSLSocket)
    if kind == "tls-unique":
        return imap.sock.get_channel_binding("tls-unique") or b""
    return hashlib.sha256(imap.sock.getpeercert(binary_form=True) or b"").digest()


def scram(imap: imaplib.IMAP4, mechanism: str, header: bytes, binding: bytes, password: str = PASSWORD) -> ScramClient:
    algorithm = "sha1" if "SHA-1" in mechanism else "sha256"
    client = ScramClient(algorithm, b"u1", password.encode(), header=header, binding=binding)
    answers: Iterator[Callable[[bytes], bytes]] = iter((lambda _: client.first(), client.final, lambda _: b""))
    imap.authenticate(mechanism, lambda challenge: next(answers)(challenge))
    return client


def refused(imap: imaplib.IMAP4, mechanism: str, header: bytes, binding: bytes) -> None:
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        scram(imap, mechanism, header, binding)


@pytest.mark.parametrize("starttls", [False, True])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"])
@pytest.mark.parametrize(
    ("version", "kind"),
    [
        (ssl.TLSVersion.TLSv1_2, "tls-unique"),
        (ssl.TLSVersion.TLSv1_2, "tls-server-end-point"),
        (ssl.TLSVersion.TLSv1_3, "tls-server-end-point"),
    ],
)
def test_bound_to_this_connection(
    roost: Instance, mechanism: str, version: ssl.TLSVersion, kind: str, starttls: bool
) -> None:
    with connect(roost, version, starttls=starttls) as imap:
        assert f"AUTH={mechanism}" in imap.capabilities
        header = b"p=%b,," % kind.encode()
        refused(imap, mechanism, header, b"somebody else's")
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            scram(imap, mechanism, header, data_of(imap, kind), "wrong")
        scram(imap, mechanism, header, data_of(imap, kind))
        assert imap.select("INBOX")[0] == "OK"
    roost.wait_log(f"user=<u1>, method={mechanism}")


def test_kinds_that_the_connection_does_not_have(roost: Instance) -> None:
    with connect(roost) as imap:
        refused(imap, "SCRAM-SHA-256-PLUS", b"p=tls-unique,,", b"x" * 12)  # not in TLS 1.3
        refused(imap, "SCRAM-SHA-256-PLUS", b"p=tls-exporter,,", b"x" * 32)  # Python's ssl cannot
        refused(imap, "SCRAM-SHA-256-PLUS", b"p=nonsense,,", b"x")
        scram(imap, "SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,", data_of(imap, "tls-server-end-point"))


def test_a_changed_list_of_mechanisms_is_noticed(roost: Instance) -> None:
    with connect(roost) as imap:
        refused(imap, "SCRAM-SHA-256", b"y,,", b"")
        refused(imap, "SCRAM-SHA-256-PLUS", b"y,,", b"")
        refused(imap, "SCRAM-SHA-256-PLUS", b"n,,", b"")
        refused(imap, "SCRAM-SHA-256", b"p=tls-server-end-point,,", data_of(imap, "tls-server-end-point"))
        scram(imap, "SCRAM-SHA-256", b"n,,", b"")
    with imaplib.IMAP4("127.0.0.1", roost.imap_port, timeout=30) as imap:  # no TLS: nothing better was offered
        assert not any(name.endswith("-PLUS") for name in imap.capabilities)
        scram(imap, "SCRAM-SHA-256", b"y,,", b"")


def test_plus_without_tls_is_unknown(roost: Instance) -> None:
    with imaplib.IMAP4("127.0.0.1", roost.imap_port, timeout=30) as imap:
        with pytest.raises(imaplib.IMAP4.error, match="Unsupported authentication mechanism"):
            scram(imap, "SCRAM-SHA-256-PLUS", b"p=tls-unique,,", b"x")
        scram(imap, "SCRAM-SHA-256", b"n,,", b"")


def test_external(certified: Instance, authority: trustme.CA) -> None:
    with connect(certified, certificate=authority.issue_cert("x.example", common_name="u1")) as imap:
        assert "AUTH=EXTERNAL" in imap.capabilities
        imap.authenticate("EXTERNAL", lambda _: b"")
        assert imap.select("INBOX")[0] == "OK"
    certified.wait_log("user=<u1>, method=EXTERNAL")
    with connect(certified, certificate=authority.issue_cert("x.example", common_name="u2")) as imap:
        imap.authenticate("EXTERNAL", lambda _: b"u2")  # names itself
    certified.wait_log("user=<u2>, method=EXTERNAL")


def test_external_for_somebody_else(certified: Instance, authority: trustme.CA) -> None:
    with (
        connect(certified, certificate=authority.issue_cert("x.example", common_name="u3")) as imap,
        pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"),
    ):
        imap.authenticate("EXTERNAL", lambda _: b"u4")


@pytest.mark.parametrize("name", [None, "", "u1\nx"])
def test_a_certificate_without_a_name_lets_nobody_in(certified: Instance, authority: trustme.CA, name: str) -> None:
    certificate = authority.issue_cert("x.example", common_name=name) if name else authority.issue_cert("x.example")
    with connect(certified, certificate=certificate) as imap:
        for mechanism, message in (("EXTERNAL", b"u1"), ("PLAIN", b"\0u1\0" + PASSWORD.encode())):
            with pytest.raises(imaplib.IMAP4.error, match=r"AUTHENTICATIONFAILED\] SSL certificate didn't"):
                imap.authenticate(mechanism, lambda _, message=message: message)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap.login("u1", PASSWORD)


def test_without_a_certificate_nobody_gets_in(certified: Instance) -> None:
    with connect(certified) as imap:
        assert "AUTH=EXTERNAL" not in imap.capabilities
        with pytest.raises(imaplib.IMAP4.error, match="SSL certificate didn't contain username"):
            imap.authenticate("EXTERNAL", lambda _: b"u1")
        with pytest.raises(imaplib.IMAP4.error, match="SSL certificate didn't contain username"):
            imap.login("u1", PASSWORD)


def test_the_certificate_counts_and_not_the_name_given(certified: Instance, authority: trustme.CA) -> None:
    with connect(certified, certificate=authority.issue_cert("x.example", common_name="u5")) as imap:
        imap.login("u6", PASSWORD)
    certified.wait_log("user=<u5>, method=PLAIN")


def test_a_foreign_certificate_does_not_connect(certified: Instance) -> None:
    foreign = trustme.CA().issue_cert("x.example", common_name="u1")
    with pytest.raises((ssl.SSLError, OSError, imaplib.IMAP4.error)):
        connect(certified, certificate=foreign)


def test_a_certificate_alone_proves_nothing_where_it_is_not_to_name_the_user(
    roost: Instance, authority: trustme.CA
) -> None:
    with connect(roost, certificate=authority.issue_cert("x.example", common_name="u1")) as imap:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap.authenticate("EXTERNAL", lambda _: b"u1")
        imap.login("u1", PASSWORD)


def test_a_client_certificate_can_be_demanded(tmp_path: Path, authority: trustme.CA) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    conf = CONF.format(mechanisms="plain", folder=tmp_path, from_cert="no", request="yes")
    with Instance(tmp_path, conf + "auth_ssl_require_client_cert = yes\n") as roost:
        with (
            connect(roost) as imap,
            pytest.raises(imaplib.IMAP4.error, match="Client didn't present valid SSL certificate"),
        ):
            imap.login("u1", PASSWORD)
        with connect(roost, certificate=authority.issue_cert("x.example")) as imap:
            imap.login("u1", PASSWORD)
