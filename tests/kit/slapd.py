"""A private LDAP server (slapd) on a UNIX socket and a loopback port, for tests; a visible skip where there is none.

One server serves a test run's process; each test has a suffix of its own (``directory().branch()``).
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trustme
from kit.running import free_ports
from kit.wait import wait_for

SUFFIX = "dc=example,dc=org"
ADMIN = f"cn=admin,{SUFFIX}"
PASSWORD = "directory-secret"
PROGRAMS = ("/usr/sbin/slapd", "/usr/lib/openldap/slapd", "/usr/libexec/slapd")
SCHEMAS = ("/etc/ldap/schema", "/etc/openldap/schema")
MODULES = ("/usr/lib/ldap", "/usr/lib/openldap", "/usr/lib64/openldap")
FORKS_NOT = ("-d", "0")

CONFIG = """\
{schemas}
{modules}
pidfile {folder}/pid
argsfile {folder}/args
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
sizelimit unlimited
database mdb
maxsize 67108864
suffix "{suffix}"
rootdn "{admin}"
rootpw {password}
directory {folder}/data
dbnosync
access to attrs=userPassword by anonymous auth by * none
access to * by anonymous none by * read
"""


class Slapd:
    """A server. ``uri`` is its socket, ``tcp`` its port, ``tls`` the one with TLS, ``ca_file`` what clients must trust.

    Its certificate is for 127.0.0.1 and for no name.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._branches = 0
        self.folder = Path(tempfile.mkdtemp(prefix="slapd"))
        (self.folder / "data").mkdir()
        authority = trustme.CA()
        server = authority.issue_cert("127.0.0.1")
        self.ca_file = self.folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        server.cert_chain_pems[0].write_to_path(str(self.folder / "server.pem"))
        server.private_key_pem.write_to_path(str(self.folder / "server.key"))
        schemas = next(Path(one) for one in SCHEMAS if Path(one).exists())
        modules = next((one for one in MODULES if any(Path(one).glob("back_mdb*"))), "")
        names = ("core", "cosine", "nis", "inetorgperson")
        config = CONFIG.format(
            schemas="\n".join(f"include {schemas}/{name}.schema" for name in names),
            modules=f"modulepath {modules}\nmoduleload back_mdb" if modules else "",
            folder=self.folder,
            suffix=SUFFIX,
            admin=ADMIN,
            password=PASSWORD,
        )
        (self.folder / "slapd.conf").write_text(config)
        os.chmod(self.folder / "slapd.conf", 0o600)
        self.uri = "ldapi://" + quote(str(self.folder / "socket"), safe="")
        self.port, self.tls_port = free_ports(2)
        self.tcp, self.tls = f"ldap://127.0.0.1:{self.port}", f"ldaps://127.0.0.1:{self.tls_port}"

    def start(self) -> None:
        addresses = f"{self.uri} {self.tcp} {self.tls}"
        command = [self._program, "-f", str(self.folder / "slapd.conf"), "-h", addresses, *FORKS_NOT]
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        wait_for(self._answers, 30, "slapd answers")

    def stop(self) -> None:
        """At once: connections break."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None
            (self.folder / "socket").unlink(missing_ok=True)

    def pause(self, paused: bool) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def branch(self) -> str:
        """A new empty part of the directory; its name."""
        self._branches += 1
        name = f"ou=test{self._branches},{SUFFIX}"
        self.add(name, ["organizationalUnit"], {})
        return name

    def add(self, dn: str, classes: Sequence[str], attributes: Mapping[str, Any]) -> None:
        with self.connected() as connection:
            assert connection.add(dn, list(classes), dict(attributes)), connection.result

    def empty(self, branch: str) -> None:
        """Remove what is in a branch."""
        import ldap3

        with self.connected() as connection:
            connection.search(branch, "(objectClass=*)", ldap3.LEVEL, attributes=["1.1"])
            for one in list(connection.response):
                assert connection.delete(one["dn"]), connection.result

    def connected(self) -> Any:
        import ldap3

        server = ldap3.Server(self.uri, get_info=ldap3.NONE, connect_timeout=10)
        return ldap3.Connection(server, ADMIN, PASSWORD, auto_bind=True, check_names=False)

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self.folder / "log").read_text()
        try:
            with self.connected():
                return True
        except Exception:
            return False


@cache
def directory() -> Slapd:
    """The running server of this process. Skips the test where slapd or ldap3 is not installed."""
    pytest.importorskip("ldap3", reason="ldap3 is not installed")
    program = shutil.which("slapd") or next((one for one in PROGRAMS if Path(one).exists()), None)
    if program is None or not any(Path(one).exists() for one in SCHEMAS):
        pytest.skip("slapd is not installed")
    made = Slapd(program)
    atexit.register(made.remove)
    made.start()
    made.add(SUFFIX, ["dcObject", "organization"], {"o": "Example"})
    return made
