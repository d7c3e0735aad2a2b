"""What of a configuration becomes hooks, and what scripts of users find."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from roost.clients.mail_hooks import MailHooks, mail_hooks
from roost.dict.api import Flags
from roost.errors import ConfigError, Unavailable
from roost.events.log import Log, Sink
from roost.settings.load import load
from roost.settings.schema.mail import MailSettings
from roost.storage.api import BackendContext, ConnInfo, Identity
from roost.storage.backends.memory import open_memory

SCRIPT = """
function mail_user_created(user)
  assert(user:var_expand("%{user | domain}/%{userdb:site}/%{remote_ip}") == "example.org/Graz/192.0.2.7")
  local seen = user:metadata_get("/private/seen")
  user:metadata_set("/private/seen", (seen or "") .. "x")
  user:mailbox("INBOX"):metadata_set("/shared/comment", "c")
  for key, value in pairs(user:metadata_list("/private/")) do dovecot.i_info(key .. "=" .. value) end
  for key, value in pairs(user:mailbox("INBOX"):metadata_list("/shared/c")) do dovecot.i_info(key .. "=" .. value) end
  user:metadata_set("/private/gone", "1")
  user:metadata_unset("/private/gone")
  assert(user:metadata_get("/private/gone") == nil)
end
function mail_user_deinit(user) dovecot.i_info("deinit") end
"""
ANNA = Identity("anna@example.org", "/mail/anna", {"site": "Graz"})
CONN = ConnInfo("imap", "s1", "192.0.2.7", 4000, "192.0.2.9", 143)


class Lines(Sink):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def line(self, level: str, prefix: str, text: str) -> None:
        self.said.append(text)


def made(tmp_path: Path, text: str, lines: Lines, protocol: str = "imap") -> MailHooks | None:
    path = tmp_path / "roost.conf"
    path.write_text(f"base_dir = {tmp_path}\n" + text)

    def spawn(coro: Coroutine[Any, Any, None], name: str) -> object:
        return asyncio.ensure_future(coro)

    return mail_hooks(load(str(path)), protocol, Log("", lines), spawn)


def script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "user.lua"
    path.write_text(text)
    return str(path)


def test_nothing_configured_is_nothing(tmp_path: Path) -> None:
    assert made(tmp_path, "", Lines()) is None
    assert made(tmp_path, "dict memory {\n}\nlast_login_key = x\n", Lines()) is None
    assert made(tmp_path, "mail_lua {\nlua_compat = 2.4\n}\n", Lines()) is None


def test_a_protocol_of_its_own(tmp_path: Path) -> None:
    text = f"protocol lmtp {{\nmail_lua {{\nlua_file = {script(tmp_path, SCRIPT)}\n}}\n}}\n"

    async def whole() -> None:
        assert made(tmp_path, text, Lines()) is None
        hooks = made(tmp_path, text, Lines(), "lmtp")
        assert hooks is not None
        await hooks.close()
        told = "dict memory {\n}\nlast_login_dict = memory\n"
        assert made(tmp_path, told, Lines(), "lmtp") is None
        assert made(tmp_path, told + "last_login_protocols = imap lmtp\n", Lines(), "lmtp") is not None

    asyncio.run(whole())


def test_a_whole_session(tmp_path: Path) -> None:
    text = f"""
    mail_lua {{
      lua_file = {script(tmp_path, SCRIPT)}
      lua_max_memory = 32M
    }}
    mail_attribute {{
      dict memory {{
      }}
    }}
    last_login {{
      key = seen/%{{user}}/%{{service}}
      precision = ms
      dict sqlite {{
        dict_sqlite_path = {tmp_path}/last.db
      }}
    }}
    """

    async def whole() -> None:
        lines = Lines()
        hooks = made(tmp_path, text, lines)
        assert hooks is not None
        backend = open_memory(BackendContext(vars(MailSettings()), lambda update: None, lambda level, text: None))
        await backend.start()
        user = await backend.open_user(CONN, ANNA)
        for _ in range(2):
            await hooks.end(await hooks.begin(user, ANNA, CONN))
        said = [line.rsplit(": ", 1)[-1] for line in lines.said]
        assert said == [
            "/private/seen=x", "/shared/comment=c", "deinit",
            "/private/seen=xx", "/shared/comment=c", "deinit",
        ]  # fmt: skip
        assert hooks._last_login is not None
        await hooks._last_login.flush()
        rows = await hooks._own[0].all_rows("shared/seen/", Flags.RECURSE)
        assert [key for key, _ in rows] == ["shared/seen/anna@example.org/imap"]
        assert len(rows[0][1][0]) == 13
        assert hooks._attributes is not None
        rows = await hooks._attributes.all_rows("priv/", Flags.RECURSE, ANNA.username)
        assert rows[0][0].endswith("/vendor/vendor.dovecot/pvt/server/seen")
        await hooks.close()

    asyncio.run(whole())


def test_without_attributes_the_error_is_clear(tmp_path: Path) -> None:
    text = script(tmp_path, 'function mail_user_created(user) user:metadata_get("/private/x") end')

    async def whole() -> None:
        hooks = made(tmp_path, f"mail_lua {{\nlua_file = {text}\n}}\n", Lines())
        assert hooks is not None
        backend = open_memory(BackendContext(vars(MailSettings()), lambda update: None, lambda level, text: None))
        await backend.start()
        with pytest.raises(Unavailable, match="Mailbox attributes not enabled"):
            await hooks.begin(await backend.open_user(CONN, ANNA), ANNA, CONN)
        await hooks.close()

    asyncio.run(whole())


def test_mistakes_are_named(tmp_path: Path) -> None:
    async def whole() -> None:
        with pytest.raises(ConfigError, match="there is no dict gone"):
            made(tmp_path, "last_login_dict = gone\n", Lines())
        with pytest.raises(ConfigError, match="access"):
            made(tmp_path, f"mail_lua {{\nlua_file = {tmp_path}/none.lua\n}}\n", Lines())

    asyncio.run(whole())
