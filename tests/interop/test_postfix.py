"""The real Postfix delivers into Roost through the LMTP socket: everything arrives, also while workers are killed."""

from __future__ import annotations

import email
import imaplib
import os
import random
import signal
import smtplib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.instance import Instance
from kit.mail import letter
from kit.postfix import Postfix, missing
from kit.running import alive
from kit.wait import wait_for

pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing())]

CONF = """
auth_username_format = %{{user | username | lower}}
service lmtp {{
  process_min_avail = 2
  unix_listener {socket} {{
    mode = 0666
  }}
}}
"""
USERS = ("u1", "u2", "u3", "u4", "u5")
MESSAGES = 300


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Postfix, Instance]]:
    """Postfix, and Roost listening on the socket Postfix delivers to."""
    with Postfix() as postfix, Instance(tmp_path, CONF.format(socket=postfix.socket)) as instance:
        yield postfix, instance


def read_all(instance: Instance, user: str) -> list[bytes]:
    with imaplib.IMAP4("127.0.0.1", instance.imap_port) as client:
        client.login(user, "pw")
        client.select("INBOX", readonly=True)
        _, data = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        return [part[1] for part in data if isinstance(part, tuple)]


def message_ids(instance: Instance, user: str) -> Counter[str]:
    return Counter(str(email.message_from_bytes(body)["Message-ID"]) for body in read_all(instance, user))


def wait_until_empty(postfix: Postfix, deadline_secs: float) -> None:
    try:
        wait_for(lambda: postfix.queued() == 0, deadline_secs, "Postfix's queue to be empty")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{postfix.report()}") from None


def send(postfix: Postfix, numbers: range, expected: dict[str, set[str]]) -> None:
    """Messages of several kinds: one recipient, all recipients, big ones, dots, 8-bit, an unknown recipient."""
    dice = random.Random(numbers.start)
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        for number in numbers:
            recipients = USERS if number % 20 == 0 else (dice.choice(USERS),)
            body = f"line {number}\r\n.\r\n..two\r\nätna\r\n" * dice.choice((1, 1, 1, 40, 4000))
            addresses = [f"{user}+box{number}@example.org" for user in recipients]
            if number % 50 == 7:
                addresses.append("nobody@example.org")
            client.sendmail("sender@example.net", addresses, letter(number, body), ["BODY=8BITMIME"])
            for user in recipients:
                expected[user].add(f"<letter-{number}@example.org>")


def test_messages_arrive_once_and_whole(pair: tuple[Postfix, Instance]) -> None:
    postfix, instance = pair
    expected: dict[str, set[str]] = {user: set() for user in USERS}
    send(postfix, range(MESSAGES), expected)
    wait_until_empty(postfix, 90)
    for user in USERS:
        assert message_ids(instance, user) == Counter(expected[user])
    body = next(body for body in read_all(instance, "u1") if b"<letter-0@example.org>" in body)
    text = "line 0\r\n.\r\n..two\r\nätna\r\n".encode()
    assert body.startswith(b"Return-Path: <sender@example.net>\r\nDelivered-To: u1+box0@example.org\r\n")
    assert body.replace(text, b"").endswith(b"\r\n\r\n")
    assert body.count(text) in (1, 40, 4000)
    log = postfix.log_text()
    assert "status=deferred" not in log
    assert log.count("dsn=5.1.1, status=bounced") == len(range(7, MESSAGES, 50))


def test_nothing_is_lost_while_workers_are_killed(pair: tuple[Postfix, Instance]) -> None:
    postfix, instance = pair
    expected: dict[str, set[str]] = {user: set() for user in USERS}
    done = threading.Event()
    kills = 0

    def kill_at_random() -> None:
        nonlocal kills
        dice = random.Random(7)
        while not done.wait(dice.uniform(0.05, 0.3)):
            rows = [row for row in instance.processes("lmtp") if row.state != "starting" and alive(row.pid)]
            if rows:
                os.kill(dice.choice(rows).pid, signal.SIGKILL)
                kills += 1

    killer = threading.Thread(target=kill_at_random)
    killer.start()
    try:
        for start in range(0, MESSAGES, 50):
            send(postfix, range(start, start + 50), expected)
            wait_for(lambda: postfix.queued() < 100, 60)
    finally:
        done.set()
        killer.join()
    postfix.flush()
    wait_until_empty(postfix, 90)
    assert kills >= 3, "the workers were too quick to be hit: the test shows nothing"
    for user in USERS:
        found = message_ids(instance, user)
        assert set(found) == expected[user]
    assert "Traceback" not in instance.log_text()
