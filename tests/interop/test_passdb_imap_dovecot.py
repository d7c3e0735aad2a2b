"""passdb imap against Debian's Dovecot: it takes AUTHENTICATE PLAIN, and without PLAIN no passwords at all."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.running import free_port
from kit.wait import wait_for

from roost.auth.api import Outcome, Query
from roost.errors import Unavailable
from roost.settings.schema.auth import PassdbSettings
from roost.testing.passdb import driver_context
from roost.util.secret import Secret
from services.auth.passdb.imap import Imap

WHY = "Dovecot is not installed (Debian package dovecot-imapd), or this is not root"
HERE = shutil.which("dovecot", path="/usr/sbin") and Path("/usr/lib/dovecot/imap-login").exists() and os.geteuid() == 0
pytestmark = [pytest.mark.interop, pytest.mark.skipif(not HERE, reason=WHY)]

CONFIGURATION = """
instance_name = roost-remote
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_username_chars =
auth_failure_delay = 0
first_valid_uid = 1
mail_location = sdbox:{folder}/mail/%u
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""


@pytest.fixture(params=["plain", "login"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where a Dovecot with these mechanisms listens."""
    folder = Path(tempfile.mkdtemp(prefix="roost-far-"))
    folder.chmod(0o755)
    (folder / "mail").mkdir()
    who = pwd.getpwnam("nobody")
    os.chown(folder / "mail", who.pw_uid, who.pw_gid)
    group = grp.getgrgid(who.pw_gid).gr_name
    number = free_port()
    (folder / "users").write_text('u1:{PLAIN}p"w\\ x\nkäse:{PLAIN}größe\n')
    config = folder / "dovecot.conf"
    config.write_text(
        CONFIGURATION.format(folder=folder, mechanisms=request.param, user="nobody", group=group, port=number)
    )
    process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        log = folder / "log"
        wait_for(lambda: log.exists() and "starting up" in log.read_text(), 20, "Dovecot to start")
        yield number
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def test_dovecot_verifies(port: int, request: pytest.FixtureRequest) -> None:
    takes_passwords = "plain" in request.node.name

    async def run() -> None:
        driver = Imap(PassdbSettings(imapc_host="127.0.0.1", imapc_port=port, imapc_timeout_secs=20), driver_context())

        async def outcome(user: str, password: str) -> Outcome:
            entry = await driver.verify(Query(user), Secret.from_text(password))
            assert entry is not None
            return entry.outcome

        if not takes_passwords:
            with pytest.raises(Unavailable) as caught:
                await outcome("u1", 'p"w\\ x')
            assert "LOGINDISABLED" in caught.value.detail
            return
        assert await outcome("u1", 'p"w\\ x') is Outcome.OK
        assert await outcome("käse", "größe") is Outcome.OK
        for user, password in (
            ("u1", "pw"),
            ("u2", "pw"),
            ("u1\r\nA9 LOGOUT", "x"),
            ("u1", "x\r\nA9 NOOP"),
            ("{5}", "x"),
        ):
            assert await outcome(user, password) is Outcome.MISMATCH

    asyncio.run(run())
