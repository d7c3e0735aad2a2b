"""Command lines no honest client sends, before and after login: too long, too deep, bad literals, 8-bit, NULs.

Each has its clear answer, the session goes on where it can, memory and time stay bounded, and others are served by the
same process all along.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kit.bystander import ONE_WORKER, cpu_secs, only, rss_octets, unharmed
from kit.instance import Instance
from kit.rawclient import RawClient, lmtp

MIB = 1 << 20
UNKNOWN_CLIENT_OCTETS = 100 * 1024  # what a connection without login may cost


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("roost"), ONE_WORKER) as instance:
        yield instance


def selected(roost: Instance, user: str = "u1") -> RawClient:
    """A session with one message in INBOX."""
    client = RawClient(roost.imap_port).login(user)
    client.command(b"S SELECT INBOX")
    client.command(b"P APPEND INBOX {24+}\r\nSubject: one\r\n\r\nText.\r\n")
    client.command(b"N NOOP")
    return client


def goes_on(client: RawClient) -> None:
    assert client.command(b"ZZ NOOP")[-1].startswith(b"ZZ OK")


class TestOverlongLines:
    @pytest.mark.parametrize("octets", [8 * 1024, 64 * 1024, 10 * MIB])
    def test_before_login(self, roost: Instance, octets: int) -> None:
        with unharmed(roost), RawClient(roost.imap_port) as client:
            client.line()
            client.send(b"A NOOP " + b"x" * octets + b"\r\n")
            assert client.line() == b"A BAD Error in IMAP command NOOP: Too long command line."
            goes_on(client)

    @pytest.mark.parametrize("octets", [64 * 1024, 10 * MIB])
    def test_after_login(self, roost: Instance, octets: int) -> None:
        with unharmed(roost), selected(roost) as client:
            client.send(b"A SEARCH " + b"x" * octets + b"\r\n")
            assert client.line() == b"A BAD Error in IMAP command SEARCH: Too long command line."
            client.send(b"B FETCH 1 (" + b"FLAGS " * (octets // 6) + b")\r\n")
            assert client.line() == b"B BAD Error in IMAP command FETCH: Too long command line."
            goes_on(client)

    def test_in_pieces_around_literals(self, roost: Instance) -> None:
        """All pieces of one command count together, and all of them go; what a literal held is never a command."""
        refused = b"A BAD Error in IMAP command SEARCH: Too long command line.\r\n"
        hidden = b"X DELETE Sent\r\n"
        with unharmed(roost):
            with selected(roost) as client:
                said = client.talk(b"A SEARCH" + b" SUBJECT {1+}\r\nx" * 20_000 + b"\r\nB NOOP\r\n")
                assert said == refused + b"B OK NOOP completed.\r\n"
            with selected(roost) as client:
                said = client.talk(b"A SEARCH" + b" x" * 40_000 + b" {%d+}\r\n%b\r\nB NOOP\r\n" % (len(hidden), hidden))
                assert said == refused + b"B OK NOOP completed.\r\n"

    def test_in_an_answer_to_a_challenge(self, roost: Instance) -> None:
        with unharmed(roost), RawClient(roost.imap_port) as client:
            client.line()
            client.send(b"A AUTHENTICATE PLAIN\r\n")
            assert client.line().startswith(b"+ ")
            client.send(b"A" * MIB + b"\r\n")
            assert client.line().startswith(b"A BAD ")
            goes_on(client)

    def test_inside_idle(self, roost: Instance) -> None:
        with unharmed(roost), selected(roost) as client:
            client.send(b"A IDLE\r\n")
            assert client.line().startswith(b"+ ")
            client.send(b"x" * MIB + b"\r\n")
            assert client.line().startswith(b"A BAD ")
            goes_on(client)

    def test_without_an_end_they_cost_nothing(self, roost: Instance) -> None:
        """A hundred strangers, each in the middle of a line, a literal or a challenge of any length."""
        pid = only(roost, "imap")
        starts = [b"A NOOP ", b"A LOGIN {8000+}\r\n", b"A LOGIN x {4000+}\r\n", b"A ID (", b'A LOGIN "']
        with unharmed(roost):
            RawClient(roost.imap_port).talk(b"A NOOP " + b"x" * MIB)
            before = rss_octets(pid)
            strangers = [RawClient(roost.imap_port) for _ in range(100)]
            for number, stranger in enumerate(strangers):
                stranger.line()
                stranger.send(starts[number % len(starts)] + b"x" * 3900)
                stranger.send(b"y" * 3900)
            for stranger in strangers[:20]:
                stranger.send(b"x" * MIB)
            grown = rss_octets(pid) - before
            for stranger in strangers:
                stranger.close()
        assert grown < 100 * UNKNOWN_CLIENT_OCTETS

    def test_lmtp(self, roost: Instance) -> None:
        with unharmed(roost), lmtp(roost.lmtp_socket) as client:
            assert client.say(b"NOOP " + b"x" * 10 * MIB) == [b"500 5.5.2 Line too long"]
            assert client.say(b"MAIL FROM:<" + b"a" * 5000 + b"@example.org>") == [b"500 5.5.2 Line too long"]
            assert client.say(b"NOOP")[0].startswith(b"250 ")

    def test_lmtp_without_an_end(self, roost: Instance) -> None:
        pid = only(roost, "lmtp")
        with unharmed(roost):
            RawClient(roost.lmtp_socket).talk(b"x" * MIB)
            before = rss_octets(pid)
            strangers = [lmtp(roost.lmtp_socket) for _ in range(50)]
            for stranger in strangers:
                stranger.send(b"x" * MIB)
            grown = rss_octets(pid) - before
            for stranger in strangers:
                stranger.close()
        assert grown < 50 * UNKNOWN_CLIENT_OCTETS


DEEP = 20_000
NESTED = {
    "search": b"SEARCH " + b"(" * DEEP + b"ALL" + b")" * DEEP,
    "search-open": b"SEARCH " + b"(" * DEEP,
    "search-not": b"SEARCH " + b"NOT " * DEEP + b"ALL",
    "search-not-or": b"SEARCH " + b"NOT OR ALL " * (DEEP // 4) + b"ALL",
    "search-or": b"SEARCH " + b"OR " * DEEP + b"ALL " * DEEP + b"ALL",
    "search-or-right": b"SEARCH " + b"OR ALL " * (DEEP // 4) + b"ALL",
    "search-return": b"SEARCH RETURN " + b"(" * DEEP,
    "list": b"LIST " + b"(" * DEEP,
    "list-patterns": b'LIST "" ' + b"(" * DEEP + b"*" + b")" * DEEP,
    "list-return": b'LIST "" * RETURN ' + b"(" * DEEP,
    "list-status": b'LIST "" * RETURN (STATUS ' + b"(" * DEEP,
    "fetch": b"FETCH 1 " + b"(" * DEEP,
    "fetch-fields": b"FETCH 1 BODY[HEADER.FIELDS " + b"(" * DEEP,
    "fetch-section": b"FETCH 1 BODY[" + b"1." * DEEP + b"1]",
    "fetch-brackets": b"FETCH 1 " + b"BODY[" * (DEEP // 4),
    "fetch-modifiers": b"FETCH 1 FLAGS " + b"(" * DEEP,
    "store": b"STORE 1 FLAGS " + b"(" * DEEP,
    "store-modifiers": b"STORE 1 " + b"(" * DEEP,
    "status": b"STATUS INBOX " + b"(" * DEEP,
    "id": b"ID " + b"(" * DEEP,
    "append": b"APPEND INBOX " + b"(" * DEEP + b" {1+}\r\nx",
    "select": b"SELECT INBOX " + b"(" * DEEP,
    "create": b"CREATE x " + b"(" * DEEP,
    "enable": b"ENABLE " + b"(" * DEEP,
    "copy": b"COPY " + b"(" * DEEP,
}


class TestNesting:
    @pytest.mark.parametrize("name", NESTED)
    def test_after_login(self, roost: Instance, name: str) -> None:
        pid = only(roost, "imap")
        with unharmed(roost, deliver=False), selected(roost) as client:
            before = cpu_secs(pid)
            lines = client.command(b"A " + NESTED[name])
            assert lines[-1].split()[1] in (b"BAD", b"NO", b"OK")
            if name not in ("search-not", "search-or-right", "fetch-section"):
                assert lines[-1].startswith(b"A BAD "), lines[-1]
            for _ in range(10):  # the limit of bad commands in a row is twice that
                client.command(b"A " + NESTED[name])
            assert cpu_secs(pid) - before < 2
            goes_on(client)

    def test_before_login(self, roost: Instance) -> None:
        for start in (b"ID ", b"LOGIN ", b"AUTHENTICATE ", b"NOOP ", b"LOGIN u1 "):
            with RawClient(roost.imap_port) as client:
                client.line()
                assert client.command(b"A " + start + b"(" * 8000)[-1].startswith(b"A BAD ")
                goes_on(client)

    def test_what_is_deep_but_allowed_is_answered(self, roost: Instance) -> None:
        with selected(roost) as client:
            for search in (b"(" * 40 + b"ALL" + b")" * 40, b"NOT " * 40 + b"ALL"):
                assert client.command(b"A SEARCH " + search)[-1].startswith(b"A OK")


class TestLiterals:
    @pytest.mark.parametrize(
        "size",
        [b"-1", b"", b"abc", b"1e3", b"0x10", b" 5", b"5 ", b"5.0", b"+5", b"--", b"5++", b"5-", b"\xb2", b"5}{5"],
    )
    @pytest.mark.parametrize("plus", [b"", b"+"])
    def test_no_number(self, roost: Instance, size: bytes, plus: bytes) -> None:
        with RawClient(roost.imap_port) as client, selected(roost) as known:
            client.line()
            assert client.command(b"A LOGIN {%b%b}" % (size, plus))[-1].startswith(b"A BAD ")
            goes_on(client)
            for command in (b"SELECT", b"APPEND INBOX", b"SEARCH SUBJECT", b'LIST ""'):
                assert known.command(b"A %b {%b%b}" % (command, size, plus))[-1].startswith(b"A BAD ")
            goes_on(known)

    @pytest.mark.parametrize(
        "size", [100_000, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64, 10**18, 10**30, 10**4000]
    )
    def test_too_big_is_refused_before_it_comes(self, roost: Instance, size: int) -> None:
        announced = b"{%d}" % size
        with unharmed(roost, deliver=False), RawClient(roost.imap_port) as client, selected(roost) as known:
            client.line()
            client.send(b"A LOGIN %b\r\n" % announced)
            assert client.line().startswith(b"A BAD ")
            goes_on(client)
            for command in (b"SELECT", b"SEARCH SUBJECT", b'LIST ""', b"STATUS"):
                known.send(b"A %b %b\r\n" % (command, announced))
                assert known.line().startswith((b"A BAD ", b"A NO ")), command
            if size > 100_000:
                known.send(b"A APPEND INBOX %b\r\n" % announced)
                assert known.line().startswith((b"A NO [TOOBIG] ", b"A BAD ")), "+ was sent"
            goes_on(known)

    @pytest.mark.parametrize("size", [9_000, 100_000, 1_000_000])
    def test_too_big_and_sent_without_asking_is_not_run(self, roost: Instance, size: int) -> None:
        """What stands in the literal is never a command (the answer is one BAD or NO, or the connection ends)."""
        hidden = b"X LOGIN u1 pw\r\nX SELECT INBOX\r\n" * (size // 31) + b"-" * (size % 31)
        with unharmed(roost, deliver=False), RawClient(roost.imap_port) as client:
            client.line()
            said = client.talk(b"A LOGIN {%d+}\r\n%b pw\r\nB NOOP\r\n" % (len(hidden), hidden))
            assert said.startswith((b"A BAD ", b"* BYE "))
            assert b"X " not in said
        with selected(roost) as known:
            hidden = hidden.replace(b"LOGIN u1 pw", b"CREATE hid")
            said = known.talk(b"A SEARCH SUBJECT {%d+}\r\n%b\r\nB NOOP\r\n" % (len(hidden), hidden))
            assert b"X " not in said

    @pytest.mark.parametrize("size", [2**26 + 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**25])
    def test_far_too_big_without_asking_ends_the_connection(self, roost: Instance, size: int) -> None:
        """Nothing after it could be told apart from its octets."""
        for before_login in (True, False):
            with RawClient(roost.imap_port) if before_login else selected(roost) as client:
                if before_login:
                    client.line()
                command = b"A LOGIN" if before_login else b"A APPEND INBOX"
                said = client.talk(b"%b {%d+}\r\nX NOOP\r\n" % (command, size))
                assert b"* BYE " in said, said
                assert b"X " not in said

    def test_announced_and_never_sent(self, roost: Instance) -> None:
        """Memory is not reserved for what is only announced, and nothing is stored of what comes in part."""
        pid = only(roost, "imap")
        with unharmed(roost):
            before = rss_octets(pid)
            clients = [RawClient(roost.imap_port).login("u2") for _ in range(10)]
            for client in clients:
                client.send(b"A APPEND INBOX {50000000}\r\n")
                assert client.line().startswith(b"+ ")
                client.send(b"x" * 300_000)
            grown = rss_octets(pid) - before
            for client in clients:
                client.close()
        assert grown < 10 * MIB
        with RawClient(roost.imap_port).login("u2") as client:
            assert b"* 0 EXISTS" in client.command(b"A SELECT INBOX")

    def test_octet_by_octet(self, roost: Instance) -> None:
        """A literal that comes in single octets costs no more memory than one that comes whole."""
        pid = only(roost, "imap")
        size = 30_000
        with unharmed(roost), RawClient(roost.imap_port).login("u3") as client:
            client.send(b"A APPEND INBOX {%d}\r\n" % size)
            client.line()
            before = rss_octets(pid)
            for _ in range(size):
                client.sock.send(b"x")
            client.send(b"\r\n")
            grown = rss_octets(pid) - before
            assert client.line().startswith(b"A OK [APPENDUID ")
        assert grown < 2 * MIB

    def test_a_synchronising_literal_that_is_not_waited_for(self, roost: Instance) -> None:
        """The client sends on without our "+": octets are still cut as it counted them."""
        with selected(roost) as client:
            client.send(b"A SEARCH SUBJECT {3}\r\none\r\nB NOOP\r\n")
            assert client.line().startswith(b"+ ")
            assert client.line().startswith(b"* SEARCH ")
            assert client.line().startswith(b"A OK")
            assert client.line().startswith(b"B OK")


ODD = {
    "8-bit tag": (b"\x80\xff NOOP", b"* BAD "),
    "8-bit command": (b"A N\xd6OP", b"A BAD "),
    "8-bit atom": (b"A LOGIN \xff\xfe pw", b"A BAD "),
    "NUL tag": (b"\x00 NOOP", b"* BAD "),
    "NUL command": (b"A NO\x00OP", b"A BAD "),
    "NUL after command": (b"A NOOP\x00", b"A BAD "),
    "NUL in an atom": (b"A LOGIN u\x001 pw", b"A BAD "),
    "NUL in a quoted string": (b'A LOGIN "u\x001" pw', b"A BAD "),
    "CR in a line": (b"A NOOP\rB NOOP", b"A BAD "),
    "quoted string not closed": (b'A LOGIN "u1 pw', b"A BAD "),
    "backslash before nothing": (b'A LOGIN "u1\\', b"A BAD "),
    "no tag": (b" NOOP", b"* BAD "),
    "plus as tag": (b"+ NOOP", b"* BAD "),
    "star as tag": (b"* NOOP", b"* BAD "),
    "no command": (b"A", b"A BAD "),
    "spaces": (b"A   ", b"A BAD "),
    "escape": (b"\x1b[2J\x1b]0;x\x07 NOOP", b"* BAD "),
    "utf-16": ("A NOOP".encode("utf-16"), b"* BAD "),
}


class TestOctets:
    @pytest.mark.parametrize("name", ODD)
    def test_before_login(self, roost: Instance, name: str) -> None:
        line, answer = ODD[name]
        with RawClient(roost.imap_port) as client:
            client.line()
            client.send(line + b"\r\n")
            assert client.line().startswith(answer)
            goes_on(client)

    @pytest.mark.parametrize("name", ODD)
    def test_after_login(self, roost: Instance, name: str) -> None:
        line, answer = ODD[name]
        with selected(roost) as client:
            client.send(line.replace(b"LOGIN", b"LSUB") + b"\r\n")
            assert client.line().startswith(answer)
            goes_on(client)

    def test_in_names_passwords_and_needles(self, roost: Instance) -> None:
        """Literals may hold any octet; each is an answer, not an accident."""
        odd = (b"\x00", b"\xff\xfe", b"\x80" * 1000, b"a\r\nX NOOP\r\n", b"\t\x01\n", "ä".encode("latin-1"), b"")
        with unharmed(roost, deliver=False), selected(roost) as client:
            for value in odd:
                literal = b"{%d+}\r\n%b" % (len(value), value)
                for command in (b"SELECT %b", b"CREATE %b", b"DELETE %b", b"SUBSCRIBE %b", b"RENAME INBOX %b"):
                    assert client.command(b"A " + command % literal)[-1].split()[1] in (b"NO", b"BAD"), (command, value)
                client.command(b"S SELECT INBOX")
                for command in (
                    b"SEARCH SUBJECT %b",
                    b"SEARCH CHARSET %b ALL",
                    b'LIST "" %b',
                    b"LIST %b *",
                    b"LSUB %b %b",
                ):
                    last = client.command(b"A " + command.replace(b"%b", literal))[-1]
                    assert last.split()[1] in (b"OK", b"NO", b"BAD"), (command, value)
                goes_on(client)

    @pytest.mark.parametrize(
        "command",
        [
            b"FETCH 4294967295 FLAGS",
            b"FETCH 4294967296 FLAGS",
            b"FETCH 0 FLAGS",
            b"FETCH 1:4294967295 FLAGS",
            b"FETCH 99999999999999999999999 FLAGS",
            b"FETCH -1 FLAGS",
            b"FETCH " + b"1," * 15_000 + b"1 FLAGS",
            b"FETCH " + b"*:1," * 10_000 + b"1 FLAGS",
            b"UID FETCH 4294967295:1 FLAGS",
            b"UID FETCH " + b",".join(b"%d:4294967295" % n for n in range(1, 4000)) + b" FLAGS",
            b"FETCH 1 BODY[]<4294967295.4294967295>",
            b"FETCH 1 BODY[]<0.0>",
            b"FETCH 1 BODY[]<18446744073709551616.1>",
            b"FETCH 1 BODY[4294967296]",
            b"FETCH 1 BODY[0]",
            b"FETCH 1 (FLAGS) (CHANGEDSINCE 18446744073709551616)",
            b"FETCH 1 (FLAGS) (CHANGEDSINCE 9223372036854775807)",
            b"STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS ()",
            b"STORE 1 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)",
            b"STORE 1 +FLAGS (\\" + b"x" * 60_000 + b")",
            b"STORE 1 +FLAGS (" + b" ".join(b"k%d" % n for n in range(8000)) + b")",
            b"SEARCH LARGER 4294967296",
            b"SEARCH MODSEQ 9223372036854775808",
            b"SEARCH SINCE 31-Feb-99999",
            b"SEARCH SINCE 0-Jan-0000",
            b"SEARCH BEFORE 31-Dec-9999",
            b"SEARCH CHARSET utf-7 ALL",
            b"SEARCH CHARSET rot13 ALL",
            b'APPEND INBOX "99-Xxx-9999 99:99:99 +9999" {1+}\r\nx',
            b'APPEND INBOX "31-Dec-9999 23:59:59 -1200" {20+}\r\nSubject: future\r\n\r\n\r\n',
            b'APPEND INBOX " 1-Jan-0001 00:00:00 +1200" {20+}\r\nSubject: long ago\r\n\r\n',
            b'LIST "" "' + b"*%" * 20_000 + b'"',
            b'LIST "" "' + b"*a" * 20_000 + b'"',
            b"COPY 1:* " + b"x" * 60_000,
            b"ENABLE " + b"X " * 20_000 + b"X",
            b"ID (" + b'"k" "v" ' * 4000 + b")",
        ],
        ids=lambda command: command[:40].decode(),
    )
    def test_numbers_and_counts_at_their_edges(self, roost: Instance, command: bytes) -> None:
        pid = only(roost, "imap")
        with unharmed(roost, deliver=False), selected(roost, "u4") as client:
            before = cpu_secs(pid)
            assert client.command(b"A " + command)[-1].split()[1] in (b"OK", b"NO", b"BAD")
            assert cpu_secs(pid) - before < 2
            goes_on(client)

    def test_too_many_bad_commands_end_it(self, roost: Instance) -> None:
        with RawClient(roost.imap_port) as client:
            said = client.talk(b"A XYZ\r\n" * 1000)
            assert said.count(b" BAD ") == 3
            assert said.endswith(b"* BYE Too many invalid IMAP commands.\r\n")
        with selected(roost) as client:
            said = client.talk(b"A XYZ\r\n" * 1000)
            assert said.count(b" BAD ") == 20
            assert said.endswith(b"* BYE Too many invalid IMAP commands.\r\n")
