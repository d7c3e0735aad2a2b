"""``mail_lua`` and ``last_login`` in the real imap and lmtp processes: what scripts decide, and what they cannot do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from kit.instance import Instance
from kit.rawclient import RawClient, lmtp
from kit.wait import wait_for

SCRIPT = """
function mail_user_created(user)
  if user.username == "u2" then return -1, "u2 is closed" end
  if user.username == "u3" then while true do pcall(function() while true do end end) end end
  local count = tonumber(user:metadata_get("/private/count") or "0") + 1
  user:metadata_set("/private/count", tostring(count))
  local status = user:mailbox("INBOX"):status(dovecot.storage.STATUS_MESSAGES)
  dovecot.i_info("created " .. user.username .. " " .. user.service .. " " .. count .. " " .. status.messages)
end
function mail_user_deinit(user) dovecot.i_info("deinit " .. user.username .. " " .. user.service) end
"""
CONF = """
auth_username_format = %{{user | username | lower}}
mail_lua {{
  lua_file = {folder}/user.lua
}}
mail_attribute {{
  dict sqlite {{
    dict_sqlite_path = {folder}/attributes.db
  }}
}}
dict logins {{
  driver = sqlite
  dict_sqlite_path = {folder}/logins.db
}}
last_login_dict = logins
last_login_key = last-login/%{{user}}/%{{service}}
last_login_protocols = imap lmtp
"""


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("mail-lua")
    (folder / "user.lua").write_text(SCRIPT)
    with Instance(folder, CONF.format(folder=folder)) as running:
        yield running


def get(roost: Instance, key: str) -> str:
    command = ["-c", str(roost.config_file), "dict", "get", "logins", key]
    done = subprocess.run(
        [sys.executable, "-I", "-m", "services.doveadm.cli", *command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout.strip()


def login(roost: Instance, user: str) -> bytes:
    with RawClient(roost.imap_port) as client:
        client.line()
        answer = client.command(b"a LOGIN " + user.encode() + b" pw")[-1]
        client.command(b"b LOGOUT")
        return answer


def test_sessions_and_deliveries(roost: Instance) -> None:
    assert b" OK " in login(roost, "u1")
    wait_for(lambda: "deinit u1 imap" in roost.log_text(), what="the end of the session")
    client = lmtp(roost.lmtp_socket, recipients=("u1", "u2"))
    client.send(b"Subject: x\r\n\r\nbody\r\n.\r\n")
    assert client.reply().startswith(b"250 ")
    assert client.reply().startswith(b"451 ")
    client.close()
    assert b" OK " in login(roost, "u1")
    wait_for(lambda: roost.log_text().count("deinit u1 imap") == 2, what="the end of the second session")
    text = roost.log_text()
    assert "created u1 imap 1 0" in text
    assert "created u1 lmtp 2 0" in text
    assert "created u1 imap 3 1" in text
    for service in ("imap", "lmtp"):
        when = wait_for(lambda service=service: get(roost, f"shared/last-login/u1/{service}"))
        assert when.isdigit() and len(when) == 10


def test_a_script_that_says_no(roost: Instance) -> None:
    assert b"NO [UNAVAILABLE]" in login(roost, "u2")
    wait_for(lambda: "mail_user_created() failed: u2 is closed" in roost.log_text())
    assert get(roost, "shared/last-login/u2/imap") == ""


def test_a_script_that_never_ends_holds_up_nobody_for_long(roost: Instance) -> None:
    before = roost.pids("imap")
    with RawClient(roost.imap_port) as client:
        client.line()
        client.send(b"a LOGIN u3 pw\r\n")
        assert b" OK " in login(roost, "u4")
        assert b"NO [UNAVAILABLE]" in client.until(b"a")[-1]
    wait_for(lambda: "instruction limit reached" in roost.log_text())
    assert roost.pids("imap") == before
