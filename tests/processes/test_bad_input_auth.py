"""Hostile input at the real auth process: every mechanism, every step, every parameter; others are served meanwhile."""

from __future__ import annotations

import base64
import re
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from kit.auth_room import USERS, AuthRoomProcess, Lines, b64, plain
from kit.sasl_client import ScramClient, cram_md5, digest_md5
from kit.wait import wait_for

from roost.sasl import MECHANISMS

Step = Callable[[bytes], bytes]

CONF = f"""
auth_mechanisms = {" ".join(MECHANISMS).lower()}
auth_username_chars =
auth_verbose = yes
auth_max_response_octets = 4000
service auth {{
  client_limit = 6000
}}
"""
# Mechanisms in which a client can name somebody and prove it by a password.
NAMING = [name for name in MECHANISMS if name not in ("ANONYMOUS", "EXTERNAL")]
MIB = 1 << 20


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthRoomProcess]:
    with AuthRoomProcess(tmp_path_factory.mktemp("auth"), CONF) as process:
        yield process


@pytest.fixture(autouse=True)
def sane(room: AuthRoomProcess) -> Iterator[None]:
    """After every test: the same process lives, serves, holds nothing, and each line of its log is its own."""
    pid = room.pid
    yield
    assert room.pid == pid and room.process is not None and room.process.poll() is None
    friend = room.client()
    assert friend.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t1\tuser=u1"
    friend.close()
    text = room.log()
    assert "Traceback" not in text
    # no split at U+2028 and the like: a line of a log ends with LF
    assert all(re.match(r"auth[(:]", line) for line in text.split("\n") if line)


def steps(mechanism: str, name: bytes, password: bytes = b"pw") -> list[Step]:
    """What an honest client of the mechanism would send for this name, whatever is in it."""
    if mechanism == "PLAIN":
        return [lambda _: b"\0" + name + b"\0" + password]
    if mechanism == "LOGIN":
        return [lambda _: name, lambda _: password]
    if mechanism == "CRAM-MD5":
        return [lambda challenge: cram_md5(name, password, challenge)]
    if mechanism == "DIGEST-MD5":
        return [lambda challenge: digest_md5(name, password, challenge)[0], lambda _: b""]
    if mechanism == "OAUTHBEARER":
        return [lambda _: b"n,a=" + name + b",\x01auth=Bearer " + password + b"\x01\x01", lambda _: b"\x01"]
    if mechanism == "XOAUTH2":
        return [lambda _: b"user=" + name + b"\x01auth=Bearer " + password + b"\x01\x01", lambda _: b""]
    if mechanism in ("ANONYMOUS", "EXTERNAL"):
        return [lambda _: name]
    plus = mechanism.endswith("-PLUS")
    client = ScramClient(
        "sha1" if "SHA-1" in mechanism else "sha256",
        name,
        password,
        header=b"p=tls-unique,," if plus else b"n,,",
        binding=b"data" if plus else b"",
    )
    return [lambda _: client.first(), client.final, lambda _: b""]


def exchange(lines: Lines, number: int, mechanism: str, answers: list[Step]) -> str:
    """The last line of one exchange; ends after the answers with CANCEL if the server still waits."""
    reply = lines.ask(f"AUTH\t{number}\t{mechanism}\tservice=imap\tsecured=tls\n")
    left = list(answers)
    while reply.startswith(f"CONT\t{number}\t"):
        data = reply.split("\t")[2]
        if data == "#":
            reply = lines.ask(f"CONT\t{number}\t#\tchannel_binding={b64(b'data')}\n")
        elif left:
            try:
                answer = left.pop(0)(base64.b64decode(data))
            except (AssertionError, ValueError, KeyError):
                answer = b"rubbish"  # the server's challenge is none for this client
            reply = lines.ask(b"CONT\t%d\t%b\n" % (number, base64.b64encode(answer) or b"="))
        else:
            reply = lines.ask(f"CANCEL\t{number}\n")
    return reply


NAMES = [
    b"",
    b" ",
    b"\0",
    b"u1\0",
    b"u1\t",
    b"u1\tuser=root",
    b"u1\nOK\t1\tuser=root",
    b"u1\r\n",
    b"u1\x01tuser=root",
    b"\x7f\x1b[2J",
    b"\xff\xfe",
    b"\xc0\xae\xc0\xae/u1",
    "u1\u2028x".encode(),
    "ｕ１".encode(),
    b"..",
    b"../u1",
    b"/etc/passwd",
    b"%{user}",
    b"%{env:HOME}",
    b"$ENV:HOME",
    b"$SET:base_dir",
    b"u1'; DROP TABLE users; --",
    b"*)(uid=*",
    b"u1,r=x",
    b'u1",realm="x',
    b"u1\x01auth=Bearer pw",
    b"n" * 3000,
    b"n" * 9000,
]


@pytest.mark.parametrize("mechanism", NAMING)
def test_names(room: AuthRoomProcess, mechanism: str) -> None:
    lines = room.client()
    for number, name in enumerate(NAMES, 1):
        if mechanism in ("OAUTHBEARER", "XOAUTH2") and b"\x01" in name:
            continue  # ends the name there, and what follows are fields of the message
        reply = exchange(lines, number, mechanism, steps(mechanism, name))
        assert reply.startswith(f"FAIL\t{number}"), (name, reply)
        assert "temp_fail" not in reply and "\tuser=root" not in reply and "\x01t" not in reply.split("user=")[0]
        fields = reply.split("\t")[2:]
        assert len([field for field in fields if field.startswith("user=")]) <= 1
    assert room.client().ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t1\tuser=u1"


@pytest.mark.parametrize("mechanism", list(MECHANISMS))
def test_too_much_at_every_step(room: AuthRoomProcess, mechanism: str) -> None:
    lines = room.client()
    long = b64(b"A" * 4001)
    assert lines.ask(f"AUTH\t1\t{mechanism}\tservice=imap\tsecured=tls\tresp={long}\n").startswith("FAIL\t1")
    honest = steps(mechanism, b"u1")
    for at in range(len(honest)):
        answers: list[Step] = [*honest[:at], lambda _: b"A" * 4001]
        reply = exchange(lines, 2 + at, mechanism, answers)
        assert reply.startswith((f"FAIL\t{2 + at}", f"OK\t{2 + at}")), reply
        assert reply.startswith("FAIL") or at, "what is too long proves nothing"
    other = room.client()
    other.send(f"AUTH\t1\t{mechanism}\tservice=imap\tresp=" + "A" * 17000)
    assert other.closed()
    assert lines.ask(f"AUTH\t99\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t99\tuser=u1"


def test_ten_thousand_aborted_exchanges_of_all_mechanisms(room: AuthRoomProcess) -> None:
    process = psutil.Process(room.pid)

    def abort(count: int) -> None:
        """Half after the server's first words, half in the middle; by CANCEL, or by leaving."""
        for mechanism in MECHANISMS:
            lines = room.client()
            first = steps(mechanism, b"u1")[0]
            for start in range(0, count, 100):
                ids = range(start + 1, start + 101)
                lines.send("".join(f"AUTH\t{n}\t{mechanism}\tservice=imap\tsecured=tls\n" for n in ids))
                opened = [lines.next() for _ in ids]
                assert all(line.startswith("CONT\t") for line in opened), opened[0]
                further = [n for n in ids if n % 20 == 0]
                for n in further:
                    lines.send(f"CONT\t{n}\t{b64(first(base64.b64decode(opened[0].split(chr(9))[2])))}\n")
                lines.send("".join(f"CANCEL\t{n}\n" for n in ids))
                ended = 0
                while ended < len(ids):
                    ended += lines.next().startswith("CANCELLED\t")
            lines.send("".join(f"AUTH\t{n}\t{mechanism}\tservice=imap\n" for n in range(1, 101)))
            lines.next()
            lines.close()

    abort(100)
    wait_for(lambda: process.num_fds() > 0)
    memory, files = process.memory_info().rss, process.num_fds()
    abort(1000)
    wait_for(lambda: process.num_fds() <= files, what="no descriptor is left open")
    assert process.memory_info().rss - memory < 4 * MIB, "ten thousand requests kept would be more"


def login_client(room: AuthRoomProcess, cpid: int) -> tuple[Lines, str]:
    lines = room.lines("auth-login")
    lines.send(f"VERSION\t1\t4\nCPID\t{cpid}\n")
    cookie = ""
    while (line := lines.next()) != "DONE":
        cookie = line[7:] if line.startswith("COOKIE\t") else cookie
    return lines, cookie


# (a parameter of AUTH as it is on the wire)
PARAMETERS = [
    "local_name=mx\x01tuid=0\x01thome=/root",
    "local_name=mx\x01nUSER\x01t1\x01troot",
    "local_name=mx\x010\x01r\x01n",
    "local_name=mx\x01",
    "client_id=\x01tname\x01nOK\x01t1",
    "forward_fields=a=b\x011tuid=0\x01tuserdb_uid=0\x01tuser=root",
    "forward_fields=\x01\x01\x01t=\x01t\x01t=x",
    "session=s\x01nauth: Error: forged",
    "session=" + "s" * 5000,
    "rip=\x01n1.2.3.4",
    "rip=" + ":" * 500,
    "rport=99999999999999999999",
    "lip=%{user}",
    "user=root",
    "master_user=root",
    "userdb_uid=0",
    "original_user=root",
    "ssl_client_cert_fp=\x01t",
    "cert_username=root",
    "=",
    "\x01t=\x01n",
    "\udcff=\udcfe",
]


@pytest.mark.parametrize("parameter", PARAMETERS, ids=ascii)
def test_parameters_are_data(room: AuthRoomProcess, parameter: str) -> None:
    """Who says odd things of itself gets its own answer, with no field more than others."""
    client, cookie = login_client(room, 901)
    try:
        reply = client.ask(f"AUTH\t1\tPLAIN\tservice=imap\t{parameter}\tresp={plain('u1', 'pw')}\n")
        assert reply == "OK\t1\tuser=u1"
        master = room.master()
        reply = master.ask(f"REQUEST\t7\t901\t1\t{cookie}\n")
        fields = reply.split("\t")
        assert fields[:3] == ["USER", "7", "u1"]
        assert fields[3:7] == ["uid=1001", "gid=100", f"home={room.folder}/mail/u1", "auth_mech=PLAIN"]
        assert len(fields) == (8 if parameter.startswith("local_name") else 7)
        assert master.ask(f"USER\t8\tu1\tservice=x\t{parameter}\n").startswith("USER\t8\tu1\tuid=1001\tgid=100\t")
        wrong = client.ask(f"AUTH\t2\tPLAIN\tservice=imap\t{parameter}\tresp={plain('u1', 'no')}\n")
        assert wrong == "FAIL\t2\tuser=u1"
    finally:
        client.close()
    wait_for(lambda: _free(room, 901), what="the number is free again")


def _free(room: AuthRoomProcess, cpid: int) -> bool:
    lines = room.lines("auth-login")
    lines.send(f"VERSION\t1\t4\nCPID\t{cpid}\nAUTH\t1\tLOGIN\tservice=imap\n")
    while (line := lines.next()) and not line.startswith("CONT"):
        pass
    lines.close()
    return line != ""


@pytest.mark.parametrize("service", ["x\x01ty", "x\x01n", "../x", "%{user}", "s" * 5000, "\udcff"], ids=ascii)
def test_odd_services(room: AuthRoomProcess, service: str) -> None:
    lines = room.client()
    assert lines.ask(f"AUTH\t1\tPLAIN\tservice={service}\tresp={plain('u1', 'pw')}\n").startswith(("OK\t1", "FAIL\t1"))
    assert lines.ask(f"AUTH\t2\tPLAIN\tservice={service}\tresp={plain('u1', 'no')}\n").startswith("FAIL\t2")


def _connected(room: AuthRoomProcess) -> Lines | None:
    try:
        return room.lines("auth-client")
    except BlockingIOError:  # more have come at once than the socket's queue holds
        return None


def test_half_written_lines_of_many_connections(room: AuthRoomProcess) -> None:
    """Five thousand, if so many files may be open here; somebody else is served beside them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    process = psutil.Process(room.pid)
    allowed = min(process.rlimit(psutil.RLIMIT_NOFILE)[0], hard) - 200
    count = min(5000, allowed)
    if count < 500:
        pytest.skip(f"only {allowed} open files are allowed here")
    starts = (b"", b"VERS", b"VERSION\t1\t4\nCPID\t", b"VERSION\t1\t4\nCPID\t9\nAUTH\t1\tLOGIN\tservice=x\nCONT\t1\tAA")
    memory, files = process.memory_info().rss, process.num_fds()
    open_ones: list[Lines] = []
    try:
        for number in range(count):
            lines = wait_for(lambda: _connected(room), what="a place in the queue of the socket")
            open_ones.append(lines)
            lines.send(starts[number % len(starts)])
        for lines in open_ones[3::4]:
            while not lines.next().startswith("CONT\t1\t"):
                pass
        wait_for(lambda: process.num_fds() >= count, what="all are accepted")
        grown = process.memory_info().rss - memory
        assert grown < count * 20_000, f"{grown // count} octets for each"
        friend = room.client()
        assert friend.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'pw')}\n") == "OK\t1\tuser=u1"
        friend.close()
    finally:
        for lines in open_ones:
            lines.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: process.num_fds() <= files, 20, "everything is given back")


# --- paths

PATHS = """
auth_username_chars =
auth_username_format = %{user}
passdb users {
  passwd_file_path = FOLDER/domains/%{domain}/users
}
userdb users {
  driver = static
  static_allow_all_users = yes
  fields {
    home = FOLDER/mail/%{user}
    note = %{user}
    sieve = FOLDER/sieve/%{domain}/%{username}
  }
}
"""
LEADING_OUT = [
    "u1@..",
    "u1@../domains/a",
    "u1@./a",
    "u1@a/../a",
    "u1@/",
    "u1@",
    "u1@a\0",
    "u1@%61",
    "u1@%{user}",
    "u1@~",
]


@pytest.fixture
def by_domain(tmp_path: Path) -> Iterator[AuthRoomProcess]:
    """``FOLDER/users`` has everybody; nobody is in a domain but those of ``a``."""
    (tmp_path / "domains/a").mkdir(parents=True)
    (tmp_path / "domains/a/users").write_text("u1@a:{PLAIN}pw::::::\n")
    names = "".join(f"{name}:{{PLAIN}}pw::::::\n" for name in (*LEADING_OUT[:4], "u1@~") if "\0" not in name)
    with AuthRoomProcess(tmp_path, PATHS.replace("FOLDER", str(tmp_path)), users=USERS + names) as process:
        yield process


def test_no_name_leads_out_of_a_folder(by_domain: AuthRoomProcess) -> None:
    lines = by_domain.client()
    assert lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1@a', 'pw')}\n") == "OK\t1\tuser=u1@a"
    for number, name in enumerate(LEADING_OUT, 2):
        reply = lines.ask(f"AUTH\t{number}\tPLAIN\tservice=imap\tresp={plain(name, 'pw')}\n")
        assert reply.startswith(f"FAIL\t{number}"), (name, reply)
    assert "Traceback" not in by_domain.log()


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "../x",
        "a/../../x@d",
        "/etc",
        "x@../..",
        "x@.",
        "~",
        "~root",
        "%{user}",
        "%{home}",
        "$ENV:HOME",
        "%2e%2e",
        "a\x01tb",
    ],
)
def test_no_home_leads_out_and_no_name_is_expanded_again(by_domain: AuthRoomProcess, name: str) -> None:
    reply = by_domain.master().ask(f"USER\t1\t{name}\tservice=x\n")
    if not reply.startswith("USER\t1\t"):
        assert reply.startswith(("NOTFOUND\t1", "FAIL\t1"))
        return
    fields = dict(field.split("=", 1) for field in reply.split("\t")[3:])
    assert fields["note"] == name, "a name is data"
    for key, depth in (("home", 1), ("sieve", 2)):
        path = fields[key].removeprefix(f"{by_domain.folder}/{'mail' if key == 'home' else 'sieve'}/")
        assert path != fields[key]
        parts = path.split("/")
        assert len(parts) == depth and not {"", ".", ".."} & set(parts), fields[key]
