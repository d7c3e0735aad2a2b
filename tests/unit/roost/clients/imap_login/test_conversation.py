"""The login conversation: what is sent, what answers mean, and servers that lie."""

from __future__ import annotations

import base64
import random

import pytest

from roost.clients.imap_login.conversation import (
    MAX_TOTAL_OCTETS,
    Finished,
    LoginConversation,
    LoginResult,
    Send,
    StartTls,
    Step,
)
from roost.util.secret import Secret

PLAIN = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n"
LOGIN = b"* OK [CAPABILITY IMAP4rev1] hello\r\n"
USER, PASSWORD = b"alice", b"wonderland"


def begin(user: bytes = USER, password: bytes = PASSWORD, *, starttls: bool = False) -> LoginConversation:
    return LoginConversation(user, Secret(password), starttls=starttls)


def sent(steps: list[Step]) -> bytes:
    return b"".join(step.data for step in steps if isinstance(step, Send))


def end(steps: list[Step]) -> Finished:
    (finished,) = (step for step in steps if isinstance(step, Finished))
    return finished


def message(user: bytes = USER, password: bytes = PASSWORD) -> bytes:
    return base64.b64encode(b"\0" + user + b"\0" + password)


def test_plain_with_an_initial_response() -> None:
    one = begin()
    assert sent(one.feed(PLAIN)) == b"A1 AUTHENTICATE PLAIN " + message() + b"\r\n"
    assert end(one.feed(b"* CAPABILITY IMAP4rev1\r\nA1 OK done\r\n")) == Finished(LoginResult.OK)


def test_plain_without() -> None:
    one = begin()
    assert sent(one.feed(b"* OK hello\r\n")) == b"A1 CAPABILITY\r\n"
    assert sent(one.feed(b"* CAPABILITY IMAP4rev1 auth=plain\r\nA1 OK x\r\n")) == b"A2 AUTHENTICATE PLAIN\r\n"
    assert sent(one.feed(b"+ \r\n")) == message() + b"\r\n"
    assert end(one.feed(b"A2 NO [AUTHENTICATIONFAILED] no\r\n")).result is LoginResult.REFUSED


@pytest.mark.parametrize(
    ("user", "password", "wanted"),
    [
        (b"alice", b"pw", [b'A1 LOGIN "alice" "pw"\r\n']),
        (b'a"l\\ice', b"p w{5}", [b'A1 LOGIN "a\\"l\\\\ice" "p w{5}"\r\n']),
        (b"al\r\nA9 DELETE x", b"pw", [b"A1 LOGIN {15}\r\n", b'al\r\nA9 DELETE x "pw"\r\n']),
        (b"alice", b"p\r\n", [b'A1 LOGIN "alice" {3}\r\n', b"p\r\n\r\n"]),
        ("käse".encode(), b"\xff", [b"A1 LOGIN {5}\r\n", "käse".encode() + b" {1}\r\n", b"\xff\r\n"]),
        (b"a" * 201, b"pw", [b"A1 LOGIN {201}\r\n", b"a" * 201 + b' "pw"\r\n']),
    ],
)
def test_login_with_quoted_strings_and_literals(user: bytes, password: bytes, wanted: list[bytes]) -> None:
    one = begin(user, password)
    said = [sent(one.feed(LOGIN))]
    while len(said) < len(wanted):
        said.append(sent(one.feed(b"+ go on\r\n")))
    assert said == wanted
    assert end(one.feed(b"A1 OK in\r\n")).result is LoginResult.OK


def test_login_with_literals_that_wait_for_nothing() -> None:
    one = begin(b"a\nb", b"\xff")
    assert sent(one.feed(b"* OK [CAPABILITY IMAP4rev1 LITERAL+] x\r\n")) == b"A1 LOGIN {3+}\r\na\nb {1+}\r\n\xff\r\n"
    one = begin(b"a\nb", b"\xff" * 5000)
    first = sent(one.feed(b"* OK [CAPABILITY IMAP4rev1 LITERAL-] x\r\n"))
    assert first == b"A1 LOGIN {3+}\r\na\nb {5000}\r\n"


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (b"NO no", LoginResult.REFUSED),
        (b"NO", LoginResult.REFUSED),
        (b"NO [AUTHENTICATIONFAILED] no", LoginResult.REFUSED),
        (b"no [authorizationfailed] no", LoginResult.REFUSED),
        (b"NO [ALERT] no", LoginResult.REFUSED),
        (b"NO [EXPIRED] old", LoginResult.EXPIRED),
        (b"NO [UNAVAILABLE] later", LoginResult.UNKNOWN),
        (b"NO [INUSE] later", LoginResult.UNKNOWN),
        (b"NO [LIMIT] later", LoginResult.UNKNOWN),
        (b"NO [PRIVACYREQUIRED] tls", LoginResult.UNKNOWN),
        (b"BAD what", LoginResult.UNKNOWN),
        (b"OK", LoginResult.OK),
        (b"OK [CAPABILITY IMAP4rev1 x] in", LoginResult.OK),
        (b"PREAUTH x", LoginResult.UNKNOWN),
        (b"OKAY", LoginResult.UNKNOWN),
        (b"", LoginResult.UNKNOWN),
    ],
)
def test_what_answers_mean(answer: bytes, result: LoginResult) -> None:
    one = begin()
    one.feed(PLAIN)
    assert end(one.feed(b"A1 " + answer + b"\r\n")).result is result


LIES = [
    b"* PREAUTH you are in\r\n",
    b"* BYE no\r\n",
    b"* NO no\r\n",
    b"220 mail ESMTP\r\n",
    b"+OK POP3\r\n",
    b"A1 OK\r\n",
    b"* OK [CAPABILITY IMAP2] old\r\n",
    b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] x\r\n",
    b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\nA1 OK\r\n",
    b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\nA2 OK\r\n",
    b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\nA0 OK\r\n",
    b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\n+ more\r\n",
    b"* OK [CAPABILITY IMAP4rev1] x\r\n+ more\r\n",
    b"* OK x\r\nA1 NO\r\n",
    b"* OK x\r\nA1 OK\r\n",
    b"* OK " + b"x" * 20_000,
    b"* OK {999999999}\r\n",
    b"* OK {3}\r\nabc" * 10_000,
    b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] x\r\n" + b"* x\r\n" * 60_000,
]


@pytest.mark.parametrize("said", LIES, ids=range(len(LIES)))
def test_servers_that_lie_never_let_anybody_in(said: bytes) -> None:
    one = begin()
    steps = one.feed(said)
    if not any(isinstance(step, Finished) for step in steps):
        steps += one.feed(b"x" * MAX_TOTAL_OCTETS)
    assert end(steps).result is LoginResult.UNKNOWN
    assert one.closed().result is LoginResult.UNKNOWN


def test_an_ok_before_the_password_counts_for_nothing() -> None:
    one = begin(b"a\r\n", b"b\r\n")
    one.feed(LOGIN)
    assert end(one.feed(b"A1 OK in\r\n")).result is LoginResult.UNKNOWN


def test_starttls_comes_first_and_forgets() -> None:
    one = begin(starttls=True)
    assert sent(one.feed(PLAIN)) == b"A1 STARTTLS\r\n"
    assert one.feed(b"A1 OK go\r\n") == [StartTls()]
    assert sent(one.secured()) == b"A2 CAPABILITY\r\n"
    steps = one.feed(b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nA2 OK\r\n")
    assert "LOGINDISABLED" in end(steps).why


@pytest.mark.parametrize("answer", [b"A1 NO no\r\n", b"A1 BAD no\r\n", b"* BYE\r\n", b"+ x\r\n"])
def test_without_starttls_nothing_secret_is_said(answer: bytes) -> None:
    one = begin(starttls=True)
    steps = one.feed(PLAIN)
    steps += one.feed(answer)
    assert end(steps).result is LoginResult.UNKNOWN
    assert message() not in sent(steps) and PASSWORD not in sent(steps)


@pytest.mark.parametrize("late", [False, True])
def test_octets_put_in_before_tls_end_it(late: bool) -> None:
    injected = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nA2 OK\r\n"
    one = begin(starttls=True)
    one.feed(PLAIN)
    steps = one.feed(b"A1 OK go\r\n" + (b"" if late else injected))
    if late:
        steps = one.feed(injected)
    assert end(steps).result is LoginResult.UNKNOWN
    assert StartTls() not in steps


def test_octet_by_octet_and_at_random_cuts() -> None:
    script = (
        b"* OK hel{3}\r\nlo\r there\r\n",
        b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\n* x {2+}\r\nab c\r\nA1 OK x\r\n",
        b"+ \r\n",
        b"* FLAGS ()\r\nA2 OK in\r\n",
    )
    chance = random.Random(5)
    for size in (1, 2, 3, 0, 0, 0, 0):
        one = begin()
        steps: list[Step] = []
        for text in script:
            rest = text
            while rest:
                cut = size or chance.randint(1, 9)
                steps += one.feed(rest[:cut])
                rest = rest[cut:]
        assert end(steps).result is LoginResult.OK
        assert sent(steps) == b"A1 CAPABILITY\r\nA2 AUTHENTICATE PLAIN\r\n" + message() + b"\r\n"


def test_random_octets_let_nobody_in() -> None:
    chance = random.Random(7)
    words = [
        b"* ",
        b"OK",
        b"NO",
        b"[",
        b"]",
        b"CAPABILITY ",
        b"{5}",
        b"\r\n",
        b"A2 ",
        b"+",
        b"\x00",
        b"IMAP4rev1",
        b"BYE",
    ]
    for _ in range(500):
        one = begin()
        steps = one.feed(b"".join(chance.choice(words) for _ in range(40)))
        assert all(not isinstance(step, Finished) or step.result is not LoginResult.OK for step in steps)


def test_a_server_that_repeats_the_password_does_not_get_it_into_the_log() -> None:
    for echo in (PASSWORD, message(), base64.b64encode(PASSWORD)):
        one = begin()
        one.feed(PLAIN)
        why = end(one.feed(b"A1 NO not " + echo + b"!\r\n")).why
        assert echo.decode() not in why
    assert PASSWORD.decode() not in repr(begin().feed(LOGIN))
