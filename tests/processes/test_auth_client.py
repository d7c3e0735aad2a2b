"""AuthClient and the real auth room: logins, lookups, crashes and restarts; and no secret in any log."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import signal
import urllib.parse
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from kit.auth_room import AuthRoomProcess, b64, plain
from kit.sasl_client import ScramClient, cram_md5, digest_md5

from roost.clients.auth import AuthClient, AuthOk, Challenge
from roost.errors import AuthTemporaryFailure, InvalidCredentials
from roost.events.log import Log
from roost.sasl import MECHANISMS
from roost.storage.api import ConnInfo
from roost.util.secret import Secret
from services.auth.schemes import SCHEMES, write

CONN = ConnInfo("imap", "s1", "192.0.2.1", 1000, "192.0.2.2", 993, True)
BOUND = replace(CONN, bindings=("tls-unique",))
BINDING = b"of this connection"
PW = Secret(b"pw")
SCRAM = SCHEMES["SCRAM-SHA-1"]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthRoomProcess]:
    with AuthRoomProcess(tmp_path_factory.mktemp("auth")) as process:
        yield process


def with_client(room: AuthRoomProcess, test: Callable[[AuthClient], Awaitable[None]]) -> None:
    async def run() -> None:
        client = AuthClient(room.path("auth-login"), Log("test: "), mail_home=f"{room.folder}/mail/%{{user}}")
        await client.start()
        try:
            await asyncio.wait_for(test(client), 60)
        finally:
            client.close()

    asyncio.run(run())


def test_logins_and_lookups(room: AuthRoomProcess) -> None:
    async def test(client: AuthClient) -> None:
        ok = await client.login("U1", PW, CONN)
        assert ok.user == "u1" and ok.identity.home == f"{room.folder}/mail/u1"
        assert ok.identity.fields["uid"] == "1001" and ok.fields["original_user"] == "U1"
        for user, password in (("u1", b"no"), ("nobody", b"pw"), ("u1", b"")):
            with pytest.raises(InvalidCredentials) as caught:
                await client.login(user, Secret(password), CONN)
            assert caught.value.client_text == "Authentication failed."
        identity = await client.user("u2", ConnInfo("lmtp"))
        assert identity is not None and identity.username == "u2" and identity.home == f"{room.folder}/mail/u2"
        assert await client.user("nobody", ConnInfo("lmtp")) is None
        assert await client.user("../u1", ConnInfo("lmtp")) is None

    with_client(room, test)


@pytest.mark.parametrize("name", ["LOGIN", "PLAIN"])
def test_every_mechanism_by_its_conversation(room: AuthRoomProcess, name: str) -> None:
    responses = {"PLAIN": [b"\0u1\0pw"], "LOGIN": [b"u1", b"pw"]}[name]

    async def test(client: AuthClient) -> None:
        assert name in client.mechanisms
        exchange = client.begin(name, BOUND, None, lambda kind: BINDING)
        turn = await exchange.next()
        for response in responses:
            assert isinstance(turn, Challenge)
            turn = await exchange.next(response)
        assert isinstance(turn, AuthOk) and turn.user == "u1"

    with_client(room, test)


def test_users_interleaved_never_share_anything(room: AuthRoomProcess) -> None:
    async def one(client: AuthClient, number: int) -> None:
        user = f"u{number % 9 + 1}"
        if number % 5 == 0:
            with pytest.raises(InvalidCredentials):
                await client.login(user, Secret(b"no"), CONN)
            return
        if number % 5 == 1:
            exchange = client.begin("LOGIN", CONN, None)
            await exchange.next()
            await exchange.next(user.encode())
            ok = await exchange.next(b"pw")
        else:
            ok = await client.login(user, PW, CONN)
        assert isinstance(ok, AuthOk)
        assert ok.user == ok.identity.username == user and ok.identity.home.endswith("/" + user)
        assert ok.identity.fields["uid"] == str(1000 + number % 9 + 1)

    async def test(client: AuthClient) -> None:
        await asyncio.gather(*(one(client, number) for number in range(600)))

    with_client(room, test)


def test_a_crash_and_a_restart_of_the_room_are_survived(tmp_path: Path) -> None:
    with AuthRoomProcess(tmp_path, "auth_failure_delay = 60s") as room:

        async def test(client: AuthClient) -> None:
            assert (await client.login("u1", PW, CONN)).user == "u1"
            exchange = client.begin("LOGIN", CONN, None)
            await exchange.next()
            held = asyncio.ensure_future(client.login("u1", Secret(b"no"), CONN))
            await client.login("u2", PW, CONN)  # the failure before it has reached the queue by now
            room.kill()
            with pytest.raises(AuthTemporaryFailure):
                await exchange.next(b"u1")
            waiting = asyncio.ensure_future(client.login("u3", PW, CONN))
            await asyncio.to_thread(room.start)
            assert (await waiting).user == "u3"
            assert (await client.login("u4", PW, CONN)).user == "u4"
            await asyncio.to_thread(room.stop, signal.SIGQUIT)  # flushes the failure that was sent again
            with pytest.raises((InvalidCredentials, AuthTemporaryFailure)):
                await held

        with_client(room, test)


def test_cancelled_logins_leave_no_request_at_the_server(tmp_path: Path) -> None:
    with AuthRoomProcess(tmp_path, "auth_failure_delay = 60s\nauth_max_requests = 20") as room:

        async def test(client: AuthClient) -> None:
            for _ in range(50):
                task = asyncio.ensure_future(client.login("u1", Secret(b"no"), CONN))
                await asyncio.sleep(0)
                await client.login("u2", PW, CONN)
                task.cancel()
            assert (await client.login("u1", PW, CONN)).user == "u1"
            assert not client.login_link._pending

        with_client(room, test)


SECRET = "Hunter2-geheim\u00e9"
# Whole names (``n=``, ``a=``) are names and may be logged; everything else may be a misplaced secret.
NOT_SCRAM = (SECRET, f"n,,n={SECRET}=,r=x", f"n,,n=u,r={SECRET} ", f"n,a={SECRET}=,n=u,r=x", f"p={SECRET},,n=u,r=x")


def forms(secret: str) -> dict[str, str]:
    """What a careless log line could show of a password."""
    octets = secret.encode()
    half = SECRET[: len(SECRET) // 2]
    shown = {
        "plain": secret,
        "half of it": half,
        "lower": secret.lower(),
        "reversed": secret[::-1],
        "hex": octets.hex(),
        "HEX": octets.hex().upper(),
        "escaped": secret.encode("unicode_escape").decode(),
        "repr": repr(octets)[2:-1],
        "url": urllib.parse.quote(secret),
        "quoted-printable": binascii.b2a_qp(octets).decode(),
    }
    for before in (b"", b"\0", b"\0u\0", b"\0secret\0", b"secret\0secret\0", b"x", b"xx"):
        # the three alignments of base64, without the octets that depend on the neighbours
        encoded = base64.b64encode(before + octets).decode().rstrip("=")
        skip = -(-len(before) * 4 // 3)
        shown[f"base64 after {before!r}"] = encoded[skip + 1 : -2]
    return shown


def test_no_secret_in_any_log_at_the_debug_level(tmp_path: Path) -> None:
    """Every mechanism, right, wrong and broken, through client and server; then the logs are searched."""
    users = (
        f"secret:{{PLAIN}}{SECRET}::::::\n"
        f"broken:{{SHA512}}{SECRET}::::::\n"
        f"odd:{{NOSUCH}}{SECRET}::::::\n"
        f"scrambled:{{SCRAM-SHA-256}}{SECRET}::::::\n"
        f"keyed:{{SCRAM-SHA-1}}{write(SCRAM, SCRAM.generate(SECRET.encode(), 0, os.urandom)).partition('}')[2]}::::::\n"
        f"digested:{{DIGEST-MD5}}{SECRET}::::::\n"
        f"crammed:{{CRAM-MD5}}{SECRET}::::::\n"
        f"hashed:{{BLF-CRYPT}}$2y$04$hDhK2LCNWvgdMYln4yX9f.HgfWkFSTvatJMXi7znYTn4P7HEsSnWu::::::\n"
    )
    extra = "auth_debug = yes\nauth_verbose = yes\nlog_debug = yes\nmail_debug = yes\n"
    extra += f"auth_decoy_secret = {SECRET}\nauth_mechanisms = {' '.join(MECHANISMS).lower()}\n"
    with AuthRoomProcess(tmp_path, extra, users=users) as room:
        names = ("secret", "broken", "odd", "hashed", "scrambled", "keyed", "crammed", "digested", "nobody", "x")

        async def test(client: AuthClient) -> None:
            for user in names:
                for password in (SECRET, SECRET + "x", SECRET + "\t", SECRET + "\n"):
                    try:
                        await client.login(user, Secret(password.encode()), CONN)
                    except (InvalidCredentials, AuthTemporaryFailure) as error:
                        leaks(str(error) + repr(error), "an exception")
                    for name in MECHANISMS:
                        exchange = client.begin(name, BOUND, None, lambda kind: BINDING)
                        try:
                            step = await exchange.next()
                            for answer in answers(name, user, password):
                                assert isinstance(step, Challenge)
                                step = await exchange.next(answer(step.data))
                        except (InvalidCredentials, AuthTemporaryFailure) as error:
                            leaks(str(error) + repr(error), "an exception")

        with_client(room, test)
        lines = room.client()
        for number, line in enumerate(
            [
                f"AUTH\t%d\tPLAIN\tservice=imap\tresp={b64(SECRET)}\n",
                f"AUTH\t%d\tPLAIN\tservice=imap\tresp={plain('secret', SECRET)}=\n",
                f"AUTH\t%d\tPLAIN\tservice=imap\tresp={plain('a', SECRET, 'b')}\n",
                f"AUTH\t%d\tPLAIN\tservice=imap\tdebug\tresp={plain('secret', 'wrong' + SECRET)}\n",
                f"AUTH\t%d\tLOGIN\tservice=imap\tresp={b64('u' + chr(0) + SECRET)}\n",
                *(f"AUTH\t%d\tSCRAM-SHA-256\tservice=imap\tresp={b64(text)}\n" for text in NOT_SCRAM),
                *(
                    f"AUTH\t%d\t{name}\tservice=imap\tsecured=tls\tresp={b64(text)}\n"
                    for name in ("OAUTHBEARER", "XOAUTH2", "SCRAM-SHA-256-PLUS", "DIGEST-MD5")
                    for text in (SECRET, f"n,a=u,\x01auth=Basic {SECRET}\x01\x01", f"p={SECRET},,n=u,r=x")
                ),
                f"AUTH\t%d\tCRAM-MD5\tservice=imap\tresp={b64(SECRET)}\n",
                f"AUTH\t%d\tANONYMOUS\tservice=imap\tresp={b64(SECRET + chr(0))}\n",
                f"CONT\t%d\t{b64(SECRET)}\n",
                f"CONT\t%d\t{plain('secret', SECRET)}\n",
            ],
            1,
        ):
            lines.send(line % number)
            assert lines.next()
        for broken in (
            f"AUTH\t0\tPLAIN\tservice=imap\tresp={plain('secret', SECRET)}\n",
            f"AUTH\t1\tPLAIN\tresp={plain('secret', SECRET)}\n",
            f"AUTH\t1\tPLAIN\tservice=imap\tresp={plain('secret', SECRET)}\tsecured\n",
            f"AUTH\t1\tNOSUCH\tservice=imap\tresp={plain('secret', SECRET)}\n",
            f"CONT\t{plain('secret', SECRET)}\n",
            f"{plain('secret', SECRET)}\n",
            f"AUTH\t{plain('secret', SECRET)}\tPLAIN\tservice=imap\n",
        ):
            other = room.client()
            other.send(broken)
            assert other.closed()
        room.stop()
    text = room.log()
    assert "Password mismatch" in text and "unknown user" in text and "Unknown scheme NOSUCH" in text
    leaks(text, "the log")


def answers(name: str, user: str, password: str) -> list[Callable[[bytes], bytes]]:
    """What a client of the mechanism answers to each challenge."""
    if name == "PLAIN":
        return [lambda _: f"\0{user}\0{password}".encode()]
    if name == "LOGIN":
        return [lambda _: user.encode(), lambda _: password.encode()]
    if name == "CRAM-MD5":
        return [lambda challenge: cram_md5(user.encode(), password.encode(), challenge)]
    if name == "ANONYMOUS":
        return [lambda _: b"somebody"]
    if name == "EXTERNAL":
        return [lambda _: user.encode()]
    if name == "DIGEST-MD5":
        return [lambda challenge: digest_md5(user.encode(), password.encode("latin-1"), challenge)[0], lambda _: b""]
    token = password.encode("ascii", "ignore").decode().strip()  # half of the secret is still in it
    if name == "OAUTHBEARER":
        return [lambda _: f"n,a={user},\x01auth=Bearer {token}\x01\x01".encode(), lambda _: b"\x01"]
    if name == "XOAUTH2":
        return [lambda _: f"user={user}\x01auth=Bearer {token}\x01\x01".encode(), lambda _: b""]
    plus = name.endswith("-PLUS")
    client = ScramClient(
        "sha1" if "SHA-1" in name else "sha256",
        user.encode(),
        password.encode(),
        header=b"p=tls-unique,," if plus else b"n,,",
        binding=BINDING if plus else b"",
    )
    return [lambda _: client.first(), client.final, lambda _: b""]


def leaks(text: str, where: str) -> None:
    for form, shown in forms(SECRET).items():
        assert shown not in text, f"{where} has the password, {form}"
