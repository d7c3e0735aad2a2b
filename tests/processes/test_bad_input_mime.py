"""Hostile messages: delivered by LMTP, then looked at in every way IMAP offers, while others are served.

What must hold for each: the processor time of both processes stays below 20 times what an ordinary message of that
size costs, plus a constant; replies are well-formed; the same question has the same answer every time, whoever asks
and whether the answer was stored or is worked out now; the octets come back as they went in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import pytest
from kit.bystander import ONE_WORKER, cpu_secs, only, rss_octets, unharmed
from kit.instance import Instance
from kit.rawclient import RawClient, lmtp

MIB = 1 << 20
FACTOR = 20
CONSTANT_SECS = 1.0  # clock ticks, the bystander's own commands, garbage collection
HEAD = b"From: Mallory <m@example.org>\r\nSubject: hostile\r\n"


def _nested(levels: int, kind: bytes, *, closed: bool) -> bytes:
    """``levels`` multiparts, each inside the one before."""
    lines = [HEAD]
    for level in range(levels):
        lines.append(b"Content-Type: multipart/%b; boundary=b%d\r\n\r\n--b%d\r\n" % (kind, level, level))
    lines.append(b"\r\nText.\r\n")
    if closed:
        lines += [b"--b%d--\r\n" % level for level in reversed(range(levels))]
    return b"".join(lines)


def _parts(count: int, body: bytes = b"\r\nx\r\n", boundary: bytes = b"b") -> bytes:
    start = HEAD + b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n" % boundary
    return start + (b"--%b\r\n%b" % (boundary, body)) * count + b"--%b--\r\n" % boundary


def _same_boundary_everywhere() -> bytes:
    """A hundred open multiparts with one boundary, and a line that looks like it again and again."""
    opening = b"".join(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" for _ in range(100))
    return HEAD + opening + b"--bx\r\n--b \tx\r\n" * 100_000


def _prefixes() -> bytes:
    """Boundaries that are beginnings of one another: each line is a candidate for all of them."""
    opening = b"".join(
        b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (b"a" * n, b"a" * n) for n in range(1, 91)
    )
    return HEAD + opening + (b"--" + b"a" * 91 + b"\r\n") * 10_000


HOSTILE: dict[str, Callable[[], bytes]] = {
    "10,000 parts": lambda: _parts(10_000),
    "200,000 parts": lambda: _parts(200_000, b"\r\n"),
    "10,000 attachments": lambda: _parts(
        10_000, b'Content-Type: image/png; name="a.png"\r\nContent-Disposition: attachment; filename=a.png\r\n\r\nx\r\n'
    ),
    "1,000 multiparts deep": lambda: _nested(1000, b"mixed", closed=True),
    "1,000 multiparts deep, not closed": lambda: _nested(1000, b"alternative", closed=False),
    "30,000 multiparts deep": lambda: _nested(30_000, b"mixed", closed=False),
    "1,000 digests deep": lambda: _nested(1000, b"digest", closed=True),
    "1,000 messages deep": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 1000 + HEAD + b"\r\nText.\r\n",
    "50,000 messages deep": lambda: b"Content-Type: message/rfc822\r\n\r\n" * 50_000,
    "messages in multiparts": lambda: (
        HEAD
        + b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\nContent-Type: message/rfc822\r\n\r\n" % (n, n)
            for n in range(5000)
        )
    ),
    "10,000 messages side by side": lambda: _parts(
        10_000, b"Content-Type: message/rfc822\r\n\r\nFrom: a@b\r\nTo: c@d, e@f\r\nSubject: x\r\n\r\nx\r\n"
    ),
    "one boundary for all": _same_boundary_everywhere,
    "boundaries with one beginning": _prefixes,
    "almost boundaries": lambda: _parts(1) + b"--b" * 300_000 + b"\r\n--b\t\t" * 100_000,
    "boundary of 5,000 octets": lambda: _parts(100, boundary=b"b" * 5000),
    "empty boundary": lambda: HEAD + b'Content-Type: multipart/mixed; boundary=""\r\n\r\n' + b"--\r\n" * 100_000,
    "header of 5 MB in one field": lambda: HEAD + b"X-Long: " + b"x" * 5 * MIB + b"\r\n\r\nText.\r\n",
    "header of 5 MB in short fields": lambda: HEAD + b"a:\r\n" * 1_300_000 + b"\r\nText.\r\n",
    "header of 5 MB, folded": lambda: HEAD + b"X-Folded:" + b" x\r\n" * 1_300_000 + b"\r\nText.\r\n",
    "header of 5 MB without fields": lambda: HEAD + b"no field here\r\n" * 350_000 + b"\r\nText.\r\n",
    "header without an end": lambda: HEAD + b"X-%d: y\r\n" * 200_000,
    "subject of 3 MB": lambda: b"Subject: " + b"x" * 3 * MIB + b"\r\n\r\nText.\r\n",
    "1,000 fields of one name": lambda: b"To: a@example.org\r\n" * 100_000 + b"\r\nText.\r\n",
    "100,000 addresses": lambda: HEAD + b"To: " + b"Ann <a@example.org>,\r\n " * 100_000 + b"b@c\r\n\r\nText.\r\n",
    "100,000 addresses in 8 fields": lambda: (
        b"".join(
            b"%b: " % name + b"a@b, " * 25_000 + b"c@d\r\n"
            for name in (b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc", b"Resent-To", b"Delivered-To")
        )
        + b"\r\nText.\r\n"
    ),
    "groups in groups": lambda: HEAD + b"To: " + b"g: a@b, " * 50_000 + b";" * 50_000 + b"\r\n\r\nText.\r\n",
    "comments in comments": lambda: HEAD + b"To: " + b"(" * 500_000 + b")" * 400_000 + b" a@b\r\n\r\nText.\r\n",
    "routes": lambda: HEAD + b"To: " + b"<@a,@b:" * 100_000 + b"\r\nCc: " + b"<" * 300_000 + b"\r\n\r\nText.\r\n",
    "quotes never closed": lambda: HEAD + b'To: "' + b'a\\" <b@c>, ' * 50_000 + b"\r\n\r\nText.\r\n",
    "backslashes": lambda: HEAD + b'To: "' + b"\\" * 500_001 + b"\r\nCc: (" + b"\\(" * 200_000 + b"\r\n\r\nText.\r\n",
    "empty local parts": lambda: b'From: ""@example.org\r\nTo: "" <@>, <>, @, a@, @b, ;:;, ""@""\r\n\r\nText.\r\n',
    "parameters by RFC 2231": lambda: (
        HEAD
        + b"Content-Type: text/plain"
        + b"".join(b"; name*%d*=utf-8''%%41" % n for n in range(100_000))
        + b"\r\n\r\nText.\r\n"
    ),
    "parameters of one name": lambda: HEAD + b"Content-Type: text/plain" + b"; a=b" * 300_000 + b"\r\n\r\nText.\r\n",
    "parameters never closed": lambda: (
        HEAD + b'Content-Type: text/plain; name="' + b'x\\"; a="' * 100_000 + b"\r\n\r\nText.\r\n"
    ),
    "comments in parameters": lambda: HEAD + b"Content-Type: text/(" + b"((" * 300_000 + b"plain\r\n\r\nText.\r\n",
    "disposition": lambda: HEAD + b"Content-Disposition: x" + b";filename*0=" * 100_000 + b"\r\n\r\nText.\r\n",
    "languages": lambda: HEAD + b"Content-Language: " + b"a, " * 300_000 + b"\r\n\r\nText.\r\n",
    "encoded words": lambda: b"Subject: " + b"=?utf-8?q?=41?= " * 60_000 + b"\r\n\r\nText.\r\n",
    "encoded words never closed": lambda: b"Subject: " + b"=?utf-8?b?" * 100_000 + b"\r\n\r\nText.\r\n",
    "question marks": lambda: (
        b"Subject: =?" + b"?" * 1_000_000 + b"\r\nFrom: =?x?q?" + b"=" * 500_000 + b"\r\n\r\n\r\n"
    ),
    "charsets": lambda: _parts(
        5000, b"Content-Type: text/plain; charset=x-none\r\nContent-Transfer-Encoding: base64\r\n\r\n////\r\n"
    ),
    "charset of 100 KB": lambda: b"Content-Type: text/plain; charset=" + b"x" * 100_000 + b"\r\n\r\n\xff\xfe\r\n",
    "codecs that are no charsets": lambda: _parts(
        500, b"Content-Type: text/plain; charset=idna\r\n\r\n" + b"a." * 2000 + b"\r\n"
    ),
    "base64 of rubbish": lambda: (
        HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"=*A\r\n" * 500_000
    ),
    "quoted-printable of rubbish": lambda: (
        HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=" * 2_000_000
    ),
    "one line of 5 MB": lambda: HEAD + b"\r\n" + b"x" * 5 * MIB,
    "NULs": lambda: HEAD + b"To: a\x00b@c\r\nX\x00: y\r\n\r\n" + b"\x00" * MIB,
    "bare CR and LF": lambda: b"From: a@b\rSubject: x\nTo: c@d\n\r\r\n\r\n" + b"\r" * 500_000 + b"\n" * 500_000,
    "8-bit": lambda: bytes(range(128, 256)) * 20 + b": x\r\nSubject: \xff\xfe\r\nTo: \xe4@\xf6\r\n\r\n" + b"\xff" * MIB,
    "html": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<" * 500_000 + b"<a " * 200_000 + b"&" * 300_000,
    "escape sequences": lambda: (
        HEAD + b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + b"\x1b$B\x1b(B" * 100_000 + b"\x1b" * 100_000
    ),
    "references": lambda: b"Message-ID: <" + b"<" * 100_000 + b"\r\nReferences: " + b"<a@b> " * 200_000 + b"\r\n\r\n",
    "dates": lambda: b"Date: " + b"(" * 100_000 + b" Mon, 1 Jan 99999999999999999999 99:99:99\r\n\r\nText.\r\n",
    "empty": lambda: b"\r\n",
    "nothing but ends of lines": lambda: b"\r\n" * 500_000,
}


def ordinary(size: int) -> bytes:
    """A message of about ``size`` octets as people send them."""
    line = b"The quick brown fox jumps over the lazy dog, and the dog sleeps on it.\r\n"
    text = line * (size // len(line) + 1)
    return (
        b"From: Ada <ada@example.org>\r\nTo: Bob <b@example.org>, Eve <e@example.org>\r\nSubject: ordinary\r\n"
        b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n--=_b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'
        + text[: len(text) // 2]
        + b"\r\n--=_b\r\nContent-Type: text/html\r\n\r\n"
        + text[len(text) // 2 :]
        + b"\r\n--=_b--\r\n"
    )


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("roost"), ONE_WORKER) as instance:
        yield instance


QUESTIONS = (
    b"FETCH 1 (ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE)",
    b"FETCH 1 (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT)] BODY.PEEK[HEADER.FIELDS.NOT (X-LONG)]<0.1000>)",
    b"FETCH 1 (BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2] BODY.PEEK[1.1.1.1.1] BODY.PEEK[1.HEADER])",
    b"FETCH 1 (BODY.PEEK[" + b"1." * 300 + b"1]<0.100>)",
    b"FETCH 1 (BODY.PEEK[9999] BODY.PEEK[TEXT]<0.100>)",
    b"SEARCH SUBJECT hostile",
    b"SEARCH FROM mallory TO a@example.org",
    b"SEARCH HEADER X-Folded x",
    b"SEARCH BODY nowhere-to-be-found",
    b"SEARCH TEXT nowhere-to-be-found",
    b"SEARCH SENTSINCE 1-Jan-2020",
)


def ask(client: RawClient, question: bytes) -> bytes:
    """The whole answer to a command, literals too; the tagged line says OK."""
    client.send(b"Q " + question + b"\r\n")
    while not re.search(rb"(?:\A|\r\n)Q (?:OK|NO|BAD) [^\r\n]*\r\n\Z", client.buffer[-300:]):
        assert client.more(), f"closed after {client.buffer[-300:]!r}"
    answer, client.buffer = client.buffer, b""
    assert re.search(rb"(?:\A|\r\n)Q OK [^\r\n]*\r\n\Z", answer), answer[-300:]
    return answer


def check_wellformed(answer: bytes) -> None:
    """Parentheses, quoted strings and literals of a FETCH answer fit together; nothing else is in a line."""
    token = re.compile(rb'[()]|"(?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*+"|\{(\d+)\}\r\n|[^()" {\r\n\x00\x80-\xff]+| |\r\n')
    at = depth = 0
    while at < len(answer):
        match = token.match(answer, at)
        assert match is not None, f"{answer[max(at - 50, 0) : at]!r} >>> {answer[at : at + 50]!r}"
        at = match.end()
        if match[1] is not None:
            at += int(match[1])
            assert at <= len(answer)
        elif match[0] == b"(":
            depth += 1
        elif match[0] == b")":
            depth -= 1
        elif match[0] == b"\r\n":
            assert depth == 0, answer[:at][-100:]
    assert depth == 0


def examine(roost: Instance, user: str, message: bytes) -> tuple[float, list[bytes]]:
    """Deliver, ask everything at once and again later. Returns processor seconds of both processes, and the answers."""
    pids = (only(roost, "imap"), only(roost, "lmtp"))
    before = sum(map(cpu_secs, pids))
    with lmtp(roost.lmtp_socket, recipients=(f"{user}@example.org",)) as mta:
        mta.send(re.sub(rb"(?m)^\.", b"..", message) + (b"" if message.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        reply = mta.reply()
        assert reply.startswith(b"250 "), reply
    with RawClient(roost.imap_port).login(user) as client:
        client.command(b"S SELECT INBOX")
        answers = [ask(client, question) for question in QUESTIONS]
        spent = sum(map(cpu_secs, pids)) - before
        stored = ask(client, b"FETCH 1 BODY.PEEK[]")
        for question, answer in zip(QUESTIONS, answers, strict=True):
            assert ask(client, question) == answer, f"{question!r} has two answers"
        client.command(b"D STORE 1 +FLAGS.SILENT (\\Deleted)")
    _same_when_appended(roost, user, answers, stored)
    with RawClient(roost.imap_port).login(user) as client:
        client.command(b"S SELECT INBOX")
        client.command(b"X EXPUNGE")
    for answer in answers:
        check_wellformed(answer.rpartition(b"Q OK ")[0])
    if not re.search(rb"\r(?!\n)|(?<!\r)\n", message):
        octets = stored.partition(b"}\r\n")[2].rpartition(b")\r\nQ OK")[0]
        assert octets.removesuffix(b"\r\n").endswith(message.removesuffix(b"\r\n")), "other octets came back"
    return spent, answers


def _same_when_appended(roost: Instance, user: str, answers: list[bytes], stored: bytes) -> None:
    """The stored octets, put by another session and looked at before anybody could have stored an answer."""
    octets = stored.partition(b"}\r\n")[2].rpartition(b")\r\nQ OK")[0]
    with RawClient(roost.imap_port).login(user) as client:
        client.command(b"D DELETE Copy")
        client.command(b"C CREATE Copy")
        client.send(b"A APPEND Copy {%d+}\r\n%b\r\nE SELECT Copy\r\n" % (len(octets), octets))
        client.until(b"E")
        for question, answer in zip(QUESTIONS, answers, strict=True):
            assert ask(client, question) == answer, f"{question!r} has another answer for the same octets"


_costs: dict[int, float] = {}


def ordinary_secs(roost: Instance, size: int) -> float:
    """What an ordinary message of this size (rounded up) costs; measured once for each size."""
    rounded = 1 << max(size - 1, 1 << 16).bit_length()
    if rounded not in _costs:
        _costs[rounded] = examine(roost, "u1", ordinary(rounded))[0]
    return _costs[rounded]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages(roost: Instance, name: str) -> None:
    message = HOSTILE[name]()
    allowed = FACTOR * ordinary_secs(roost, len(message)) + CONSTANT_SECS
    with unharmed(roost):
        spent, _ = examine(roost, "u2", message)
    assert spent < allowed, f"{spent:.2f} s of processor time for {len(message)} octets"


class TestManyOfThem:
    """A mailbox full of hostile letters: each one is bounded, and so are all together."""

    def test_others_are_served_while_they_are_parsed(self, roost: Instance) -> None:
        """Read at once after they came, so that nothing is worked out yet."""
        letters = [HOSTILE[name]()[:250_000] + b"\r\n" for name in HOSTILE] * 2
        append = b"A APPEND INBOX" + b"".join(b" {%d+}\r\n%b" % (len(each), each) for each in letters)
        with unharmed(roost) as bystander, RawClient(roost.imap_port).login("u3") as client:
            client.command(b"S SELECT INBOX")
            client.send(append + b"\r\n")
            assert client.until(b"A")[-1].startswith(b"A OK")
            for question in (b"FETCH 1:* (ENVELOPE BODYSTRUCTURE)", b"SEARCH SUBJECT hostile FROM mallory"):
                rounds, begin = bystander.rounds, time.monotonic()
                ask(client, question)
                # A question that takes a second must leave others some turns; one that takes none owes none.
                owed = int((time.monotonic() - begin) * 4)
                assert bystander.rounds >= rounds + owed, f"nobody else was served during {question!r}"

    @pytest.mark.parametrize(
        "items", [b"ENVELOPE", b"BODY.PEEK[HEADER.FIELDS (SUBJECT)]", b"BODY.PEEK[HEADER.FIELDS (X-A)]"]
    )
    def test_memory_for_long_headers(self, roost: Instance, items: bytes) -> None:
        """60 letters with a field of 2 MB each: a few are in memory at a time."""
        pid = only(roost, "imap")
        letter = b"Subject: " + b"s" * 2 * MIB + b"\r\nX-A: " + b"a" * 2 * MIB + b"\r\n\r\nText.\r\n"
        user = "u4"
        with unharmed(roost), RawClient(roost.imap_port).login(user) as client:
            with lmtp(roost.lmtp_socket) as mta:
                while b"* 60 EXISTS" not in client.command(b"S SELECT INBOX"):
                    mta.say(b"MAIL FROM:<>", b"RCPT TO:<u4@example.org>", b"DATA")
                    mta.send(letter + b".\r\n")
                    assert mta.reply().startswith(b"250 ")
            before = peak = rss_octets(pid)
            client.send(b"Q FETCH 1:* (%b)\r\n" % items)
            end = b""
            while not re.search(rb"\r\nQ OK [^\r\n]*\r\n\Z", end):
                assert client.more()
                end, client.buffer = (end + client.buffer)[-300:], b""
                peak = max(peak, rss_octets(pid))
            assert peak - before < 40 * MIB
