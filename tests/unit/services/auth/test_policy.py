"""The policy server: what it is told, what its answers do, and what a slow, broken or huge one cannot do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from kit.http_server import HttpServer, Seen, in_pieces, reply
from kit.sasl_client import ScramClient
from kit.worker import Lines

from roost.errors import ConfigError
from roost.proc.contract import ListenerInfo
from roost.settings import load
from roost.settings.schema.policy import AuthPolicySettings
from roost.worker.service import Worker
from services.auth import main
from services.auth.policy import Policy

CONF = """
base_dir = {folder}/run
default_internal_user =
default_internal_group =
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_verbose = yes
auth_mechanisms = plain scram-sha-256
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb passwd-file {{
  passwd_file_path = {folder}/users
}}
userdb static {{
}}
auth_policy {{
  server_url = {url}/
  hash_nonce = nonce
  http_client_request_absolute_timeout = 200ms
}}
{extra}
"""


class Transport(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__({})
        self.written = b""
        self.news = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written += bytes(data)
        self.news.set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None: ...

    abort = close


class Site:
    """An auth room whose policy server answers what the test says; ``slept``: how long clients had to wait."""

    def __init__(self, folder: Path, answer: Callable[[Seen], Any], extra: str = "") -> None:
        self.folder, self.extra = folder, extra
        self.server = HttpServer(answer)
        self.lines = Lines()
        self.slept: list[float] = []
        self.number = 0

    async def start(self) -> None:
        (self.folder / "users").write_text("u:{PLAIN}pw::::::\n")
        text = CONF.format(folder=self.folder, url=self.server.url, extra=self.extra)
        (self.folder / "roost.conf").write_text(text)
        config = load(str(self.folder / "roost.conf"))
        self.worker = Worker(config, config.services["auth"], asyncio.get_running_loop(), self.lines.log())
        self.room = await main.start(self.worker)
        assert self.room.core.policy is not None
        self.room.core.policy.sleep = self.sleep  # type: ignore[method-assign]
        self.transport = Transport()
        self.client = self.room.connection(ListenerInfo(-1, "unix", "auth-login", "login"))
        self.client.connection_made(self.transport)
        await self.say(b"VERSION\t1\t4\nCPID\t7\n")

    async def sleep(self, secs: float) -> None:
        self.slept.append(secs)

    async def say(self, octets: bytes) -> bytes:
        """Until something is answered."""
        self.transport.written = b""
        self.transport.news.clear()
        self.client.data(memoryview(octets))
        self.client.flush()
        async with asyncio.timeout(10):
            await self.transport.news.wait()
        return self.transport.written

    async def ask(self, password: str = "pw", user: str = "u", more: str = "") -> bytes:
        self.number += 1
        response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        told = f"service=imap\trip=192.0.2.1\tsession=s{more}\tuserdb"
        answer = await self.say(f"AUTH\t{self.number}\tPLAIN\t{told}\tresp={response}\n".encode())
        return answer.partition(b"\t")[0]

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """(command, body) of the requests so far."""
        return [(one.target.rpartition("=")[2], json.loads(one.body)) for one in self.server.requests]

    async def reported(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while not (found := [body for command, body in self.told() if command == "report"]):
                await asyncio.sleep(0)
        return found[-1]


def at(site: Site, scenario: Callable[[Site], Awaitable[None]]) -> None:
    async def run() -> None:
        async with site.server:
            await site.start()
            await scenario(site)
            await site.room.drain(politely=False)
            await site.worker.aclose()

    asyncio.run(run())


def says(status: object, msg: str = "no way") -> Callable[[Seen], bytes]:
    return lambda seen: reply(200, json.dumps({"status": status, "msg": msg}).encode())


def test_what_is_told(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        assert await site.ask(more="\tsecured=tls\tclient_id=x") == b"OK"
        report = await site.reported()
        digest = hashlib.sha256(b"nonceu\0pw").hexdigest()
        common = {
            "login": "u",
            "pwhash": "0" + digest[:3],
            "remote": "192.0.2.1",
            "device_id": "x",
            "protocol": "imap",
            "session_id": "s",
            "fail_type": "",
            "tls": True,
        }
        assert site.told()[:2] == [("allow", common), ("allow", common)]
        assert report == {**common, "success": True, "policy_reject": False}
        first = site.server.requests[0]
        assert (first.method, first.target) == ("POST", "/?command=allow")
        assert first.headers["content-type"] == "application/json"
        assert first.headers["user-agent"] == "dovecot/auth-policy-client"
        assert first.headers["key"] == "secret"

    at(Site(tmp_path, says(0), "auth_policy_server_api_header = Key: secret"), scenario)


def test_attributes_nest(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.ask(user='u"\t'.replace("\t", ""))
        body = site.told()[0][1]
        assert body["attrs"] == {"a": "imap", "b": {"c": 'u"'}}
        assert list(body)[:2] == ["attrs", "device_id"]

    extra = (
        'auth_username_chars =\nauth_policy_request_attributes {\n  attrs/b/c = %{user}\n  attrs/a = "%{protocol}"\n}\n'
    )
    at(Site(tmp_path, says(0), extra), scenario)


def test_a_refusal_before_asks_no_database(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        (tmp_path / "users").unlink()  # asking it would be a temporary failure
        assert await site.ask() == b"FAIL"
        assert b"temp_fail" not in site.transport.written
        report = await site.reported()
        assert (report["success"], report["policy_reject"], report["fail_type"]) == (False, True, "policy")
        assert len([one for one, _ in site.told() if one == "allow"]) == 1
        assert "Authentication failure due to policy server refusal: no way" in site.lines.text

    at(Site(tmp_path, says(-1)), scenario)


def test_a_refusal_after_outdoes_the_right_password(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        assert await site.ask() == b"FAIL"
        report = await site.reported()
        assert (report["success"], report["policy_reject"]) == (False, True)

    at(Site(tmp_path, says(-1), "auth_policy_check_before_auth = no"), scenario)


@pytest.mark.parametrize(("password", "user", "fail_type"), [("no", "u", "credentials"), ("pw", "x", "account")])
def test_why_it_failed(tmp_path: Path, password: str, user: str, fail_type: str) -> None:
    async def scenario(site: Site) -> None:
        assert await site.ask(password, user) == b"FAIL"
        report = await site.reported()
        assert (report["success"], report["fail_type"], report["policy_reject"]) == (False, fail_type, False)

    at(Site(tmp_path, says(0)), scenario)


SCRAM_TRIES = [(0, "pw", True, ""), (0, "no", False, "credentials"), (-1, "pw", False, "policy")]


@pytest.mark.parametrize(("status", "password", "ok", "fail_type"), SCRAM_TRIES)
@pytest.mark.parametrize("before", ["yes", "no"])
def test_scram(tmp_path: Path, status: int, password: str, ok: bool, fail_type: str, before: str) -> None:
    """Who is refused before is led through the exchange like everybody else."""

    async def scenario(site: Site) -> None:
        client = ScramClient("sha256", b"u", password.encode())
        first = base64.b64encode(client.first()).decode()
        line = f"AUTH\t1\tSCRAM-SHA-256\tservice=imap\tuserdb\tfinal-resp-ok\tresp={first}\n".encode()
        challenge = base64.b64decode((await site.say(line)).split(b"\t")[2])
        final = base64.b64encode(client.final(challenge)).decode()
        answer = await site.say(f"CONT\t1\t{final}\n".encode())
        assert answer.startswith(b"OK\t1" if ok else b"FAIL\t1")
        report = await site.reported()
        assert (report["success"], report["fail_type"], report["pwhash"]) == (ok, fail_type, "")

    at(Site(tmp_path, says(status), f"auth_policy_check_before_auth = {before}"), scenario)


def test_tarpit(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        assert await site.ask() == b"OK"
        assert site.slept == [7], "after a success nobody waits"
        assert await site.ask("no") == b"FAIL"
        assert site.slept == [7, 7, 7]
        assert await site.ask(more="\tno-penalty") == b"OK"
        assert site.slept == [7, 7, 7]

    at(Site(tmp_path, says(7)), scenario)


def test_a_tarpit_has_an_end(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        assert await site.ask("no") == b"FAIL"
        assert sum(site.slept) == 120

    at(Site(tmp_path, says(10**30)), scenario)


@pytest.mark.parametrize("status", [-1, 5])
def test_log_only(tmp_path: Path, status: int) -> None:
    async def scenario(site: Site) -> None:
        assert await site.ask() == b"OK"
        assert site.slept == []
        assert "not obeyed: auth_policy_log_only" in site.lines.text
        report = await site.reported()
        assert (report["success"], report["policy_reject"]) == (True, False)

    at(Site(tmp_path, says(status), "auth_policy_log_only = yes"), scenario)


async def _never(seen: Seen) -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


BROKEN: list[tuple[str, Callable[[Seen], Any]]] = [
    ("HTTP error: 500", lambda seen: reply(500, b'{"status": 0}')),
    ("HTTP error: 900", lambda seen: None),
    ("HTTP error: 9008", _never),
    ("HTTP error: 9006", lambda seen: reply(200, b" " * 100_000 + b'{"status": 0}')),
    ("not JSON", lambda seen: reply(200, b"\xff\x00nonsense")),
    ("not JSON", lambda seen: reply(200, b"[" * 60_000)),
    ("not JSON", lambda seen: reply(204)),
    ("not a JSON object", lambda seen: reply(200, b"[0]")),
    ("missing status field", lambda seen: reply(200, b'{"msg": "x"}')),
    ("missing status field", lambda seen: reply(200, b'{"status": "0"}')),
    ("missing status field", lambda seen: reply(200, b'{"status": NaN}')),
    ("missing status field", lambda seen: reply(200, b'{"status": true}')),
]


@pytest.mark.parametrize(("why", "answer"), BROKEN)
@pytest.mark.parametrize("reject", [False, True])
def test_a_broken_server(tmp_path: Path, why: str, answer: Callable[[Seen], Any], reject: bool) -> None:
    async def scenario(site: Site) -> None:
        assert await site.ask() == (b"FAIL" if reject else b"OK")
        assert why in site.lines.text

    extra = "auth_policy_reject_on_fail = yes\n" if reject else ""
    at(Site(tmp_path, answer, extra + "auth_policy_report_after_auth = no"), scenario)


def test_an_answer_octet_by_octet(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        assert await site.ask() == b"FAIL"

    at(Site(tmp_path, lambda seen: in_pieces(says(-1)(seen))), scenario)


def test_no_server_at_all(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        assert site.server._server is not None
        site.server._server.close()
        assert await site.ask() == b"OK"
        assert "HTTP error: 9003" in site.lines.text

    at(Site(tmp_path, says(-1)), scenario)


def test_secrets_stay_out_of_the_log(tmp_path: Path) -> None:
    async def scenario(site: Site) -> None:
        await site.ask("hunter2hunter2")
        await site.reported()
        assert "hunter2" not in site.lines.text and "nonce" not in site.lines.text

    at(Site(tmp_path, lambda seen: reply(500), "auth_debug = yes"), scenario)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"auth_policy_hash_nonce": ""}, "auth_policy_hash_nonce must be set when policy server is used"),
        ({"auth_policy_server_url": "ftp://x"}, "Not an HTTP URL"),
        ({"auth_policy_server_api_header": "a b: c"}, "Invalid header name"),
    ],
)
def test_wrong_settings(changes: dict[str, str], why: str) -> None:
    given = {"auth_policy_hash_nonce": "n", "auth_policy_server_url": "http://127.0.0.1/", **changes}
    with pytest.raises(ConfigError, match=why):
        Policy(AuthPolicySettings(**given), None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bits", "shown"), [(12, "0{0:.3}"), (8, "{0:.2}"), (16, "{0:.4}"), (0, "{0}"), (512, "{0}"), (1, "")]
)
def test_how_much_of_the_hash_is_told(bits: int, shown: str) -> None:
    settings = AuthPolicySettings(
        auth_policy_hash_nonce="n", auth_policy_server_url="http://127.0.0.1/", auth_policy_hash_truncate=bits
    )
    digest = hashlib.sha256(b"nu\0pw").hexdigest()
    found = Policy(settings, None, None).password_hash("u", b"pw")  # type: ignore[arg-type]
    assert found == (shown.format(digest) if shown else f"0{int(digest[0], 16) >> 3}")
