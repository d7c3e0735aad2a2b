"""SCRAM, CRAM-MD5 and ANONYMOUS through the sockets of a real auth room: who gets in, and what nobody can tell."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Iterator
from random import Random

import pytest
from kit.auth_room import AuthRoomProcess, Lines, b64, plain
from kit.sasl_client import ScramClient, cram_md5

from roost.clients.auth import AuthClient, AuthOk, Challenge
from roost.events.log import Log, Sink
from roost.storage.api import ConnInfo
from services.auth.schemes import SCHEMES, write

ALGORITHMS = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}
EXTRA = "auth_mechanisms = plain login scram-sha-1 scram-sha-256 cram-md5 anonymous\nauth_verbose = yes\n"
PASSWORD = b"p\xc3\xa4ss"
DECOYS = "".join(f"d{number}:{{PLAIN}}x::::::\n" for number in range(20))  # most users of the file have plain ones


def stored(scheme: str, rounds: int = 0) -> str:
    return write(SCHEMES[scheme], SCHEMES[scheme].generate(PASSWORD, rounds, os.urandom))


def users() -> str:
    rows = {"clear": "{PLAIN}" + PASSWORD.decode(), "empty": "{PLAIN}", "bcrypt": stored("BLF-CRYPT", 4)}
    rows |= {"odd": "{SCRAM-SHA-256}odd", "unknown-scheme": "{NOSUCH}x"}
    rows |= {scheme.lower(): stored(scheme) for scheme in ("SCRAM-SHA-1", "SCRAM-SHA-256", "CRAM-MD5")}
    table = "".join(f"{user}:{field}:1000:100::::\n" for user, field in rows.items())
    table += f"far:{{PLAIN}}{PASSWORD.decode()}:1000:100::::allow_nets=192.0.2.0/24\n"
    table += "open:::100::::nopassword\n"
    return table + "anonymous::1000:100::::\n" + DECOYS


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthRoomProcess]:
    with AuthRoomProcess(tmp_path_factory.mktemp("scram"), EXTRA, users=users()) as running:
        yield running
        assert "Traceback" not in running.log()


def payload(reply: str) -> bytes:
    kind, _id, data = reply.split("\t")
    assert kind == "CONT", reply
    return base64.b64decode(data, validate=True)


def scram(lines: Lines, number: int, name: str, user: str, password: bytes, parameters: str = "") -> str:
    """One exchange, up to OK or FAIL; the server's proof is checked."""
    client = ScramClient(ALGORITHMS[name], user.encode(), password)
    first = lines.ask(f"AUTH\t{number}\t{name}\tservice=imap{parameters}\tresp={b64(client.first())}\n")
    reply = lines.ask(f"CONT\t{number}\t{b64(client.final(payload(first)))}\n")
    if reply.startswith("CONT"):
        assert client.accepts(payload(reply))
        return lines.ask(f"CONT\t{number}\t\n")
    if reply.startswith("OK"):
        assert client.accepts(base64.b64decode(reply.split("\tresp=")[1]))
    return reply


def cram(lines: Lines, number: int, user: str, password: bytes) -> str:
    challenge = payload(lines.ask(f"AUTH\t{number}\tCRAM-MD5\tservice=imap\n"))
    return lines.ask(f"CONT\t{number}\t{b64(cram_md5(user.encode(), password, challenge))}\n")


def test_the_flags_of_the_mechanisms(room: AuthRoomProcess) -> None:
    lines = room.lines("auth-client")
    lines.send("VERSION\t1\t4\nCPID\t1\n")
    said = []
    while (line := lines.next()) != "DONE":
        said.append(line)
    for line in (
        "MECH\tSCRAM-SHA-1\tmutual-auth",
        "MECH\tSCRAM-SHA-256\tmutual-auth",
        "MECH\tCRAM-MD5\tdictionary\tactive",
        "MECH\tANONYMOUS\tanonymous",
    ):
        assert line in said


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_scram_with_stored_keys_and_with_a_plain_password(room: AuthRoomProcess, name: str) -> None:
    lines = room.client()
    for number, user in enumerate((name.lower(), "clear"), 1):
        assert scram(lines, number, name, user, PASSWORD) == f"OK\t{number}\tuser={user}"
        assert scram(lines, number, name, user, PASSWORD + b"x") == f"FAIL\t{number}\tuser={user}"
        assert scram(lines, number, name, user, PASSWORD) == f"OK\t{number}\tuser={user}"


def test_last_words_come_with_ok_when_the_client_can_take_them(room: AuthRoomProcess) -> None:
    reply = scram(room.client(), 1, "SCRAM-SHA-256", "clear", PASSWORD, "\tfinal-resp-ok")
    assert reply.startswith("OK\t1\tuser=clear\tresp=")


def test_the_last_round_is_empty_or_fails(room: AuthRoomProcess) -> None:
    lines = room.client()
    client = ScramClient("sha1", b"clear", PASSWORD)
    first = lines.ask(f"AUTH\t1\tSCRAM-SHA-1\tservice=imap\tresp={b64(client.first())}\n")
    assert client.accepts(payload(lines.ask(f"CONT\t1\t{b64(client.final(payload(first)))}\n")))
    assert lines.ask(f"CONT\t1\t{b64('something')}\n") == "FAIL\t1"
    assert scram(lines, 2, "SCRAM-SHA-1", "clear", PASSWORD) == "OK\t2\tuser=clear"


def test_without_an_initial_response_it_is_asked_for(room: AuthRoomProcess) -> None:
    lines = room.client()
    assert lines.ask("AUTH\t1\tSCRAM-SHA-256\tservice=imap\n") == "CONT\t1\t"
    assert lines.ask(f"CONT\t1\t{b64('n,,n=clear,r=x')}\n").startswith("CONT\t1\t")
    assert lines.ask("CANCEL\t1\n") == "CANCELLED\t1"


@pytest.mark.parametrize(
    "user", ["nobody", "empty", "bcrypt", "odd", "unknown-scheme", "far", "open", "scram-sha-1", "a b"]
)
def test_who_cannot_get_in_sees_what_others_see(room: AuthRoomProcess, user: str) -> None:
    """Salt and iterations are there, well-formed and the same at every try; only the end says no."""
    seen = set()
    for _ in range(2):
        lines = room.client()
        client = ScramClient("sha256", user.encode(), PASSWORD)
        first = lines.ask(f"AUTH\t1\tSCRAM-SHA-256\tservice=imap\trip=198.51.100.1\tresp={b64(client.first())}\n")
        _nonce, salt, iterations = payload(first).split(b",")
        assert iterations == b"i=4096" and len(base64.b64decode(salt[2:], validate=True)) == 16
        seen.add(salt)
        assert lines.ask(f"CONT\t1\t{b64(client.final(payload(first)))}\n") == f"FAIL\t1\tuser={user}"
    assert len(seen) == 1


def test_salts_differ_by_user_and_mechanism_and_not_by_the_spelling_of_the_name(room: AuthRoomProcess) -> None:
    def salt(user: str, name: str) -> bytes:
        reply = room.client().ask(f"AUTH\t1\t{name}\tservice=imap\tresp={b64(f'n,,n={user},r=x')}\n")
        return payload(reply).split(b",")[1]

    assert salt("nobody", "SCRAM-SHA-256") == salt("NoBody", "SCRAM-SHA-256")
    assert salt("clear", "SCRAM-SHA-256") == salt("CLEAR", "SCRAM-SHA-256")
    assert len({salt(user, name) for user in ("nobody", "noone", "clear") for name in ALGORITHMS}) == 6


def test_a_configured_key_outlives_the_process_and_the_count_is_that_of_most_users(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rows = "".join(f"u{number}:{stored('SCRAM-SHA-256', 5000)}::::::\n" for number in range(3))
    seen = []
    for _ in range(2):
        folder = tmp_path_factory.mktemp("keyed")
        with AuthRoomProcess(folder, EXTRA + "auth_decoy_secret = of all processes\n", users=rows) as running:
            lines = running.client()
            lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('u1', 'x')}\n")  # the file is read now
            reply = lines.ask(f"AUTH\t2\tSCRAM-SHA-256\tservice=imap\tresp={b64('n,,n=nobody,r=x')}\n")
            seen.append(payload(reply).split(b",")[1:])
    assert seen[0] == seen[1]
    assert seen[0][1] == b"i=5000"


def test_plain_verifies_what_is_stored_for_the_others(room: AuthRoomProcess) -> None:
    lines = room.client()
    for user in ("scram-sha-1", "scram-sha-256", "cram-md5"):
        assert lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain(user, 'päss')}\n") == f"OK\t1\tuser={user}"
        assert lines.ask(f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain(user, 'pass')}\n").startswith("FAIL\t1")


def test_cram_md5(room: AuthRoomProcess) -> None:
    lines = room.client()
    for user in ("cram-md5", "clear"):
        assert cram(lines, 1, user, PASSWORD) == f"OK\t1\tuser={user}"
        assert cram(lines, 1, user, b"no") == f"FAIL\t1\tuser={user}"
    for user in ("nobody", "empty", "bcrypt", "scram-sha-1"):
        assert cram(lines, 1, user, PASSWORD) == f"FAIL\t1\tuser={user}"


def test_anonymous(room: AuthRoomProcess) -> None:
    lines = room.client()
    assert lines.ask(f"AUTH\t1\tANONYMOUS\tservice=imap\tresp={b64('trace')}\n") == "OK\t1\tuser=anonymous\tanonymous"
    assert lines.ask("AUTH\t2\tANONYMOUS\tservice=imap\n") == "CONT\t2\t"
    assert lines.ask("CONT\t2\t\n") == "OK\t2\tuser=anonymous\tanonymous"
    login = room.client("auth-login", cpid=77)
    reply = login.ask("AUTH\t1\tANONYMOUS\tservice=imap\tuserdb\tresp==\n")
    assert reply.startswith("OK\t1\tuser=anonymous\tanonymous\tuserdb_uid=1000")


def test_acting_as_somebody_else_is_refused(room: AuthRoomProcess) -> None:
    lines = room.client()
    client = ScramClient("sha256", b"clear", PASSWORD, header=b"n,a=other,")
    first = lines.ask(f"AUTH\t1\tSCRAM-SHA-256\tservice=imap\tresp={b64(client.first())}\n")
    assert lines.ask(f"CONT\t1\t{b64(client.final(payload(first)))}\n") == "FAIL\t1\tuser=clear"


def test_our_own_client_brings_the_userdb(room: AuthRoomProcess) -> None:
    async def run() -> AuthOk:
        log = Log("", Sink(os.open(os.devnull, os.O_WRONLY)))
        auth = AuthClient(room.path("auth-login"), log, pid=4242)
        await auth.start()
        try:
            client = ScramClient("sha256", b"clear", PASSWORD)
            exchange = auth.begin("SCRAM-SHA-256", ConnInfo(service="imap"), client.first())
            step = await exchange.next()
            assert isinstance(step, Challenge)
            step = await exchange.next(client.final(step.data))
            assert isinstance(step, Challenge) and client.accepts(step.data)
            step = await exchange.next(b"")
            assert isinstance(step, AuthOk)
            return step
        finally:
            auth.close()

    proved = asyncio.run(run())
    assert (proved.user, proved.identity.fields["uid"]) == ("clear", "1000")


@pytest.mark.parametrize("mechanism", [*sorted(ALGORITHMS), "CRAM-MD5", "ANONYMOUS"])
def test_any_octets_at_any_step_end_that_exchange_only(room: AuthRoomProcess, mechanism: str) -> None:
    random = Random(21)
    lines = room.client()
    pieces = [
        b"",
        b"n,,",
        b"n=clear",
        b",",
        b"r=x",
        b"p=",
        b"c=biws",
        b"a=b,",
        b"\xff",
        b"\0",
        b" ",
        b"0" * 32,
        b"=" * 9,
    ]
    pieces += [b"n,,n=clear,r=x", b"n,,n=clear,r=" + b"x" * 500, b"A" * 3000]
    for number in range(1, 501):

        def octets() -> bytes:
            chosen = b"".join(random.choices(pieces, k=random.randrange(5))) + random.randbytes(random.randrange(3))
            return base64.b64encode(chosen) if random.random() < 0.9 else chosen.translate(None, b"\t\n")

        initial = b"\tresp=" + octets() if random.random() < 0.7 else b""
        reply = lines.ask(b"AUTH\t%d\t%b\tservice=imap%b\n" % (number, mechanism.encode(), initial))
        while reply.startswith(f"CONT\t{number}\t"):
            reply = lines.ask(b"CONT\t%d\t%b\n" % (number, octets()))
        assert reply.startswith(f"FAIL\t{number}") or (mechanism == "ANONYMOUS" and reply.startswith("OK")), reply
        assert "temp_fail" not in reply
    assert lines.ask(f"AUTH\t501\tPLAIN\tservice=imap\tresp={plain('clear', 'päss')}\n") == "OK\t501\tuser=clear"


def test_anonymous_without_a_name_does_not_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    room = AuthRoomProcess(tmp_path_factory.mktemp("nobody"), EXTRA + "auth_anonymous_username =\n")
    with pytest.raises(AssertionError, match="auth_anonymous_username"):
        room.start()
