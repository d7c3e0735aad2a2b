"""Example scripts behind a real master: the one of Dovecot's manual, a dict of several workers, the cache."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from kit.lua_example import EXAMPLES
from kit.lua_room import ask, auth, client, roost
from kit.rawclient import RawClient

TOGETHER = 200


class Endpoint(BaseHTTPRequestHandler):
    """Knows one user; a login of ``slow…`` is answered when TOGETHER of them are there."""

    protocol_version = "HTTP/1.1"
    waiting = 0
    asked: list[str] = []
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
        with roost(tmp_path, script, more=more) as instance:
            assert ask(instance, "u", "right") == "OK\t1\tuser=u" and ask(instance, "u", "wrong") == "FAIL\t1\tuser=u"
            lines = client(instance)
            for number in range(1, TOGETHER + 1):
                lines.send(auth(number, f"slow{number}", "right"))
            answers = {lines.next() for _ in range(1, TOGETHER + 1)}
            assert answers == {f"OK\t{number}\tuser=slow{number}" for number in range(1, TOGETHER + 1)}
            assert len(instance.pids("auth-worker")) == 1
            with RawClient(instance.imap_port) as imap:
                assert imap.command(b'1 LOGIN "u" "right"')[-1].startswith(b"1 OK")


def test_a_dict_is_shared_by_workers(tmp_path: Path) -> None:
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
    with roost(tmp_path, script, more=more) as instance:
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
        with roost(tmp_path, script, more=more) as instance:

            def login(number: int, user: str, password: str, address: str) -> str:
                return lines.ask(auth(number, user, password, rip=address))

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
