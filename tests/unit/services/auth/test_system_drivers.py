"""passdb pam against the real libpam with a service folder of its own; passdb and userdb passwd against the system."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Sequence
from pathlib import Path

import pytest

from roost.auth.api import Entry, Outcome, Passdb, Query
from roost.errors import ConfigError, Unavailable
from roost.settings.schema.auth import PassdbSettings, UserdbSettings
from roost.testing.passdb import HOSTILE_NAMES, PassdbSuite, StoredUser, driver_context
from roost.util.secret import Secret
from services.auth import nss, pam
from services.auth.passdb import PASSDBS
from services.auth.schemes.libcrypt import crypt
from services.auth.userdb import USERDBS

MODULE = next(Path("/").glob("lib/*/security/pam_pwdfile.so"), None) or next(
    Path("/usr/lib").glob("*/security/pam_pwdfile.so"), None
)
needs_pam = pytest.mark.skipif(MODULE is None, reason="libpam-pwdfile is not installed")


def service(folder: Path, *lines: str, name: str = "dovecot") -> None:
    text = "\n".join(lines).format(pwdfile=f"pam_pwdfile.so nodelay pwdfile={folder}/pw")
    (folder / name).write_text(text + "\n")


def hashed(password: bytes) -> str:
    found = crypt(password, b"$6$rounds=1000$saltsalt$")
    assert found is not None
    return found.decode()


STACK = ("auth required {pwdfile}", "account required pam_permit.so", "session required pam_permit.so")


def driver(folder: Path, **settings: object) -> Passdb:
    values = {"name": "pam", "pam_conf_dir": str(folder), **settings}
    return PASSDBS["pam"](PassdbSettings(**values), driver_context())  # type: ignore[arg-type]  # of several types


def verify(made: Passdb, user: str, password: bytes = b"pw", **parameters: str) -> Entry | None:
    query = Query(user, parameters, "plain")
    found: Entry | None = asyncio.run(made.verify(query, Secret(password)))  # type: ignore[attr-defined]  # a Verifier
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pw").write_text(f"u1:{hashed(b'pw')}\nu2@example.org:{hashed(b'pw')}\n")
    service(tmp_path, *STACK)
    return tmp_path


@needs_pam
class TestPam(PassdbSuite):
    lookups = False
    fields = False

    def make(self, tmp_path: Path, users: Sequence[StoredUser]) -> Passdb:
        stored = {"alice": hashed(b"alice-secret")}
        lines = [f"{user.name}:{stored.get(user.name, hashed(b'other'))}" for user in users]
        (tmp_path / "pw").write_text("\n".join(lines) + "\n")
        service(tmp_path, *STACK)
        return driver(tmp_path)


@needs_pam
def test_pam_answers(folder: Path) -> None:
    made = driver(folder, pam_session=True, pam_setcred=True)
    assert verify(made, "u1", rip="192.0.2.1") == Entry()
    assert verify(made, "u2@example.org") == Entry()
    wrong = verify(made, "u1", b"no")
    assert wrong is not None and wrong.outcome is Outcome.MISMATCH
    assert wrong.reason == "pam_authenticate() failed: Authentication failure"
    unknown = verify(made, "u3")
    assert unknown is not None and unknown.outcome is Outcome.UNKNOWN
    assert getattr(made, "max_requests", 0) == 100


@needs_pam
@pytest.mark.parametrize(
    ("stack", "outcome"),
    [
        (("auth required pam_permit.so", "account required pam_deny.so"), Outcome.MISMATCH),
        (
            ("auth required pam_debug.so auth=success", "account required pam_debug.so acct=acct_expired"),
            Outcome.EXPIRED,
        ),
        (("auth required pam_permit.so", "account required pam_debug.so acct=new_authtok_reqd"), Outcome.EXPIRED),
        (("auth required pam_debug.so auth=user_unknown",), Outcome.UNKNOWN),
        (("auth required pam_debug.so auth=maxtries",), Outcome.MISMATCH),
        (("auth required pam_debug.so auth=perm_denied",), Outcome.MISMATCH),
        (("auth required pam_debug.so auth=authinfo_unavail",), None),
        (("auth required pam_debug.so auth=system_err",), None),
        (("auth required no_such_module.so",), None),
    ],
)
def test_pam_codes(tmp_path: Path, stack: tuple[str, ...], outcome: Outcome | None) -> None:
    service(tmp_path, *stack)
    if outcome is None:
        with pytest.raises(Unavailable, match=r"pam_authenticate\(\) failed"):
            verify(driver(tmp_path), "u1")
        return
    found = verify(driver(tmp_path), "u1")
    assert found is not None and found.outcome is outcome


@needs_pam
def test_pam_says_why_if_it_may(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("Closed today.\n")
    service(tmp_path, f"auth optional pam_echo.so file={tmp_path}/text", "auth required pam_deny.so")
    found = verify(driver(tmp_path, pam_failure_show_msg=True), "u1")
    assert found is not None and found.fields == {"reason": "Closed today."}
    found = verify(driver(tmp_path), "u1")
    assert found is not None and found.fields == {}


@needs_pam
def test_pam_service_names(folder: Path) -> None:
    service(folder, "auth required pam_deny.so", name="mail-imap")
    made = driver(folder, pam_service_name="mail-%{protocol}")
    found = verify(made, "u1", protocol="imap")
    assert found is not None and found.outcome is Outcome.MISMATCH
    for hostile in ("", "../dovecot", "x/../../dovecot", "imap\0", "a" * 70, "nosuch"):
        with pytest.raises(Unavailable):
            verify(made, "u1", protocol=hostile) if hostile else verify(driver(folder, pam_service_name=""), "u1")
    assert made.variables == {"protocol", "user", "remote_ip"}


@needs_pam
def test_pam_refuses_what_c_would_cut(folder: Path) -> None:
    for user, password in (("u1\0x", b"pw"), ("u1", b"pw\0x"), ("u1\n", b"pw")):
        found = verify(driver(folder), user, password)
        assert found is not None and found.outcome is Outcome.MISMATCH


@needs_pam
def test_pam_keeps_no_memory_and_no_handles(folder: Path) -> None:
    question = pam.Question("dovecot", "u1", b"pw", "192.0.2.1", str(folder), True, True)
    for _ in range(20):
        assert pam.authenticate(question).code == pam.SUCCESS
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        pam.authenticate(question)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_pam_settings_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        driver(tmp_path, pam_service_name="%{nothing such")


# --- passwd


def passwd_userdb(**settings: int) -> object:
    return USERDBS["passwd"](UserdbSettings(name="passwd", **settings), driver_context())  # type: ignore[arg-type]


def test_userdb_passwd() -> None:
    made = USERDBS["passwd"](UserdbSettings(name="passwd"), driver_context())
    row = pwd.getpwuid(0)
    found = asyncio.run(made.find(Query(row.pw_name)))  # type: ignore[arg-type]  # a coroutine
    assert found == {"system_groups_user": row.pw_name, "uid": "0", "gid": str(row.pw_gid), "home": row.pw_dir}
    for name in (*HOSTILE_NAMES, "nobody-of-this-name", "r\xf6\xf6t", "root\0", "a" * 100_000):
        if name and not name.startswith(row.pw_name):
            assert asyncio.run(made.find(Query(name))) is None, name  # type: ignore[arg-type]  # a coroutine


@pytest.mark.parametrize(("first", "last"), [(0, 0), (1, 100), (500, 0), (3, 3)])
def test_userdb_passwd_lists_the_valid_range(first: int, last: int) -> None:
    made = USERDBS["passwd"](UserdbSettings(first_valid_uid=first, last_valid_uid=last), driver_context())

    async def names() -> list[str]:
        found = made.iterate()
        assert found is not None
        return [name async for name in found]

    wanted = [row.pw_name for row in pwd.getpwall() if row.pw_uid >= first and (not last or row.pw_uid <= last)]
    assert asyncio.run(names()) == wanted


ACCOUNT = nss.Account("u1", "x", 1, 1, "/h")


@pytest.mark.parametrize(
    ("account", "shadow", "entry"),
    [
        (None, None, None),
        (ACCOUNT, nss.Shadow("$6$x", -1), Entry("{CRYPT}$6$x")),
        (ACCOUNT, nss.Shadow("", -1), Entry(None)),
        (ACCOUNT, nss.Shadow("$6$x", 100_000), Entry("{CRYPT}$6$x")),
        (ACCOUNT, nss.Shadow("$6$x", 1), Entry(None, {}, Outcome.EXPIRED, "the account has expired")),
        (nss.Account("u1", "$1$old", 1, 1, "/h"), None, Entry("{CRYPT}$1$old")),
        (nss.Account("u1", "$1$old", 1, 1, "/h"), Unavailable("no"), Entry("{CRYPT}$1$old")),
        (nss.Account("U1", "x", 1, 1, "/h"), nss.Shadow("$6$x", -1), Entry("{CRYPT}$6$x", {"user": "U1"})),
        (ACCOUNT, None, Unavailable("no")),
        (ACCOUNT, Unavailable("no"), Unavailable("no")),
    ],
)
def test_passdb_passwd(
    monkeypatch: pytest.MonkeyPatch,
    account: nss.Account | None,
    shadow: nss.Shadow | Unavailable | None,
    entry: Entry | Unavailable | None,
) -> None:
    def read(name: str) -> nss.Shadow | None:
        if isinstance(shadow, Unavailable):
            raise shadow
        return shadow

    monkeypatch.setattr(nss, "account", lambda name: account)
    monkeypatch.setattr(nss, "shadow", read)
    made = PASSDBS["passwd"](PassdbSettings(name="passwd"), driver_context())
    if isinstance(entry, Unavailable):
        with pytest.raises(Unavailable):
            asyncio.run(made.find(Query("u1")))  # type: ignore[arg-type]  # a coroutine
    else:
        assert asyncio.run(made.find(Query("u1"))) == entry  # type: ignore[arg-type]  # a coroutine


def test_the_systems_own_accounts() -> None:
    root = nss.account("root")
    assert root is not None and (root.unix_uid, root.home) == (0, pwd.getpwnam("root").pw_dir)
    assert nss.account("nobody-of-this-name") is None
    assert "password" not in repr(root)
    if os.geteuid() == 0:
        assert nss.shadow("root") is not None and nss.shadow("nobody-of-this-name") is None


@pytest.mark.parametrize("name", ["", "a:b", "../x", "a/b", "a\0", "\xe4", "a\nb", "a\tb", "\udc80"])
def test_names_no_system_has(name: str) -> None:
    assert not nss.usable(name)
