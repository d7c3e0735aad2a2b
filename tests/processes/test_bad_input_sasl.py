"""Hostile SASL at the real imap room, with the real auth process behind it: others are served, nothing piles up."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from kit.bystander import ONE_WORKER, descriptors, only, rss_octets, unharmed
from kit.instance import Instance
from kit.rawclient import RawClient
from kit.wait import wait_for

MIB = 1 << 20
MECHANISMS = (b"PLAIN", b"LOGIN", b"CRAM-MD5", b"SCRAM-SHA-1", b"SCRAM-SHA-256", b"XOAUTH2", b"OAUTHBEARER")
CONF = (
    ONE_WORKER
    + f"""
auth_mechanisms = {" ".join(name.decode() for name in MECHANISMS).lower()}
auth_allow_cleartext = yes
auth_failure_delay = 0
auth_internal_failure_delay = 0
mail_max_userip_connections = unlimited
"""
)


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("sasl"), CONF) as running:
        yield running


def connect(roost: Instance) -> RawClient:
    client = RawClient(roost.imap_port)
    assert client.line().startswith(b"* OK ")
    return client


def ended(client: RawClient, tag: bytes) -> bytes:
    """The tagged answer; continuations before it are answered with ``*``. b"" at the end of the connection."""
    try:
        while True:
            line = client.line()
            if line.startswith(tag + b" "):
                return line
            if line.startswith(b"+"):
                client.send(b"*\r\n")
            elif line.startswith(b"* BYE"):
                return b""
    except EOFError:
        return b""


def abort(roost: Instance, count: int) -> None:
    """``count`` exchanges, aborted by ``*`` at the first challenge; an ended connection is followed by another."""
    client = connect(roost)
    done = 0
    while done < count:
        mechanism = MECHANISMS[done % len(MECHANISMS)]
        tag = b"a%d" % done
        client.send(tag + b" AUTHENTICATE " + mechanism + b"\r\n")
        answer = ended(client, tag)
        if not answer:
            client.close()
            client = connect(roost)
            continue
        assert answer.split()[1] in (b"BAD", b"NO"), answer
        done += 1
    client.close()


def test_ten_thousand_aborted_exchanges(roost: Instance) -> None:
    imap, auth = only(roost, "imap"), only(roost, "auth")
    with unharmed(roost):
        abort(roost, 500)
        before = {pid: (rss_octets(pid), descriptors(pid)) for pid in (imap, auth)}
        abort(roost, 10_000)
        for pid, (memory, _) in before.items():
            assert rss_octets(pid) - memory < 6 * MIB
        wait_for(lambda: all(descriptors(pid) <= files + 4 for pid, (_, files) in before.items()), 20, "files closed")


def test_left_in_the_middle(roost: Instance) -> None:
    imap, auth = only(roost, "imap"), only(roost, "auth")
    before = {pid: descriptors(pid) for pid in (imap, auth)}
    with unharmed(roost):
        for number in range(700):
            client = RawClient(roost.imap_port)
            mechanism = MECHANISMS[number % len(MECHANISMS)]
            half = base64.b64encode(b"u1\0half")[: number % 8]
            client.send(b"a AUTHENTICATE " + mechanism + (b" " if number % 3 else b"\r\n") + half)
            if number % 2:
                client.line()
            client.close()
    wait_for(lambda: all(descriptors(pid) <= files + 4 for pid, files in before.items()), 20, "files closed")


RUBBISH = [
    b"%%%",
    b"=",
    b"====",
    b"A",
    b"AAA",
    b"AA=A",
    b"AAAA AAAA",
    b"\xff\xfe\x80",
    b"\0\0\0",
    b"\x01t\x01n",
    b"AAAA\tservice=imap",
    b"\tuserdb\tresp=AHUxAHB3",
    b"(" * 3000,
    base64.b64encode(b"\0u1\0pw\0"),
    base64.b64encode(b"\0u1\tuser=u2\0pw"),
    base64.b64encode(b"\0u1\0pw\nOK\t1\tuser=u2"),
    base64.b64encode(b"u2\0u1\0pw"),
    base64.b64encode(b"\0%{user}\0pw"),
    base64.b64encode(b"\0$ENV:HOME\0pw"),
    base64.b64encode(b"\0../u1\0pw"),
    base64.b64encode(b"\0u1\0" + b"p" * 5000),
    base64.b64encode(b"\xff" * 3000),
]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_rubbish_at_every_step_lets_nobody_in(roost: Instance, mechanism: bytes) -> None:
    with unharmed(roost):
        for number, rubbish in enumerate(RUBBISH):
            for initial in (True, False):
                with connect(roost) as client:
                    tag = b"r%d" % number
                    start = tag + b" AUTHENTICATE " + mechanism
                    if initial:
                        client.send(start + b" " + rubbish + b"\r\n")
                    else:
                        client.send(start + b"\r\n")
                        assert client.line().startswith(b"+")
                        client.send(rubbish + b"\r\n")
                    answer = ended(client, tag)
                    assert not answer or answer.split()[1] in (b"NO", b"BAD"), (rubbish, answer)
                    if answer:
                        client.send(b"z SELECT INBOX\r\n")
                        assert ended(client, b"z").split()[1:2] in ([b"BAD"], [b"NO"], []), "nobody is logged in"


def test_two_users_in_one_breath_are_two_users(roost: Instance) -> None:
    """What follows a login in the same segment is said as the user who has logged in, and a second login is none."""
    with connect(roost) as client:
        first = base64.b64encode(b"\0u1\0pw")
        second = base64.b64encode(b"\0u2\0pw")
        client.send(b"a AUTHENTICATE PLAIN " + first + b"\r\nb AUTHENTICATE PLAIN " + second + b"\r\nc NOOP\r\n")
        assert ended(client, b"a").split()[1] == b"OK"
        assert ended(client, b"b").split()[1] == b"BAD"
        assert ended(client, b"c").split()[1] == b"OK"
