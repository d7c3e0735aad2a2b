"""The short way of a login answers octet for octet what the ordinary way answers, and nothing but successes."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from roost.events.log import Log, Sink
from roost.proc.contract import ListenerInfo
from roost.settings import load
from roost.settings.schema.auth import AuthSettings, PassdbSettings, UserdbSettings
from roost.worker.service import Worker
from services.auth import main, short
from services.auth.client import ClientConnection

CONF = """
base_dir = {folder}/run
state_dir = {folder}/state
default_internal_user =
default_internal_group =
auth_failure_delay = 0
auth_internal_failure_delay = 0
auth_verbose = yes
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{extra}
"""
PASSDB = "passdb passwd-file {\n  passwd_file_path = FOLDER/users\n  MORE\n}\n"
STATIC = "userdb static {\n  fields {\n    home = /mail/%{user}\n  }\n}\n"
SAME_FILE = "userdb passwd-file {\n  passwd_file_path = FOLDER/users\n}\n"

USERS = r"""
plain:{PLAIN}pw::::::
bare:{PLAIN}pw
salted:{SSHA256}b3hJ2v5z9g3sXf3x6Jc0n1l0r0t1y2u3i4o5p6a7s8dkZmdo::::::
placed:{PLAIN}pw:1000:100::/home/placed::userdb_quota=1G userdb_note=a
named:{PLAIN}pw:0:0::/home/named::userdb_user=other
empty:{PLAIN}::::::
none:::::::
slow:{SHA512-CRYPT}$6$rounds=1000$abcdefgh$x::::::
broken:{NOSUCH}pw::::::
nets:{PLAIN}pw::::::allow_nets=192.0.2.0/24
wrongnets:{PLAIN}pw::::::allow_nets=198.51.100.0/24
nologin:{PLAIN}pw::::::nologin reason=closed
renamed:{PLAIN}pw::::::user=plain
nopassword:::::::nopassword
fails:{PLAIN}pw::::::fail
proxied:{PLAIN}pw::::::proxy host=192.0.2.9
variable:{PLAIN}pw:::::: userdb_ip=%{remote_ip}
delayed:{PLAIN}pw::::::delay_until=1
nodelay:{PLAIN}pw::::::nodelay
"""


def _line(request_id: int, name: bytes, password: bytes, more: bytes = b"", *, authzid: bytes = b"") -> bytes:
    response = base64.b64encode(authzid + b"\0" + name + b"\0" + password)
    given = b"service=imap\tsession=s1\tlip=192.0.2.1\trip=192.0.2.77\tlport=143\trport=4000"
    return b"AUTH\t%d\tPLAIN\t%b%b\tuserdb\tresp=%b\n" % (request_id, given, more, response)


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({})
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True

    abort = close


class Room:
    """A room, a login client, its log; ``quick`` is how many answers came by the short way."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop, extra: str, *, ordinary: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "users").write_text(USERS)
        (folder / "roost.conf").write_text(CONF.format(folder=folder, extra=extra.replace("FOLDER", str(folder))))
        config = load(str(folder / "roost.conf"))
        self.folder = folder
        self.loop = loop
        self.quick = 0
        self._log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.worker = Worker(config, config.services["auth"], loop, Log("auth: ", Sink(self._log)))
        self.room = loop.run_until_complete(main.start(self.worker))
        if ordinary:
            self.room.short._never = True
        answer = self.room.short.answer

        def counted(found: Any) -> Any:
            said = answer(found)
            self.quick += isinstance(said, bytes)
            return said

        self.room.short.answer = counted  # type: ignore[method-assign]
        client = self.room.connection(ListenerInfo(-1, "unix", "auth-login", "login"))
        assert isinstance(client, ClientConnection)
        self.client = client
        self.transport = Transport()
        client.connection_made(self.transport)
        self.say(b"VERSION\t1\t4\nCPID\t1\n")

    def say(self, octets: bytes) -> bytes:
        self.transport.written = b""
        self.client.data(memoryview(octets))
        while tasks := [request.task for request in self.client.requests.values() if request.task]:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=20))
        self.client.flush()
        return self.transport.written

    def log(self) -> str:
        return (self.folder / "log").read_text().replace(str(self.folder), "FOLDER")

    def close(self) -> None:
        self.loop.run_until_complete(self.room.drain(politely=True))
        os.close(self._log)


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Any]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    made: list[Room] = []

    def make(name: str, extra: str, *, ordinary: bool = False) -> Room:
        made.append(Room(tmp_path / name, loop, extra, ordinary=ordinary))
        return made[-1]

    yield make
    for room in made:
        room.close()
    loop.close()


NAMES = [line.partition(":")[0].encode() for line in USERS.split("\n") if line]
QUICK = {b"plain", b"bare", b"placed", b"named", b"PLAIN"}  # with the right password, from the third login on
ASKED = [
    *((name, password, b"") for name in (*NAMES, b"PLAIN", b"unknown") for password in (b"pw", b"no", b"", b"p\tw")),
    (b"plain", b"pw", b"\tdebug"),
    (b"plain", b"pw", b"\tsecured"),
    (b"plain", b"pw", b"\tsecured=tls"),
    (b"plain", b"pw", b"\tclient_id=x"),
    (b"plain", b"pw", b"\treal_rip=192.0.2.3"),
    (b"\xff", b"pw", b""),
    (b"a b", b"pw", b""),
    (b"x" * 300, b"pw", b""),
]


@pytest.mark.parametrize("userdb", ["", STATIC, SAME_FILE], ids=["no userdb", "static", "same file"])
def test_both_ways_answer_alike(rooms: Any, userdb: str) -> None:
    one = rooms("short", PASSDB.replace("MORE", "") + userdb)
    other = rooms("ordinary", PASSDB.replace("MORE", "") + userdb, ordinary=True)
    number = 0
    for name, password, more in ASKED:
        for turn in range(3):
            number += 1
            line = _line(number, name, password, more)
            before = one.quick
            assert one.say(line) == other.say(line), (name, password, more)
            if password == b"pw" and not more and turn == 2 and name != b"x":
                assert (one.quick > before) is (name in QUICK), name
            elif password != b"pw":
                assert one.quick == before
    assert one.log() == other.log()
    assert one.quick > 5
    assert other.quick == 0


def test_the_same_name_as_authorization_identity_is_nobody_else(rooms: Any) -> None:
    one = rooms("short", PASSDB.replace("MORE", "") + STATIC)
    other = rooms("ordinary", PASSDB.replace("MORE", "") + STATIC, ordinary=True)
    for number, authzid in enumerate((b"", b"", b"plain", b"other", b"plain", b"other"), 1):
        line = _line(number, b"plain", b"pw", authzid=authzid)
        assert one.say(line) == other.say(line)
    assert one.log() == other.log()


OTHER_PASSDB = "passdb more {\n  driver = passwd-file\n  passwd_file_path = FOLDER/others\n  MORE\n}\n"
OTHER_USERDB = "userdb more {\n  driver = static\n}\n"
CHAINS = {
    "deny": OTHER_PASSDB.replace("MORE", "deny = yes") + PASSDB.replace("MORE", ""),
    "two": PASSDB.replace("MORE", "") + OTHER_PASSDB.replace("MORE", ""),
    "master": OTHER_PASSDB.replace("MORE", "master = yes") + PASSDB.replace("MORE", ""),
    "fields": PASSDB.replace("MORE", "fields {\n    allow_nets = 198.51.100.0/24\n  }"),
    "filter": PASSDB.replace("MORE", "username_filter = *"),
    "mechanisms": PASSDB.replace("MORE", "mechanisms_filter = plain"),
    "result": PASSDB.replace("MORE", "result_failure = return-fail"),
    "rehash": PASSDB.replace("MORE", "rehash_scheme = SSHA256"),
    "path": PASSDB.replace("MORE", "").replace("FOLDER/users", "FOLDER/%{service}/../users"),
    "userdb variables": PASSDB.replace("MORE", "") + STATIC.replace("/mail/", "/mail/%{remote_ip}/"),
    "userdb result": PASSDB.replace("MORE", "") + STATIC.replace("{\n", "{\n  result_success = continue-ok\n", 1),
    "two userdbs": PASSDB.replace("MORE", "") + STATIC + OTHER_USERDB,
    "separator": "auth_master_user_separator = *\n" + PASSDB.replace("MORE", "") + STATIC,
    "certificate": "auth_ssl_require_client_cert = yes\n" + PASSDB.replace("MORE", "") + STATIC,
    "debug": "auth_debug = yes\n" + PASSDB.replace("MORE", "") + STATIC,
}


@pytest.mark.parametrize("conf", CHAINS.values(), ids=list(CHAINS))
def test_what_is_not_known_to_be_plain_goes_the_ordinary_way(rooms: Any, conf: str) -> None:
    room = rooms("short", conf)
    (room.folder / "others").write_text("somebody:{PLAIN}pw::::::\n")
    for number in range(1, 5):
        room.say(_line(number, b"plain", b"pw"))
    assert room.quick == 0


def test_a_changed_file_counts_at_once(rooms: Any) -> None:
    room = rooms("short", PASSDB.replace("MORE", "") + SAME_FILE)
    for number in range(1, 4):
        assert room.say(_line(number, b"plain", b"pw")) == b"OK\t%d\tuser=plain\n" % number
    assert room.quick == 1
    (room.folder / "users").write_text("plain:{PLAIN}other::::/elsewhere::\n")
    assert room.say(_line(4, b"plain", b"pw")).startswith(b"FAIL\t4\t")
    moved = b"\tuser=plain\tuserdb_home=/elsewhere\n"
    assert room.say(_line(5, b"plain", b"other")) == b"OK\t5" + moved
    assert room.say(_line(6, b"plain", b"other")) == b"OK\t6" + moved
    assert room.say(_line(7, b"plain", b"other")) == b"OK\t7" + moved
    assert room.quick >= 2
    (room.folder / "users").unlink()
    assert b"temp_fail" in room.say(_line(8, b"plain", b"other"))


def test_only_login_rooms_are_answered_so(rooms: Any) -> None:
    room = rooms("short", PASSDB.replace("MORE", "") + STATIC)
    room.client.login = False
    for number in range(1, 5):
        room.say(_line(number, b"plain", b"pw"))
    assert room.quick == 0


def test_a_pending_id_is_refused_as_ever(rooms: Any) -> None:
    room = rooms("short", PASSDB.replace("MORE", "") + STATIC)
    for number in range(1, 4):
        room.say(_line(number, b"plain", b"pw"))
    room.client.data(memoryview(b"AUTH\t9\tPLAIN\tservice=imap\n"))
    room.client.data(memoryview(_line(9, b"plain", b"pw")))
    assert room.transport.closed
    assert "pending ID" in room.log()


def test_names_are_bounded(rooms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short, "KNOWN_NAMES", 2)
    room = rooms("short", PASSDB.replace("MORE", "") + STATIC)
    for number, name in enumerate((b"plain", b"bare", b"placed", b"named") * 3, 1):
        assert room.say(_line(number, name, b"pw")).startswith(b"OK")
    assert all(len(way._known) <= 2 for way in room.room.short._ways.values())


def test_no_password_is_kept(rooms: Any) -> None:
    """Nor is anything shown: what is kept beside an answer is what the file holds."""
    room = rooms("short", PASSDB.replace("MORE", "") + STATIC)
    for number in range(1, 4):
        room.say(_line(number, b"plain", b"pw"))
    (way,) = room.room.short._ways.values()
    assert repr(way._known) == "{b'plain': (Stored(PLAIN), b'\\tuser=plain\\tuserdb_home=/mail/plain\\n')}"


KNOWN_SETTINGS = """
auth_allow_cleartext auth_allow_weak_schemes auth_anonymous_username auth_client_timeout_secs auth_decoy_secret
auth_cache_negative_ttl_secs auth_cache_size_octets auth_cache_ttl_secs
auth_default_domain auth_failure_delay_secs auth_failure_queue_limit auth_internal_failure_delay_msecs
auth_login_socket_path auth_master_user_separator auth_max_line_octets auth_max_requests auth_max_response_octets
auth_mechanisms auth_penalty_max_waiting auth_realms auth_request_timeout_secs
auth_socket_path auth_ssl_require_client_cert
auth_ssl_username_from_cert auth_username_chars auth_username_format auth_username_translation
auth_worker_idle_timeout_secs auth_worker_max_requests auth_worker_queue_limit auth_worker_request_timeout_secs
auth_worker_socket_path auth_worker_stuck_secs
auth_worker_threads
"""
KNOWN_PASSDB_SETTINGS = """
name driver default_password_scheme deny fields fields_import_all master mechanisms_filter passwd_file_max_size_octets
passwd_file_path python_settings rehash_scheme result_failure result_internalfail result_success skip static_password
use_cache use_worker username_filter
"""


def test_every_setting_has_been_thought_of() -> None:
    """A new setting may mean that a login must not be answered the short way: decide, then add it here."""
    assert {field.name for field in fields(AuthSettings)} == set(KNOWN_SETTINGS.split())
    of_other_drivers = {field.name for schema in PassdbSettings.__bases__ for field in fields(schema)}
    assert {field.name for field in fields(PassdbSettings)} - of_other_drivers == set(KNOWN_PASSDB_SETTINGS.split())
    assert {field.name for field in fields(UserdbSettings)} >= short.ANY_VALUE
