"""mail_lua: hooks of one user's session, what their results mean, what limits them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.lua import Lines, run

from roost.errors import ConfigError, Unavailable
from roost.events.event import Event
from roost.events.log import Log
from roost.lua.api.mail import MailUser
from roost.lua.mail_scripts import MailScripts
from roost.settings.schema.lua import MailLuaSettings
from roost.settings.schema.mail import MailSettings
from roost.storage.api import BackendContext, ConnInfo, Identity
from roost.storage.backends.memory import open_memory


def scripts(folder: Path, text: str, lines: Lines, **settings: Any) -> MailScripts:
    path = folder / "user.lua"
    path.write_text(text)
    event = Event(log=Log("test: ", lines))
    return MailScripts(MailLuaSettings(lua_file=str(path), **settings), (), event)


async def user(variables: Mapping[str, str] | None = None) -> MailUser:
    backend = open_memory(BackendContext(vars(MailSettings()), lambda update: None, lambda level, text: None))
    await backend.start()
    store = await backend.open_user(ConnInfo("imap"), Identity("anna"))
    return MailUser(store, {"home": "/mail/anna", "service": "imap"}, {"user": "anna", **(variables or {})})


def session(made: MailScripts, **variables: str) -> bool:
    """Begin and end; → whether the script stayed loaded."""

    async def whole() -> bool:
        script = await made.begin(await user(variables), "user anna: ")
        if script is not None:
            await script.end()
        return script is not None

    return run(whole())


def test_hooks_are_called_in_order_with_the_user(tmp_path: Path) -> None:
    lines = Lines()
    text = """
    function script_init(args) dovecot.i_info("init " .. args.site) end
    function mail_user_created(user)
      local box = user:mailbox("INBOX")
      local status = box:status(dovecot.storage.STATUS_MESSAGES)
      dovecot.i_info("created " .. user.username .. " " .. user.home .. " " .. status.messages)
    end
    function mail_user_deinit_pre(user) dovecot.i_info("pre " .. tostring(user)) end
    function mail_user_deinit(user) dovecot.i_info("deinit") return 0 end
    function script_deinit() dovecot.i_info("end") end
    """
    made = scripts(tmp_path, text, lines, lua_settings={"site": "%{userdb:site}"})
    assert session(made, **{"userdb:site": "Graz"})
    said = [text.rsplit(": ", 1)[-1] for level, text in lines.seen]
    assert said == ["init Graz", "created anna /mail/anna 0", "pre anna", "deinit", "end"]


def test_a_script_without_mail_user_created_is_unloaded_at_once(tmp_path: Path) -> None:
    lines = Lines()
    text = """
    function mail_user_deinit(user) dovecot.i_info("never") end
    function script_deinit() dovecot.i_info("end") end
    """
    assert not session(scripts(tmp_path, text, lines))
    assert [text.rsplit(": ", 1)[-1] for _, text in lines.seen] == ["end"]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("return -1, 'closed for today'", "closed for today"),
        ("return -1", "it returned -1"),
        ("return '-2', 'text counts too'", "text counts too"),
        ("error('broken', 0)", "broken"),
        ("while true do end", "instruction limit reached"),
        ("local t = {} for i = 1, 1e7 do t[i] = ('x'):rep(1000) .. i end", "not enough memory"),
        ("return io.open('/etc/passwd')", "io"),
    ],
)
def test_a_failure_keeps_the_user_out(tmp_path: Path, result: str, reason: str) -> None:
    made = scripts(tmp_path, f"function mail_user_created(user) {result} end", Lines())
    with pytest.raises(Unavailable) as caught:
        session(made)
    assert reason in caught.value.detail
    assert reason not in caught.value.client_text


@pytest.mark.parametrize("result", ["", "return 0", "return 1, 'x'", "return nil", "return true", "return 'ok'"])
def test_anything_else_is_success(tmp_path: Path, result: str) -> None:
    assert session(scripts(tmp_path, f"function mail_user_created(user) {result} end", Lines()))


def test_the_instruction_limit_holds_for_full_trust_too(tmp_path: Path) -> None:
    text = "function mail_user_created(user) os.getenv('x') io.type(1) while true do pcall(function() end) end end"
    with pytest.raises(Unavailable, match="instruction limit reached"):
        session(scripts(tmp_path, text, Lines(), lua_trust="full"))


def test_failures_at_the_end_are_logged(tmp_path: Path) -> None:
    lines = Lines()
    text = """
    function mail_user_created(user) end
    function mail_user_deinit_pre(user) error("oh", 0) end
    function mail_user_deinit(user) return -1, "no" end
    """
    assert session(scripts(tmp_path, text, lines))
    said = [text for level, text in lines.seen]
    assert len(said) == 2
    assert "mail_user_deinit_pre() failed: lua_pcall(mail_user_deinit_pre, 1, 2) failed: oh" in said[0]
    assert said[1].endswith("mail_user_deinit() failed: no")
    assert "user anna: " in said[0]


def test_two_users_share_no_globals(tmp_path: Path) -> None:
    lines = Lines()
    made = scripts(tmp_path, "n = 0 function mail_user_created(user) n = n + 1 dovecot.i_info(n) end", lines)
    assert session(made) and session(made)
    assert [text[-1] for _, text in lines.seen] == ["1", "1"]


@pytest.mark.parametrize("text", [None, "function ("])
def test_a_script_that_cannot_be_loaded_is_known_at_once(tmp_path: Path, text: str | None) -> None:
    with pytest.raises(ConfigError, match=r"mail_lua: Lua script '.*user\.lua': (access|lua_load)"):
        if text is None:
            MailScripts(MailLuaSettings(lua_file=str(tmp_path / "user.lua")), (), Event(log=Log("", Lines())))
        scripts(tmp_path, text or "", Lines())
