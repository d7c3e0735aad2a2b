"""curl and GNU SASL with the mechanisms that need TLS, a token, a certificate, or an old client."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from kit.instance import Instance

pytestmark = pytest.mark.interop

CONF = """
auth_mechanisms = plain {mechanisms}
auth_failure_delay = 0
auth_realms = {realm}
auth_ssl_username_from_cert = {from_cert}
ssl_server_request_client_cert = {request}
ssl_server_ca_file = {folder}/clients.pem
ssl_server_require_crl = no
passdb external {{
  driver = static
  mechanisms_filter = external
  fields {{
    nopassword = yes
  }}
}}
"""
OFFERED = "scram-sha-256-plus scram-sha-256 scram-sha-1-plus scram-sha-1 oauthbearer xoauth2 cram-md5 digest-md5"
REALM = "localhost"
USERS = {"u1": "{PLAIN}pw", "u2@localhost": "{PLAIN}pw", "u3": "{PLAIN}pässwort", "u4@localhost": "{PLAIN}pässwort"}


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("mechanisms")
    conf = CONF.format(mechanisms=OFFERED, folder=folder, from_cert="no", request="no", realm=REALM)
    with Instance(folder, conf, USERS) as running:
        yield running


def _curl(path: str, roost: Instance, *options: str) -> subprocess.CompletedProcess[str]:
    url = f"imaps://localhost:{roost.imaps_port}/INBOX?ALL"
    return subprocess.run(
        [path, "-sSv", "--max-time", "30", "--cacert", str(roost.ca_file), *options, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_curl_with_a_token(roost: Instance, program: Callable[[str], str], mechanism: str) -> None:
    options = ("--login-options", f"AUTH={mechanism}", "-u", "u1:")
    done = _curl(program("curl"), roost, *options, "--oauth2-bearer", "pw")
    assert done.returncode == 0 and "* SEARCH" in done.stdout, done.stderr
    done = _curl(program("curl"), roost, *options, "--oauth2-bearer", "wrong")
    assert done.returncode == 67 and "[AUTHENTICATIONFAILED]" in done.stderr, done.stderr


@pytest.mark.parametrize(("mechanism", "user"), [("CRAM-MD5", "u1"), ("DIGEST-MD5", "u2")])
def test_curl_with_a_digest(roost: Instance, program: Callable[[str], str], mechanism: str, user: str) -> None:
    options = ("--login-options", f"AUTH={mechanism}")
    done = _curl(program("curl"), roost, *options, "-u", f"{user}:pw")
    assert done.returncode == 0 and "* SEARCH" in done.stdout, done.stderr
    done = _curl(program("curl"), roost, *options, "-u", f"{user}:no")
    assert done.returncode == 67 and "[AUTHENTICATIONFAILED]" in done.stderr, done.stderr


def test_curl_with_a_certificate(program: Callable[[str], str], tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "clients.pem"))
    leaf = authority.issue_cert("client.example", common_name="u1")
    leaf.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    conf = CONF.format(mechanisms="external", folder=tmp_path, from_cert="yes", request="yes", realm="")
    with Instance(tmp_path, conf) as roost:
        options = ("--login-options", "AUTH=EXTERNAL", "-u", "u1:")
        done = _curl(program("curl"), roost, *options, "--cert", str(tmp_path / "client.pem"))
        assert done.returncode == 0 and "* SEARCH" in done.stdout, done.stderr
        done = _curl(program("curl"), roost, *options)
        assert done.returncode == 67, done.stderr


def _gsasl(path: str, roost: Instance, mechanism: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [path, "--connect", f"localhost:{roost.imap_port}", "--imap", "-m", mechanism, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
    )


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"])
def test_gsasl_binds_to_tls_1_2(roost: Instance, program: Callable[[str], str], mechanism: str) -> None:
    tls = ("--starttls", "--x509-ca-file", str(roost.ca_file), "--priority", "NORMAL:-VERS-TLS1.3")
    done = _gsasl(program("gsasl"), roost, mechanism, *tls, "-a", "u3", "-p", "pässwort")
    assert "\n. OK [CAPABILITY" in done.stdout, done.stdout + done.stderr
    done = _gsasl(program("gsasl"), roost, mechanism, *tls, "-a", "u3", "-p", "passwort")
    assert "\n. NO [AUTHENTICATIONFAILED]" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(("user", "password"), [("u2", "pw"), ("u4", "pässwort")])
def test_gsasl_digest_md5(roost: Instance, program: Callable[[str], str], user: str, password: str) -> None:
    options = ("--no-starttls", "--quality-of-protection=qop-auth", "-r", REALM, "-a", user)
    done = _gsasl(program("gsasl"), roost, "DIGEST-MD5", *options, "-p", password)
    assert "\n. OK [CAPABILITY" in done.stdout, done.stdout + done.stderr
    done = _gsasl(program("gsasl"), roost, "DIGEST-MD5", *options, "-p", "no")
    assert "\n. NO [AUTHENTICATIONFAILED]" in done.stdout, done.stdout + done.stderr


MBSYNC = """\
IMAPAccount roost
Host localhost
Port {port}
User {user}
Pass {password}
SSLType IMAPS
CertificateFile {certificate}
AuthMechs {mechanism}

IMAPStore remote
Account roost

MaildirStore local
Path {folder}/
Inbox {folder}/INBOX

Channel all
Far :remote:
Near :local:
Patterns INBOX
Create Near
SyncState *
"""


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5"])
def test_mbsync_through_cyrus_sasl(
    roost: Instance, program: Callable[[str], str], tmp_path: Path, mechanism: str
) -> None:
    for password, expected in (("pw", True), ("no", False)):
        folder = tmp_path / password
        folder.mkdir()
        config = tmp_path / f"{password}.rc"
        config.write_text(
            MBSYNC.format(
                port=roost.imaps_port,
                user="u2" if mechanism == "DIGEST-MD5" else "u1",
                password=password,
                certificate=roost.ca_file,
                mechanism=mechanism,
                folder=folder,
            )
        )
        done = subprocess.run(
            [program("mbsync"), "-V", "-a", "-c", str(config)], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode == 0) == expected, done.stdout + done.stderr
        assert expected or "AUTHENTICATIONFAILED" in done.stdout + done.stderr, done.stdout + done.stderr
