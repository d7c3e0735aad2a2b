"""``passdb lua`` and ``userdb lua`` with the real master: what bad scripts harm and what not; start and reload."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kit.auth_room import Lines, plain
from kit.instance import Instance
from kit.lua_example import EXAMPLES
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
CONF = """
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_worker_stuck = 1s
auth_worker_request_timeout = 4s
auth_verbose = yes
auth_username_chars =
passdb passwd-file {{
  username_filter = file*
}}
passdb lua {{
  lua_file = {folder}/script.lua
  lua_trust = {trust}
  lua_instruction_limit = 2000000
  lua_max_memory = 16M
  lua_interleave = {interleave}
  lua_settings {{
    endpoint = http://127.0.0.1:{port}/
  }}
}}
userdb static {{
  result_success = continue-ok
}}
userdb lua {{
  lua_file = {folder}/script.lua
}}
{more}
"""
ATTACKS = (
    *("loop", "caught", "coroutine", "pattern", "memory", "huge", "recursion", "binary", "exit", "raise"),
    *("nothing", "nonsense", "deep", "big", "http", "yield"),
)
TOGETHER = 200
_ids = itertools.count(5000)


@pytest.fixture(scope="module")
def silence() -> Iterator[int]:
    """The port of somebody who takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as sock:
        yield sock.getsockname()[1]


@contextmanager
def roost(
    folder: Path, port: int, *, trust: str = "full", interleave: str = "no", more: str = "", script: str = SCRIPT
) -> Iterator[Instance]:
    (folder / "script.lua").write_text(script)
    conf = CONF.format(folder=folder, port=port, trust=trust, interleave=interleave, more=more)
    with Instance(folder, conf) as instance:
        yield instance


def client(instance: Instance) -> Lines:
    lines = Lines(str(instance.auth_socket))
    lines.send(f"VERSION\t1\t4\nCPID\t{next(_ids)}\n")
    while lines.next() != "DONE":
        pass
    return lines


def ask(instance: Instance, user: str, password: str = "pw", *, wait_secs: float = 40) -> str:
    lines = client(instance)
    lines.sock.settimeout(wait_secs)
    return lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain(user, password)}\n")


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
    with roost(tmp_path, silence, trust=trust, interleave=interleave) as instance:
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


def test_fields_cannot_break_out(tmp_path: Path, silence: int) -> None:
    with roost(tmp_path, silence) as instance:
        assert ask(instance, "good-pid") == f"OK\t1\tuser=good-pid\treason={next(_ids) - 1}"
        reply = ask(instance, "fields")
        assert reply == "OK\t1\tuser=fields\treason=\x01t1\x01tuser=root\x01n2\x01tOK"


def test_a_userdb_and_its_list(tmp_path: Path, silence: int) -> None:
    with roost(tmp_path, silence) as instance:
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


def test_in_the_auth_process(tmp_path: Path, silence: int) -> None:
    with roost(
        tmp_path, silence, more="passdb lua {\n use_worker = no\n}\nuserdb lua {\n use_worker = no\n}"
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
def test_what_a_script_only_says_is_compared(tmp_path: Path, silence: int, more: str) -> None:
    """``auth_passdb_lookup`` tells what is stored; whether the given password is that one is the room's to find out."""
    with roost(tmp_path, silence, script=LOOKUP, more=more) as instance:
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
def test_a_broken_script_stops_the_start(tmp_path: Path, silence: int, name: str) -> None:
    script, text = BROKEN[name]
    instance = Instance(tmp_path, CONF.format(folder=tmp_path, port=silence, trust="full", interleave="no", more=""))
    (tmp_path / "script.lua").write_text(script)
    process = instance.launch()
    try:
        assert process.wait(40) == 78
    finally:
        instance.stop()
    assert (
        text in instance.stderr_text() and "passdb lua: passdb-lua: initialization failed: " in instance.stderr_text()
    )


def test_a_reload_takes_up_what_changed_and_refuses_what_is_broken(tmp_path: Path, silence: int) -> None:
    with roost(tmp_path, silence) as instance:
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
    with roost(tmp_path, silence, script=script) as instance:
        instance.wait_log("its scripts were not loaded within 10 s")
        assert ask(instance, "good0") == "FAIL\t1\tuser=good0\tcode=temp_fail"


class Endpoint(BaseHTTPRequestHandler):
    """Knows one user; a login of ``slow…`` is answered when TOGETHER of them are there."""

    protocol_version = "HTTP/1.1"
    waiting = 0
    asked: list[str] = []  # noqa: RUF012 - of all
    together = threading.Condition()

    def do_GET(self) -> None:
        Endpoint.asked.append(self.path)
        body = json.dumps({"hash": "{PLAIN}right", "networks": "192.0.2.0/24"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked["user"].startswith("slow"):
            with Endpoint.together:
                Endpoint.waiting += 1
                Endpoint.together.notify_all()
                Endpoint.together.wait_for(lambda: Endpoint.waiting >= TOGETHER, 30)
        self.send_response(200 if asked["password"] == "right" else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1000


@contextmanager
def endpoint() -> Iterator[int]:
    Endpoint.waiting = 0
    Endpoint.asked.clear()
    with Server(("127.0.0.1", 0), Endpoint) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_the_example_of_dovecots_manual(tmp_path: Path) -> None:
    """With another URL, nothing else changed; hundreds of logins wait in one worker at once."""
    with endpoint() as port:
        script = (EXAMPLES / "http-auth.lua").read_text().replace("https://endpoint/", f"http://127.0.0.1:{port}/")
        more = """
        passdb lua {
          lua_interleave = yes
        }
        userdb lua {
          driver = static
        }
        service auth-worker {
          process_limit = 1
        }
        """
        with roost(tmp_path, port, script=script, more=more) as instance:
            assert ask(instance, "u", "right") == "OK\t1\tuser=u" and ask(instance, "u", "wrong") == "FAIL\t1\tuser=u"
            lines = client(instance)
            for number in range(1, TOGETHER + 1):
                lines.send(f"AUTH\t{number}\tPLAIN\tservice=imap\tresp={plain(f'slow{number}', 'right')}\n")
            answers = {lines.next() for _ in range(1, TOGETHER + 1)}
            assert answers == {f"OK\t{number}\tuser=slow{number}" for number in range(1, TOGETHER + 1)}
            assert len(instance.pids("auth-worker")) == 1
            with RawClient(instance.imap_port) as imap:
                assert imap.command(b'1 LOGIN "u" "right"')[-1].startswith(b"1 OK")


def test_a_dict_is_shared_by_workers(tmp_path: Path, silence: int) -> None:
    script = (EXAMPLES / "dict-lockout.lua").read_text()
    more = f"""
    dict lockout {{
      driver = file
      dict_file_path = {tmp_path}/state/lockout
    }}
    passdb lua {{
      lua_settings {{
        tries = 3
        secs = 600
      }}
    }}
    userdb lua {{
      driver = static
    }}
    service auth-worker {{
      restart_request_count = 1
    }}
    """
    with roost(tmp_path, silence, script=script, more=more) as instance:
        assert ask(instance, "alice", "secret") == "OK\t1\tuser=alice"
        for _ in range(3):
            assert ask(instance, "alice", "wrong") == "FAIL\t1\tuser=alice"
        for pid in instance.pids("auth-worker"):
            os.kill(pid, signal.SIGKILL)
        assert ask(instance, "alice", "secret") == "FAIL\t1\tuser=alice\tcode=user_disabled"


@pytest.mark.parametrize("use_worker", ["yes", "no"])
def test_answers_are_cached_by_what_the_script_says(tmp_path: Path, use_worker: str) -> None:
    with endpoint() as port:
        script = (EXAMPLES / "cache-key.lua").read_text().replace("args.url", f"'http://127.0.0.1:{port}/'")
        more = f"""
        auth_cache_size = 1M
        passdb lua {{
          use_worker = {use_worker}
        }}
        userdb lua {{
          driver = static
        }}
        """
        with roost(tmp_path, port, script=script, more=more) as instance:

            def login(number: int, user: str, password: str, address: str) -> str:
                return lines.ask(f"AUTH\t{number}\tPLAIN\tservice=imap\trip={address}\tresp={plain(user, password)}\n")

            lines = client(instance)
            for number in range(1, 4):
                assert login(number, "u", "right", "192.0.2.1") == f"OK\t{number}\tuser=u"
            assert len(Endpoint.asked) == 1
            assert login(4, "u", "right", "192.0.2.2").startswith("OK") and len(Endpoint.asked) == 2
            assert login(5, "v", "right", "192.0.2.1").startswith("OK") and len(Endpoint.asked) == 3
            assert login(6, "u", "wrong", "192.0.2.1") == "FAIL\t6\tuser=u"
            assert login(7, "u", "right", "192.0.2.1").startswith("OK")
            assert login(8, "u", "right", "10.1.1.1") == "FAIL\t8\tuser=u"  # not of allow_nets
            assert Endpoint.asked[-1] == "/?user=u&from=inside"
