"""``passdb lua`` and ``userdb lua`` with the real master: what bad scripts harm and what not; start and reload."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.auth_room import Lines
from kit.instance import Instance
from kit.lua_room import CONF, ask, roost
from kit.rawclient import RawClient
from kit.wait import wait_for

SCRIPT = r"""
local endpoint, http
local attacks = {}

function script_init(args)
  endpoint = args.endpoint
  http = dovecot.http.client { request_timeout = "60s" }
end

function attacks.loop() while true do end end
function attacks.caught() while true do pcall(function() while true do end end) end end
function attacks.coroutine() coroutine.wrap(function() while true do end end)() end
function attacks.pattern() return (string.rep("a", 40)):find(string.rep("a?", 40) .. string.rep("a", 40) .. "b") end
function attacks.memory() local t = {} while true do t[#t + 1] = string.rep("x", 1 << 20) .. #t end end
function attacks.huge() return string.rep("x", 1 << 40) end
function attacks.recursion() local function f() return 1 + f() end return f() end
function attacks.binary()
  print("\0\1\255\27[31m\nI\1forged line")
  if io then io.stderr:write("\0\255 and more\n") end
  dovecot.i_info("\0\1\255\27[31m\nauth: Info: forged")
  error("\0\255\27[31m\n\1Eforged")
end
function attacks.exit() os.exit(0, true) end
function attacks.raise() error({}) end
function attacks.nothing() return end
function attacks.nonsense() return 1, function() end end
function attacks.deep() local t = {} t.t = t return 1, t end
function attacks.big() return 1, { x = string.rep("y", 3 << 20) } end
function attacks.fields()
  return 1, { ["a\tnopassword"] = "1", ["user\n"] = "root", reason = "\t1\tuser=root\n2\tOK" }
end
function attacks.http() return http:request { url = endpoint }:submit():status() == 200 and 1 or 0 end
function attacks.yield() return coroutine.yield("anything") end

function auth_password_verify(req, password)
  local attack = attacks[req.user]
  if attack then return attack() end
  if req.user:find("^good") and password == "pw" then
    return dovecot.auth.PASSDB_RESULT_OK, { reason = req.user == "good-pid" and req.client_pid or nil }
  end
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN
end

function auth_userdb_lookup(req)
  if req.user:find("^good") then return dovecot.auth.USERDB_RESULT_OK, { quota_mail_size = "5M" } end
  return dovecot.auth.USERDB_RESULT_USER_UNKNOWN
end

function auth_userdb_iterate() return { "good1", "good2" } end
"""
ATTACKS = (
    *("loop", "caught", "coroutine", "pattern", "memory", "huge", "recursion", "binary", "exit", "raise"),
    *("nothing", "nonsense", "deep", "big", "http", "yield"),
)


@pytest.fixture(scope="module")
def silence() -> Iterator[int]:
    """The port of somebody who takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as sock:
        yield sock.getsockname()[1]


class Bystander:
    """Logs in over IMAP again and again, by the same script; every login must succeed."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.logins = 0
        self.failure: BaseException | None = None

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        wait_for(lambda: self.logins > 0 or self.failure is not None, 40, "a login")
        self._end.set()
        self._thread.join()
        if self.failure is not None:
            raise AssertionError(f"the bystander was harmed after {self.logins} logins") from self.failure

    def wait_beyond(self, logins: int, why: str) -> None:
        """Until there have been more."""
        wait_for(lambda: self.logins > logins or self.failure is not None, 40, f"logins: {why}")
        assert self.failure is None, why

    def _run(self) -> None:
        try:
            while not self._end.is_set():
                with RawClient(self._instance.imap_port, deadline_secs=30).login(f"good{self.logins % 7}"):
                    self.logins += 1
        except BaseException as error:
            self.failure = error


@pytest.mark.parametrize(("trust", "interleave"), [("full", "no"), ("full", "yes"), ("restricted", "no")])
def test_a_bad_call_harms_only_itself(tmp_path: Path, silence: int, trust: str, interleave: str) -> None:
    with roost(tmp_path, SCRIPT, port=silence, trust=trust, interleave=interleave) as instance:
        assert ask(instance, "good0") == "OK\t1\tuser=good0"
        with Bystander(instance) as bystander:
            for attack in ATTACKS:
                before = bystander.logins
                assert ask(instance, attack) == f"FAIL\t1\tuser={attack}\tcode=temp_fail", attack
                bystander.wait_beyond(before, attack)
        log = instance.log_text()
        for line in log.splitlines():
            assert "forged" not in line or line.split(": ", 1)[0].split()[-1] in ("auth", "auth-worker"), line
        assert "os.exit is not allowed in a script" in log
        if trust == "restricted":
            assert "instruction limit reached" in log and "not enough memory" in log
        else:
            assert "PASSV(loop)" in log and "stack overflow" in log
        assert "Traceback" not in log
        assert ask(instance, "good1") == "OK\t1\tuser=good1" and ask(instance, "good1", "no").startswith("FAIL\t1")


def test_fields_cannot_break_out(tmp_path: Path) -> None:
    with roost(tmp_path, SCRIPT) as instance:
        assert ask(instance, "good-pid", cpid=99) == "OK\t1\tuser=good-pid\treason=99"
        reply = ask(instance, "fields")
        assert reply == "OK\t1\tuser=fields\treason=\x01t1\x01tuser=root\x01n2\x01tOK"


def test_a_userdb_and_its_list(tmp_path: Path) -> None:
    with roost(tmp_path, SCRIPT) as instance:
        lines = Lines(str(instance.base_dir / "auth-master"))
        lines.send("VERSION\t1\t4\n")
        assert lines.next() == "VERSION\t1\t4" and lines.next().startswith("SPID\t")
        reply = lines.ask("USER\t1\tgood3\tservice=imap\n")
        assert reply.startswith("USER\t1\tgood3\t") and "quota_mail_size=5M" in reply
        lines.send("LIST\t2\tservice=doveadm\n")
        seen = []
        while not seen or not seen[-1].startswith("DONE"):
            seen.append(lines.next())
        assert seen == ["LIST\t2\tgood1", "LIST\t2\tgood2", "DONE\t2\t"]


def test_in_the_auth_process(tmp_path: Path) -> None:
    with roost(
        tmp_path, SCRIPT, more="passdb lua {\n use_worker = no\n}\nuserdb lua {\n use_worker = no\n}"
    ) as instance:
        assert ask(instance, "good0") == "OK\t1\tuser=good0" and ask(instance, "x", "y") == "FAIL\t1\tuser=x"
        assert ask(instance, "exit") == "FAIL\t1\tuser=exit\tcode=temp_fail"
        with RawClient(instance.imap_port).login("good1"):
            assert not instance.pids("auth-worker")


LOOKUP = """
function auth_passdb_lookup(req)
  if req.user == "known" then return dovecot.auth.PASSDB_RESULT_OK, { password = "{PLAIN}pw" } end
  if req.user == "open" then return dovecot.auth.PASSDB_RESULT_OK, { nopassword = "y" } end
  return dovecot.auth.PASSDB_RESULT_USER_UNKNOWN
end
function auth_userdb_lookup(req) return dovecot.auth.USERDB_RESULT_OK, {} end
function auth_userdb_iterate() return {} end
"""


@pytest.mark.parametrize("more", ["", "passdb lua {\n use_worker = no\n}", "auth_cache_size = 1M"])
def test_what_a_script_only_says_is_compared(tmp_path: Path, more: str) -> None:
    """``auth_passdb_lookup`` tells what is stored; whether the given password is that one is the room's to find out."""
    with roost(tmp_path, LOOKUP, more=more) as instance:
        for _ in range(2):
            assert ask(instance, "known", "wrong") == "FAIL\t1\tuser=known"
            assert ask(instance, "known") == "OK\t1\tuser=known"
            assert ask(instance, "nobody") == "FAIL\t1\tuser=nobody"
            assert ask(instance, "open", "anything") == "OK\t1\tuser=open"


BROKEN = {
    "syntax": ("function auth_password_verify(req)\n  retrun 1\nend\n", "script.lua:2: syntax error near '1'"),
    "top": ("\n\nlocal x = nothing.here\n", "script.lua:3: attempt to index a nil value (global 'nothing')"),
    "init": ("function script_init()\n  error('not today')\nend\n", "script.lua:2: not today"),
    "key": (
        "function auth_passdb_get_cache_key() return 'x' end\n",
        "auth_passdb_get_cache_key: Cache key must contain at least one variable",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_script_stops_the_start(tmp_path: Path, name: str) -> None:
    script, text = BROKEN[name]
    instance = Instance(tmp_path, CONF.format(folder=tmp_path, port=0, trust="full", interleave="no", more=""))
    (tmp_path / "script.lua").write_text(script)
    process = instance.launch()
    try:
        assert process.wait(40) == 78
    finally:
        instance.stop()
    assert (
        text in instance.stderr_text() and "passdb lua: passdb-lua: initialization failed: " in instance.stderr_text()
    )


def test_a_reload_takes_up_what_changed_and_refuses_what_is_broken(tmp_path: Path) -> None:
    with roost(tmp_path, SCRIPT) as instance:
        assert ask(instance, "good0") == "OK\t1\tuser=good0"
        with Bystander(instance):
            (tmp_path / "script.lua").write_text(BROKEN["top"][0])
            assert BROKEN["top"][1] in instance.reload()
            assert ask(instance, "good0") == "OK\t1\tuser=good0"
            (tmp_path / "script.lua").write_text(
                SCRIPT.replace('password == "pw"', '(password == "pw" or password == "new")')
            )
            assert instance.reload() == ""
            wait_for(lambda: ask(instance, "good0", "new").startswith("OK"), 30, "the changed script at work")


def test_a_script_that_does_not_end_its_start_delays_it_only(tmp_path: Path, silence: int) -> None:
    script = (
        SCRIPT
        + f"""
    local client = dovecot.http.client {{ request_timeout = "60s" }}
    client:request {{ url = "http://127.0.0.1:{silence}/" }}:submit()
    """
    )
    with roost(tmp_path, script) as instance:
        instance.wait_log("its scripts were not loaded within 10 s")
        assert ask(instance, "good0") == "FAIL\t1\tuser=good0\tcode=temp_fail"
