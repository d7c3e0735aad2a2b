"""Random octets, and valid conversations with random damage, at every socket of a running server.

Seeded, so that a failure can be repeated. Whatever comes, the connection is answered or closed, no process dies,
nothing is logged with a traceback, and others are served.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.bystander import ONE_WORKER, descriptors, only, rss_octets, unharmed
from kit.instance import Instance
from kit.rawclient import RawClient
from kit.wait import wait_for

STRANGERS = 100
STRANGERS_OCTETS = STRANGERS * 100 * 1024  # what they may cost while they are here
WORDS = {
    "imap": b'A LOGIN|AUTHENTICATE|PLAIN|NOOP|CAPABILITY|STARTTLS|ID|NIL|u1|pw|{3}|{3+}|{0+}|~{1+}|*|(|)|"'
    b"|\\|%|&-|&AOQ-|+|BODY[|]|<0.1>|FETCH|UID|SEARCH|1:*|,|OR|NOT|LIST|\r\n|\n|\r| |  |\x00|\xff"
    b"|IDLE|DONE|LOGOUT|ENABLE|APPEND|INBOX",
    "lmtp": b"LHLO c|EHLO c|MAIL FROM:<>|MAIL FROM:<a@b>|RCPT TO:<u1@x>|RCPT TO:<|DATA|BDAT 5|BDAT 0 LAST"
    b"|RSET|NOOP|QUIT|BDAT 99999999999|VRFY|HELP|\r\n|\r\n.\r\n|.\r\n|\n.\n|\n|\r| SIZE="
    b'|BODY=8BITMIME|ORCPT=rfc822;x|>|<|@|"|\\|\x00|\xff',
    "auth": b"VERSION\t1\t2|CPID\t77|AUTH\t1\tPLAIN|AUTH\t2\tLOGIN|\tresp=|AHUxAHB3|service=imap|\tsecured"
    b"|\tnologin|CONT\t1\t|CANCEL\t1|\n|\t|\x01|\x011|\x00|\xff|=|USER\t1\tu1|PASS\t1\tu1|LIST\t1"
    b"|REQUEST\t1\t1\t1|AUTH\t4294967296\tX",
    "inner": b"WATCH\tu1|UNWATCH\tu1|HINT\tu1\tm1\t5\t1|CONNECT\tguid\t1\tu1\timap\t::1\tA\t|CONNECT-DUMP"
    b"|LOOKUP\tu1\timap\t::1|DISCONNECT\tguid\t1\tu1\timap\t::1|KICKED\t1\t1|\n|\n|\t|\x01|\x00"
    b"|\xff|SERVICE-STATUS|PROCESS-STATUS|4294967296|-1",
}


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("roost"), ONE_WORKER + "auth_failure_delay = 0\n") as instance:
        yield instance


def _blob(dice: random.Random, place: str) -> bytes:
    """Octets of one of four kinds, half of them behind a proper beginning."""
    words_name, _, beginning = PLACES[place]
    words = WORDS[words_name].split(b"|")
    start = beginning % dice.randrange(1, 10**6) if b"%d" in beginning else beginning
    if dice.random() < 0.5:
        start = b""
    kind = dice.randrange(4)
    if kind == 0:
        return start + dice.randbytes(dice.choice((1, 5, 100, 3000, 40_000)))
    if kind == 1:
        return start + bytes(dice.choices(b'\x00\t\n\r\x01 (){}"\\AB19\xff', k=dice.choice((3, 60, 2000))))
    pieces = dice.choices(words, k=dice.choice((2, 10, 80)))
    return start + (b" ".join(pieces) if kind == 2 else b"\r\n".join(pieces) + b"\r\n")


AUTH = b"VERSION\t1\t2\nCPID\t%d\n"
PLACES: dict[str, tuple[str, Callable[[Instance], int | Path], bytes]] = {
    "imap": ("imap", lambda roost: roost.imap_port, b""),
    "imaps": ("imap", lambda roost: roost.imaps_port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "lmtp": ("lmtp", lambda roost: roost.lmtp_socket, b"LHLO c\r\n"),
    "auth-client": ("auth", lambda roost: roost.auth_socket, AUTH),
    "auth-login": ("auth", lambda roost: roost.base_dir / "auth-login", AUTH),
    "auth-userdb": ("auth", lambda roost: roost.base_dir / "auth-userdb", b"VERSION\t1\t1\n"),
    "auth-master": ("auth", lambda roost: roost.base_dir / "auth-master", b"VERSION\t1\t1\n"),
    "anvil": ("inner", lambda roost: roost.base_dir / "anvil", b"VERSION\tanvil-client\t2\t0\nimap\t%d\n"),
    "notify": ("inner", lambda roost: roost.base_dir / "notify", b"VERSION\tnotify-client\t1\t0\n"),
    "master": ("inner", lambda roost: roost.base_dir / "master", b"VERSION\tmaster-client\t1\t0\n"),
}


class TestRandomOctets:
    @pytest.mark.parametrize("place", PLACES)
    def test_at_every_socket(self, roost: Instance, place: str) -> None:
        where = PLACES[place][1](roost)
        dice = random.Random(f"octets {place}")
        with unharmed(roost):
            for _ in range(150):
                RawClient(where).talk(_blob(dice, place))
        assert roost.process is not None and roost.process.poll() is None

    @pytest.mark.parametrize("place", [place for place in PLACES if place != "master"])
    def test_many_strangers_leave_nothing_behind(self, roost: Instance, place: str) -> None:
        """Connections cut off at any point: no descriptor and no memory stays."""
        kind, where, _ = PLACES[place]
        pid = only(roost, {"imap": "imap", "lmtp": "lmtp", "auth": "auth", "inner": place}[kind])
        dice = random.Random(f"strangers {place}")

        def strangers() -> None:
            clients = [RawClient(where(roost)) for _ in range(STRANGERS)]
            for client in clients:
                client.send(_blob(dice, place)[:4000])
            for client in clients:
                if dice.random() < 0.5:  # cut off by a reset
                    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                client.close()

        with unharmed(roost):
            open_before = descriptors(pid)
            strangers()
            wait_for(lambda: descriptors(pid) <= open_before + 1, 20)
            before = rss_octets(pid)
            for _ in range(5):
                strangers()
            wait_for(lambda: descriptors(pid) <= open_before + 1, 20)
            assert rss_octets(pid) - before < STRANGERS_OCTETS


IMAP_COMMANDS = [
    b"NOOP",
    b"CAPABILITY",
    b"SELECT INBOX",
    b"EXAMINE INBOX (CONDSTORE)",
    b'LIST (SUBSCRIBED) "" (INBOX "Sent/%") RETURN (CHILDREN STATUS (MESSAGES UNSEEN))',
    b'LSUB "" "*"',
    b"STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ SIZE)",
    b"CREATE a/b/c (USE (\\Archive))",
    b'RENAME "a/b" a/x',
    b"DELETE a/x/c",
    b"SUBSCRIBE {3+}\r\na/b",
    b'APPEND INBOX (\\Seen $Junk) "01-Feb-2026 10:00:00 +0100" {26+}\r\nFrom: a@b\r\nSubject: x\r\n\r\n.',
    b"APPEND INBOX {3+}\r\na\r\n {4+}\r\nb\r\n\r",
    b"FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE MODSEQ)",
    b"UID FETCH 1,3:5,* (BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)]<0.100> BODY[1.MIME] BODY[TEXT]) (CHANGEDSINCE 1)",
    b"FETCH 1 FULL",
    b"STORE 1:2 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Deleted $Forwarded)",
    b"UID STORE 1:* -FLAGS (\\Deleted)",
    b"SEARCH RETURN (MIN MAX COUNT ALL) CHARSET UTF-8 OR (SUBJECT {2+}\r\n\xc3\xa4 UNSEEN) NOT 1:3 SINCE 1-Feb-2020",
    b'UID SEARCH HEADER "Message-ID" "<" TEXT a BODY b MODSEQ "/flags/\\\\draft" all 3',
    b"COPY 1:* Sent",
    b"UID MOVE 1:2 Trash",
    b"EXPUNGE",
    b"UID EXPUNGE 1:5",
    b"CHECK",
    b"ENABLE CONDSTORE",
    b'ID ("name" "x" "version" NIL)',
    b"NAMESPACE",
    b"UNSELECT",
    b"IDLE\r\nDONE",
]
LMTP_LINES = [
    b"LHLO client.example.org\r\n",
    b"MAIL FROM:<a@example.org> SIZE=1000 BODY=8BITMIME\r\n",
    b"RCPT TO:<u6@example.org>\r\n",
    b'RCPT TO:<"u6"@example.org>\r\n',
    b"RCPT TO:<nobody@example.org>\r\n",
    b"DATA\r\nSubject: x\r\n\r\nbody\r\n..\r\n.\r\n",
    b"BDAT 14 LAST\r\nSubject: y\r\n\r\n",
    b"RSET\r\n",
    b"VRFY u6\r\n",
    b"NOOP\r\n",
]


def _damaged(dice: random.Random, octets: bytes) -> bytes:
    """``octets`` with a few changed, lost, repeated or added."""
    damaged = bytearray(octets)
    for _ in range(dice.choice((0, 1, 1, 2, 5))):
        at = dice.randrange(len(damaged) + 1)
        kind = dice.randrange(5)
        if kind == 0:
            del damaged[at : at + dice.choice((1, 2, 8))]
        elif kind == 1:
            damaged[at:at] = dice.choice(
                (b"(", b")", b'"', b"\\", b"{", b"}", b"*", b"\r\n", b"\x00", b"\xff", b"%", b" ")
            )
        elif kind == 2:
            damaged[at : at + 1] = dice.randbytes(1)
        elif kind == 3:
            damaged[at:at] = damaged[at : at + 10] * dice.choice((2, 50))
        else:
            damaged[at:at] = str(dice.choice((0, -1, 2**31, 2**32, 2**63, 2**64))).encode()
    return bytes(damaged)


class TestDamagedConversations:
    def test_imap_after_login(self, roost: Instance) -> None:
        """Every command gets its answer, the session goes on or is told BYE; then a new one begins."""
        dice = random.Random("imap session")
        byes = 0
        with unharmed(roost):
            for _ in range(100):
                wire = b""
                for number in range(30):
                    wire += b"%d %b\r\n" % (number, _damaged(dice, dice.choice(IMAP_COMMANDS)))
                with RawClient(roost.imap_port).login("u5") as client:
                    said = client.talk(wire)
                    byes += b"* BYE " in said
                    assert b"SERVERBUG" not in said, said
        with RawClient(roost.imap_port).login("u5") as client:
            assert client.command(b"A SELECT INBOX")[-1].startswith(b"A OK")
            assert client.command(b"B FETCH 1:* (UID FLAGS ENVELOPE BODY.PEEK[])")[-1].startswith((b"B OK", b"B BAD"))
        assert byes < 100

    def test_lmtp(self, roost: Instance) -> None:
        dice = random.Random("lmtp session")
        taken = 0
        with unharmed(roost):
            for _ in range(150):
                lines = LMTP_LINES[:3] + dice.choices(LMTP_LINES, k=12)
                said = RawClient(roost.lmtp_socket).talk(b"".join(_damaged(dice, line) for line in lines))
                taken += said.count(b"Saved")
        with RawClient(roost.imap_port).login("u6") as client:
            row = client.command(b"A STATUS INBOX (MESSAGES)")[0]
        assert row.endswith(b"(MESSAGES %d)" % taken), "what was acknowledged is what is there"
