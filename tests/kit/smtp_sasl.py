"""SMTP AUTH spoken by hand: every mechanism our server can serve an MTA with, and what a rude client sends."""

from __future__ import annotations

import base64
import smtplib
import ssl
from collections.abc import Callable, Sequence

from kit.sasl_client import ScramClient, cram_md5

OK, FAILED, ABORTED, TEMPORARY = 235, 535, 501, 454
CONTINUE = 334
TIMEOUT_SECS = 60

Answer = Callable[[bytes], bytes]
Reply = tuple[int, str]


def connect(port: int, ca_file: str = "") -> smtplib.SMTP:
    """After EHLO; with ``ca_file`` also after STARTTLS."""
    client = smtplib.SMTP("127.0.0.1", port, "client.example.net", timeout=TIMEOUT_SECS)
    client.ehlo()
    if ca_file:
        context = ssl.create_default_context(cafile=ca_file)
        client._host = "localhost"  # type: ignore[attr-defined]  # whose name the certificate must bear
        client.starttls(context=context)
        client.ehlo()
    return client


def offered(client: smtplib.SMTP) -> set[str]:
    """The mechanisms EHLO names."""
    return set(client.esmtp_features.get("auth", "").split())


def command(client: smtplib.SMTP, line: str) -> Reply:
    code, text = client.docmd(line)
    return code, text.decode("utf-8", "replace")


def exchange(client: smtplib.SMTP, mechanism: str, initial: bytes | None, answers: Sequence[Answer] = ()) -> Reply:
    """One AUTH; the reply that is no challenge any more (or a challenge nobody has an answer for)."""
    shown = "" if initial is None else " " + (base64.b64encode(initial).decode() or "=")
    code, text = command(client, f"AUTH {mechanism}{shown}")
    for answer in answers:
        if code != CONTINUE:
            break
        data = answer(base64.b64decode(text))
        code, text = command(client, base64.b64encode(data).decode())
    return code, text


def login(client: smtplib.SMTP, mechanism: str, user: str, password: str) -> Reply:
    """Authenticate by any mechanism."""
    name, secret = user.encode(), password.encode()
    if mechanism == "PLAIN":
        return exchange(client, mechanism, b"\0%b\0%b" % (name, secret))
    if mechanism == "LOGIN":
        return exchange(client, mechanism, None, [lambda _: name, lambda _: secret])
    if mechanism == "CRAM-MD5":
        return exchange(client, mechanism, None, [lambda challenge: cram_md5(name, secret, challenge)])
    scram = ScramClient("sha256" if mechanism.endswith("256") else "sha1", name, secret)
    proved: list[bool] = []

    def last(words: bytes) -> bytes:
        proved.append(scram.accepts(words))
        return b""

    reply = exchange(client, mechanism, scram.first(), [scram.final, last])
    assert reply[0] != OK or proved == [True], "the server has not proved itself"
    return reply
