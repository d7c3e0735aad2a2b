"""Hostile names of users and mailboxes through IMAP, LMTP and auth: data everywhere, never a path, pattern or line.

The second server lets everybody in whose password is "pw", whatever the name, so that every name reaches the disk.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.bystander import ONE_WORKER, unharmed
from kit.instance import Instance
from kit.mail import letter
from kit.rawclient import RawClient, lmtp

from roost.imap.mailbox_name import encode

NAMES = (
    b"..",
    b".",
    b"../u1",
    b"../../../../etc/passwd",
    b"u1/../u2",
    b"u1/",
    b"/u1",
    b"/etc/passwd",
    b"u1\x00",
    b"u1\x00/../u2",
    b"%{user}",
    b"%u",
    b"%{env:HOME}",
    b"%{user | lower}",
    b"${HOME}",
    b"$(id)",
    b"`id`",
    b"u1\tu2",
    b"u1\nu2",
    b"u1\r\nOK\t1\tuser=u2",
    b"x\nNov 21 00:00:00 imap: Info: Login: user=<u2>",
    b"u1\x01tu2",
    b"\x1b]0;owned\x07\x1b[2J",
    b"u1 ",
    b" u1",
    b"u1@",
    b"@x",
    b"@",
    b"*",
    b"u*",
    b":",
    b"u1:",
    b"#u1",
    b"~u1",
    b"-rf",
    b"store.db",
    b"a" * 2000,
    b"a" * 7000,
    "💥💣".encode(),
    "ü".encode(),
    unicodedata.normalize("NFD", "ü").encode(),
    "u\u200b1".encode(),
    "\u202eu1".encode(),
    "ａ".encode(),  # a full-width letter
    "İ".encode(),  # its lower case is two characters
    "ß".encode(),
    "u1\u2028u2".encode(),
    b"\xff\xfe",
    b"u1\xc0\xaf..",
    b"\xed\xa0\x80",  # half a surrogate pair
)
IDS = [ascii(name)[2:30] for name in NAMES]


def literal(octets: bytes) -> bytes:
    return b"{%d+}\r\n%b" % (len(octets), octets)


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    conf = ONE_WORKER + "auth_failure_delay = 0\nimap_max_bad_commands = 1000\nauth_verbose = yes\n"
    with Instance(tmp_path_factory.mktemp("roost"), conf) as instance:
        yield instance


@pytest.fixture(scope="module")
def anybody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    conf = ONE_WORKER + (
        'auth_failure_delay = 0\nauth_username_chars = ""\n'
        "passdb static {\n static_password = {PLAIN}pw\n}\nuserdb static {\n static_allow_all_users = yes\n}\n"
    )
    with Instance(tmp_path_factory.mktemp("anybody"), conf) as instance:
        yield instance


def check_log(instance: Instance) -> None:
    """No name has begun a line, and no control character has come through."""
    text = instance.log_text()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
    for line in text.splitlines():
        assert re.match(r"[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [a-z-]+", line), line
        assert not line.startswith("Nov 21 00:00:00"), line


def login_answers(roost: Instance, name: bytes, password: bytes) -> list[bytes]:
    """The tagged answers of LOGIN and of AUTHENTICATE PLAIN in both forms."""
    answers = []
    response = base64.b64encode(b"\x00" + name + b"\x00" + password)
    for command in (
        b"A LOGIN " + literal(name) + b" " + literal(password),
        b"A AUTHENTICATE PLAIN " + response,
        b"A AUTHENTICATE PLAIN\r\n" + response,
    ):
        with RawClient(roost.imap_port) as client:
            client.line()
            client.send(command + b"\r\n")
            answers.append(client.until(b"A")[-1])
    return answers


class TestUserNames:
    @pytest.mark.parametrize("name", NAMES, ids=IDS)
    def test_are_unknown(self, roost: Instance, name: bytes) -> None:
        """An odd name, an unknown one and a wrong password cannot be told apart."""
        wrong = login_answers(roost, b"u1", b"wrong")
        assert all(answer == b"A NO [AUTHENTICATIONFAILED] Authentication failed." for answer in wrong)
        assert login_answers(roost, b"nobody", b"pw") == wrong
        with unharmed(roost, deliver=False):
            found = login_answers(roost, name, b"pw")
        for answer, like in zip(found, wrong, strict=True):
            # A NUL cannot stand in PLAIN, a name that long not in a line; auth_username_format takes "u1@" for u1.
            assert answer == like or answer.startswith(b"A BAD ") or name == b"u1@", answer
        check_log(roost)

    @pytest.mark.parametrize("name", NAMES, ids=IDS)
    def test_of_recipients_are_unknown(self, roost: Instance, name: bytes) -> None:
        quoted = b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"@example.org'
        with lmtp(roost.lmtp_socket) as client:
            assert client.say(b"MAIL FROM:<>")[0].startswith(b"250 ")
            for address in (quoted, name + b"@example.org", name, quoted + b"@"):
                client.send(b"RCPT TO:<" + address + b">\r\nNOOP\r\n")
                answers = [client.reply()]
                while not answers[-1].startswith(b"250 2.0.0"):
                    answers.append(client.reply())
                assert len(answers) == 2 or b"\n" in name
                for answer in answers[:-1]:
                    assert answer.startswith((b"550 5.1.1", b"501 5.", b"500 5.", b"555 5.", b"250 2.1.5")), answer
                    # u1 by another spelling of its address, which the grammar allows
                    assert not answer.startswith(b"250 ") or name.strip() in (b"u1", b"u1@"), answer
            assert client.say(b"NOOP")[0].startswith(b"250 ")
        check_log(roost)

    @pytest.mark.parametrize("name", NAMES, ids=IDS)
    def test_of_anybody_have_their_own_place(self, anybody: Instance, name: bytes) -> None:
        """Who gets in has a home of one name under mail/, and sees nothing of others."""
        folder = anybody.folder
        before = _tree(folder)
        with RawClient(anybody.imap_port) as client:
            client.line()
            answer = client.command(b"A LOGIN " + literal(name) + b" pw")[-1]
            if answer.startswith(b"A OK"):
                mark = base64.b16encode(name[:50]) + b"%d" % len(name)
                assert client.command(b"B CREATE " + mark)[-1].startswith((b"B OK", b"B NO [ALREADYEXISTS]")), name
                rows = client.command(b'C LIST "" *')
                others = [row for row in rows[:-1] if re.search(rb'" [0-9A-F]{2,}\d+$', row) and mark not in row]
                assert not others, "another user's mailbox"
            else:
                assert answer.startswith((b"A NO ", b"A BAD ")), answer
                assert b"SERVERBUG" not in answer
        made = _tree(folder) - before
        homes = {path.relative_to(folder).parts[:2] for path in made if path.is_relative_to(folder / "mail")}
        assert len(homes) <= 1, homes
        outside = [path for path in made if not path.is_relative_to(folder / "mail")]
        assert not outside, "something was made outside of the folder for mail"
        assert all(path.parent == folder / "mail" or path.parent.parent == folder / "mail" for path in made), made
        check_log(anybody)

    def test_imap_and_lmtp_mean_the_same_user(self, anybody: Instance) -> None:
        """By the same octets; another form of the same letters is another name."""
        for name in ("zoë", unicodedata.normalize("NFD", "zoë")):
            with RawClient(anybody.imap_port) as client:
                client.line()
                assert client.command(b"A LOGIN " + literal(name.encode()) + b" pw")[-1].startswith(b"A OK")
                with lmtp(anybody.lmtp_socket) as mta:
                    mta.say(b"MAIL FROM:<>")
                    answer = mta.say(b"RCPT TO:<" + name.encode() + b"@example.org>")[0]
                    if answer.startswith(b"250 "):
                        mta.say(b"DATA")
                        mta.send(letter(1) + b".\r\n")
                        assert mta.reply().startswith(b"250 ")
                        assert any(b" EXISTS" in row for row in client.command(b"B SELECT INBOX"))


def _tree(folder: Path) -> set[Path]:
    return {path for path in (folder.parent).rglob("*") if path.name not in ("roost.log", "stderr")}


MAILBOXES = (
    "..",
    "../x",
    "../../u2/INBOX",
    "/x",
    "x/",
    "a//b",
    "a/../b",
    "./x",
    "INBOX/..",
    "inbox/x",
    "InBoX",
    "%",
    "*",
    "a%b",
    "%{user}",
    "$HOME",
    "~root",
    "#news",
    "store.db",
    "blobs",
    "a b",
    'q"uote\\d',
    "tab\there",
    "line\nhere",
    "line\r\nX NOOP",
    "nul\x00here",
    "del\x7f",
    "c1\x85",
    "ls\u2028",
    "&",
    "&-",
    "&AOQ-",
    "ä",
    unicodedata.normalize("NFD", "ä"),
    "💥",
    "日本語",
    "\u202egnp.exe",
    "a" * 255,
    "a" * 256,
    "ä" * 127,
    "ä" * 128,
    "a" * 60_000,
    "/".join("a" * 20),
    "/".join("a" * 21),
    "/".join("a" * 2000),
    "",
    " ",
    "NIL",
    "INBOX",
)


class TestMailboxNames:
    @pytest.mark.parametrize("name", MAILBOXES, ids=lambda name: ascii(name)[1:30])
    def test_are_refused_or_work(self, roost: Instance, name: str) -> None:
        before = {path for path in roost.folder.rglob("*") if path.is_file()}
        wire = literal(encode(name))
        with unharmed(roost, deliver=False), RawClient(roost.imap_port).login("u2") as client:
            answer = client.command(b"A CREATE " + wire)[-1]
            if answer.startswith(b"A OK"):
                shown = unicodedata.normalize("NFC", name.removesuffix("/"))
                shown = "INBOX" + shown[5:] if shown.upper().startswith("INBOX/") else shown
                listed = client.command(b'L LIST "" ' + literal(encode(shown.replace("%", "").replace("*", ""))))
                if not set(name) & set("%*"):
                    assert len(listed) == 2, "the mailbox is not listed by its name"
                wire = literal(encode(shown))
                assert client.command(b"S SELECT " + wire)[-1].startswith(b"S OK")
                assert client.command(b"P APPEND " + wire + b" {1+}\r\nx")[-1].startswith(b"P OK [APPENDUID")
                assert client.command(b"T STATUS " + wire + b" (MESSAGES)")[-1].startswith(b"T OK")
                assert client.command(b"U SUBSCRIBE " + wire)[-1].startswith(b"U OK")
                assert client.command(b"V UNSUBSCRIBE " + wire)[-1].startswith(b"V OK")
                assert client.command(b"R RENAME " + wire + b" Renamed")[-1].startswith(b"R OK")
                assert client.command(b"D DELETE Renamed")[-1].startswith(b"D OK")
            else:
                assert answer.startswith((b"A NO [CANNOT] ", b"A NO [ALREADYEXISTS] ", b"A BAD ")), answer
                for command in (b"SELECT %b", b"DELETE %b", b"STATUS %b (MESSAGES)", b"RENAME %b y", b"SUBSCRIBE %b"):
                    if "ALREADYEXISTS" not in answer.decode():
                        other = client.command(b"B " + command.replace(b"%b", wire))[-1]
                        assert other.startswith((b"B NO [", b"B BAD ")), (command, other)
                other = client.command(b"B RENAME Sent " + wire)[-1]
                assert other.startswith((b"B NO [", b"B BAD ")), other
            for parent in (b"a", b"x", b"inbox/x"):
                client.command(b"Z DELETE " + parent)
        made = {path for path in roost.folder.rglob("*") if path.is_file()} - before
        assert {path.name for path in made} <= {"store.db", "store.db-wal", "store.db-shm"}, made
        check_log(roost)

    def test_two_forms_of_one_name_are_one_mailbox(self, roost: Instance) -> None:
        with RawClient(roost.imap_port).login("u3") as client:
            composed, decomposed = b"&AOk-", b"e&AwE-"  # é, and e with a combining accent
            assert client.command(b"A CREATE " + composed)[-1].startswith(b"A OK")
            assert client.command(b"A CREATE " + decomposed)[-1].startswith(b"A NO [ALREADYEXISTS]")
            assert client.command(b"A SELECT " + decomposed)[-1].startswith(b"A OK")

    @pytest.mark.parametrize(
        "wire",
        [
            b"&",
            b"&AOQ",
            b"&AOQ-&AOQ-",
            b"&2D0-",
            b"&AAo-",
            b"&AC8-",
            b"a&AC4ALg-",
            b"&AGE-",
            b"\xc3\xa4",
            b"&====-",
            b"&AOR-",
        ],
    )
    def test_bad_encodings_are_refused(self, roost: Instance, wire: bytes) -> None:
        """An octet that is hidden in the encoding ("/", "..", LF) never arrives."""
        with RawClient(roost.imap_port).login("u4") as client:
            for command in (b"CREATE ", b"SELECT ", b"SUBSCRIBE ", b"RENAME Sent "):
                assert client.command(b"A " + command + literal(wire))[-1].startswith((b"A NO [", b"A BAD ")), command


class TestOtherTexts:
    def test_in_envelopes_and_headers_start_no_line_of_the_log(self, roost: Instance) -> None:
        evil = b"<a\x1b[2J\x07\x00b\r\n Nov 21 00:00:00 imap: Info: Login: user=<u2>@x>"
        with unharmed(roost), lmtp(roost.lmtp_socket) as client:
            for sender in (b'<"a\x1b[31mb"@example.org>', b'<"a\x00b"@x>', b"<a\tb@x>", b"<\xff\xfe@x>"):
                answer = client.say(b"MAIL FROM:" + sender, b"RSET")[0]
                assert answer.startswith((b"501 5.", b"250 2.1.0")), answer
            client.say(b"MAIL FROM:<>", b"RCPT TO:<u5@example.org>", b"DATA")
            client.send(b"Message-ID: " + evil + b"\r\nSubject: \x1b[2J\x9b\r\n\r\nText.\r\n.\r\n")
            assert client.reply().startswith(b"250 ")
        with RawClient(roost.imap_port).login("u5") as client:
            client.command(b'I ID ("name" "x\x1b[2J" "version" "\x07")')
            client.command(b"S SELECT INBOX")
            for question in (b"FETCH 1 (ENVELOPE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID SUBJECT)])", b"SEARCH SUBJECT x"):
                assert client.command(b"F " + question)[-1].startswith(b"F OK")
        check_log(roost)
