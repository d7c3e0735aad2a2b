"""``%{value | lua_call(…)}`` and ``%{value | lua_file(…)}``."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.lua import Lines, run

from roost.errors import ConfigError
from roost.events.event import Event
from roost.events.log import Log
from roost.lua.api.mail import MailUser
from roost.lua.filters import WAITS, LuaFiles
from roost.lua.mail_scripts import MailScripts
from roost.settings.load import load
from roost.settings.schema.lua import MailLuaSettings
from roost.settings.schema.mail import MailSettings
from roost.settings.variables import check, expand
from roost.storage.api import BackendContext, ConnInfo, Identity
from roost.storage.backends.memory import open_memory

FUNCTIONS = """
count = 0
function greet(word, name) count = count + 1 return 0, word .. " " .. name .. " " .. count end
function shard(name) return 1, #name % 4 end
function bad(...) return -1, "no such user" end
function one(value) return value end
function textless(value) return 0 end
function broken(value) error("oh", 0) end
function endless(value) while true do end end
function octets(value) return 0, value:reverse() end
local function hidden(value) return 0, value end
"""


@pytest.fixture
def files(tmp_path: Path) -> LuaFiles:
    (tmp_path / "f.lua").write_text(FUNCTIONS)
    (tmp_path / "broken.lua").write_text("error('at once', 0)")
    return LuaFiles(MailLuaSettings(), (), Event(log=Log("", Lines())))


def filled(files: LuaFiles, template: str, folder: Path) -> str:
    return expand(template.replace("F/", f"{folder}/"), {"user": "anna"}, injected={"lua_file": files.run})


def test_a_file_is_loaded_once_and_given_arguments_then_the_value(files: LuaFiles, tmp_path: Path) -> None:
    assert filled(files, "<%{user | lua_file('F/f.lua', 'greet', 'hello') | upper}>", tmp_path) == "<HELLO ANNA 1>"
    assert filled(files, "%{lua_file('F/f.lua', 'greet', 'hello', user)}", tmp_path) == "hello anna 2"
    assert filled(files, "%{user | lua_file('F/f.lua', 'shard')}", tmp_path) == "0"
    assert filled(files, "%{literal('\\xff\\x00a') | lua_file('F/f.lua', 'octets') | hexlify}", tmp_path)
    run(files.close())


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("%{user | lua_file('F/f.lua', 'bad')}", "no such user"),
        ("%{user | lua_file('F/f.lua', 'one')}", "returned no number as code"),
        ("%{user | lua_file('F/f.lua', 'textless')}", "returned no text"),
        ("%{user | lua_file('F/f.lua', 'broken')}", "oh"),
        ("%{user | lua_file('F/f.lua', 'endless')}", "instruction limit reached"),
        ("%{user | lua_file('F/f.lua', 'hidden')}", "'hidden' is not a function"),
        ("%{user | lua_file('F/none.lua', 'one')}", "access"),
        ("%{user | lua_file('F/broken.lua', 'one')}", "at once"),
        ("%{user | lua_file('F/f.lua')}", "Missing parameters"),
        ("%{user | lua_file('F/f.lua', 'one', key=1)}", "Unsupported key 'key'"),
        ("%{user | lua_call()}", "Missing parameters"),
        ("%{user | lua_call('one')}", "No mail user available"),
    ],
)
def test_failures_are_named(files: LuaFiles, tmp_path: Path, template: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        filled(files, template, tmp_path)
    assert reason in caught.value.why


def test_functions_cannot_wait(tmp_path: Path) -> None:
    (tmp_path / "w.lua").write_text("function waits(v) slow.down() return 0, v end")

    async def down() -> None:
        raise AssertionError("never asked twice")

    def family(script: object) -> object:
        from roost.lua.api.base import Api
        from roost.lua.bridge import new_waiter

        async def waiting() -> None:
            await new_waiter()

        return Api(name="slow", members={"down": waiting})

    async def whole() -> None:
        files = LuaFiles(MailLuaSettings(), (family,), Event(log=Log("", Lines())))  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=WAITS):
            filled(files, "%{user | lua_file('F/w.lua', 'waits')}", tmp_path)
        await files.close()

    run(whole())


SCRIPT = """
function script_init(args) dovecot.i_info("init " .. args.shard) end
function mail_user_created(user)
  dovecot.i_info(user:var_expand("%{user | lua_call('tell', 'x')}"))
  local sum = 0
  for i = 1, 1000 do sum = sum + i end
  dovecot.i_info(sum)
end
function tell(user, first, value) return 0, user.username .. first .. value end
"""


def test_lua_call_in_the_users_script(tmp_path: Path) -> None:
    lines = Lines()
    (tmp_path / "f.lua").write_text(FUNCTIONS)
    (tmp_path / "user.lua").write_text(SCRIPT)
    settings = MailLuaSettings(
        lua_file=str(tmp_path / "user.lua"),
        lua_settings={"shard": f"%{{user | lua_file('{tmp_path}/f.lua', 'shard')}}"},
    )

    async def whole() -> None:
        backend = open_memory(BackendContext(vars(MailSettings()), lambda update: None, lambda level, text: None))
        await backend.start()
        user = MailUser(await backend.open_user(ConnInfo("imap"), Identity("anna")), {}, {"user": "anna"})
        scripts = MailScripts(settings, (), Event(log=Log("", lines)))
        made = await scripts.begin(user)
        assert made is not None
        template = "%{user | lua_call('tell', 'y')}"
        assert expand(template, {"user": "anna"}, injected=user.injected) == "annayanna"
        await made.end()
        with pytest.raises(ConfigError, match="User has no Lua script loaded"):
            expand(template, {"user": "anna"}, injected=user.injected)
        await scripts.close()

    run(whole())
    assert [text.rsplit(": ", 1)[-1] for _, text in lines.seen] == ["init 0", "annaxanna", "500500"]


def test_they_are_refused_where_nobody_does_their_work(tmp_path: Path) -> None:
    check("%{user | lua_call('x')}")
    path = tmp_path / "roost.conf"
    path.write_text("mail_home = /mail/%{user | lua_file('/x.lua', 'home')}\n")
    with pytest.raises(ConfigError, match="lua_file works only in last_login_dict_fields, last_login_key"):
        load(str(path))
    path.write_text("last_login_key = %{user | lua_call('key')}\n")
    load(str(path))
