"""Messages into mailboxes: one reply a recipient, in order, after the commit; what fails is told by class."""

from __future__ import annotations

import asyncio

import pytest
from kit.lmtp_memory import MemoryLmtp

from roost.errors import (
    Corrupt,
    LimitExceeded,
    MailboxInUse,
    NoSuchMailbox,
    OverQuota,
    PermissionDenied,
    ReadOnly,
    Refused,
    TooBig,
    Unavailable,
)

U1, U2, U3 = "u1@example.org", "u2@example.org", "u3@example.org"
BODY = b"Message-ID: <m1@x>\r\nSubject: hi\r\n\r\nhello\r\n"


def test_fields_are_prepended(lmtp: MemoryLmtp) -> None:
    client = lmtp.client(("192.0.2.7", 40000))
    client.begin(U1)
    assert client.send(b"DATA\r\n") == b"354 OK\r\n"
    assert client.send(BODY + b".\r\n") == b"250 2.0.0 <u1@example.org> S1 Saved\r\n"
    assert lmtp.messages(U1) == [
        b"Return-Path: <s@example.org>\r\n"
        b"Delivered-To: u1@example.org\r\n"
        b"Received: from client.example ([192.0.2.7])\r\n"
        b"\tby host.example with LMTP\r\n"
        b"\tid S1\r\n"
        b"\t(envelope-from <s@example.org>)\r\n"
        b"\tfor <u1@example.org>; Tue, 01 Jul 2025 10:00:00 +0000\r\n" + BODY
    ]


def test_log_line(lmtp: MemoryLmtp) -> None:
    client = lmtp.client()
    client.begin(U1)
    client.send(b"DATA\r\n" + BODY + b".\r\n")
    assert "lmtp(u1@example.org)<9><S1>: msgid=<m1@x>: saved mail to INBOX" in lmtp.sink.texts("I")


def test_second_transaction_has_its_own_id(lmtp: MemoryLmtp) -> None:
    client = lmtp.client()
    client.begin(U1)
    client.send(b"DATA\r\n" + BODY + b".\r\n")
    client.send(b"MAIL FROM:<>\r\nRCPT TO:<u2@example.org>\r\nDATA\r\n")
    assert client.send(b"x\r\n.\r\n") == b"250 2.0.0 <u2@example.org> S1:2 Saved\r\n"
    (message,) = lmtp.messages(U2)
    assert message.startswith(b"Return-Path: <>\r\n")
    assert b"\tid S1:2\r\n" in message


def test_several_recipients_each_get_their_own_copy(lmtp: MemoryLmtp) -> None:
    client = lmtp.client()
    client.begin(U1, "nobody@example.org", U2, U3)
    assert client.send(b"DATA\r\n" + BODY + b".\r\n") == (
        b"354 OK\r\n"
        b"250 2.0.0 <u1@example.org> S1 Saved\r\n"
        b"250 2.0.0 <u2@example.org> S1 Saved\r\n"
        b"250 2.0.0 <u3@example.org> S1 Saved\r\n"
    )
    for user in (U1, U2, U3):
        (message,) = lmtp.messages(user)
        assert f"Delivered-To: {user}\r\n".encode() in message
        assert b"for <" not in message
        assert message.endswith(BODY)
        others = {U1, U2, U3} - {user}
        assert not any(other.encode() in message for other in others)


def test_replies_wait_for_those_before_and_each_for_its_commit(lmtp: MemoryLmtp) -> None:
    lmtp.gates = {U1: asyncio.Event(), U3: asyncio.Event()}
    client = lmtp.client()
    client.begin(U1, U2, U3)
    client.send(b"DATA\r\n")
    assert client.send(BODY + b".\r\n") == b""
    assert lmtp.saved == [U2]  # durable, but the first recipient's reply comes first
    assert sorted(lmtp.saving) == [U1, U2, U3]  # all at once
    lmtp.gates[U1].set()
    assert client.take() == (b"250 2.0.0 <u1@example.org> S1 Saved\r\n250 2.0.0 <u2@example.org> S1 Saved\r\n")
    assert client.send(b"NOOP\r\n") == b""
    lmtp.gates[U3].set()
    assert client.take() == b"250 2.0.0 <u3@example.org> S1 Saved\r\n250 2.0.0 OK\r\n"


def test_deliveries_of_one_message_are_bounded(make: type[MemoryLmtp]) -> None:
    lmtp = make()
    lmtp.users |= {f"n{i}@x": f"n{i}@x" for i in range(50)}
    lmtp.gates = {f"n{i}@x": asyncio.Event() for i in range(50)}
    client = lmtp.client()
    client.begin(*(f"n{i}@x" for i in range(50)))
    client.send(b"DATA\r\n")
    client.send(BODY + b".\r\n")
    assert len(lmtp.saving) == 8
    for gate in lmtp.gates.values():
        gate.set()
    replies = client.take().split(b"\r\n")[:-1]
    assert replies == [b"250 2.0.0 <n%d@x> S1 Saved" % i for i in range(50)]


ERRORS = [
    (OverQuota("Quota exceeded"), b"552 5.2.2"),
    (TooBig("too big"), b"552 5.3.4"),
    (Unavailable("down", detail="/secret/path"), b"451 4.3.0"),
    (Corrupt("broken", detail="/secret/path"), b"451 4.3.0"),
    (PermissionDenied("no"), b"451 4.3.0"),
    (ReadOnly("no"), b"451 4.2.0"),
    (MailboxInUse("busy"), b"451 4.2.0"),
    (LimitExceeded("limit"), b"451 4.2.0"),
    (NoSuchMailbox("gone"), b"451 4.2.0"),
    (Refused("not wanted"), b"550 5.7.0"),
    (RuntimeError("a bug with /secret/path"), b"451 4.3.0"),
    (OSError(28, "No space left on device"), b"451 4.3.0"),
]


@pytest.mark.parametrize(("error", "reply"), ERRORS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("others", [0, 1])
def test_errors_of_the_store(lmtp: MemoryLmtp, error: Exception, reply: bytes, others: int) -> None:
    lmtp.faults[U1] = error
    client = lmtp.client()
    client.begin(U1, *[U2][:others])
    answer = client.send(b"DATA\r\n" + BODY + b".\r\n")
    lines = answer.split(b"\r\n")
    assert lines[1].startswith(reply + b" <u1@example.org> ")
    assert b"/secret" not in answer
    if others:
        assert lines[2] == b"250 2.0.0 <u2@example.org> S1 Saved"
    assert client.send(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
    assert lmtp.messages(U1) == []
    log = "\n".join(text for _, text in lmtp.sink.rows)
    assert "msgid=<m1@x>: save failed to INBOX: " in log
    if isinstance(error, RuntimeError):
        assert "Traceback" in log


def test_quota_full_tempfail(make: type[MemoryLmtp]) -> None:
    lmtp = make(quota_full_tempfail=True)
    lmtp.faults[U1] = OverQuota("Quota exceeded")
    client = lmtp.client()
    client.begin(U1)
    assert b"\r\n452 4.2.2 <u1@example.org> " in client.send(b"DATA\r\n" + BODY + b".\r\n")


def test_verbose_replies(make: type[MemoryLmtp]) -> None:
    lmtp = make(lmtp_verbose_replies=True)
    lmtp.faults[U1] = Unavailable("down", detail="disk /dev/x\r\n250 fine")
    client = lmtp.client()
    client.begin(U1)
    answer = client.send(b"DATA\r\n" + BODY + b".\r\n")
    assert b"451 4.3.0 <u1@example.org> down (disk /dev/x??250 fine)\r\n" in answer


def test_store_does_not_open_for_an_only_recipient(lmtp: MemoryLmtp) -> None:
    lmtp.open_faults[U1] = Unavailable("down")
    client = lmtp.client()
    client.begin(U1)
    assert client.send(b"DATA\r\n").startswith(b"451 4.3.0 ")
    assert client.send(b"MAIL FROM:<>\r\n") == b"250 2.1.0 OK\r\n"


def test_store_does_not_open_for_one_of_two(lmtp: MemoryLmtp) -> None:
    lmtp.open_faults[U1] = Unavailable("down")
    client = lmtp.client()
    client.begin(U1, U2)
    answer = client.send(b"DATA\r\n" + BODY + b".\r\n").split(b"\r\n")
    assert answer[0] == b"354 OK"
    assert answer[1].startswith(b"451 4.3.0 <u1@example.org> ")
    assert answer[2] == b"250 2.0.0 <u2@example.org> S1 Saved"


@pytest.mark.parametrize("recipients", [(U1,), (U1, U2)])
@pytest.mark.parametrize("fails_after", [0, 450, 5000])
def test_disk_is_full(lmtp: MemoryLmtp, recipients: tuple[str, ...], fails_after: int) -> None:
    """The message is read to its end, every recipient told to come back; the connection goes on."""
    lmtp.upload_faults[U1] = fails_after
    client = lmtp.client()
    client.begin(*recipients)
    client.send(b"DATA\r\n")
    client.feed(b"x" * 998 + b"\r\n")
    client.feed((b"x" * 998 + b"\r\n") * 20)
    answer = client.send(b".\r\nNOOP\r\n").split(b"\r\n")
    for line, recipient in zip(answer, recipients, strict=False):
        assert line.startswith(b"451 4.3.0 <" + recipient.encode())
    assert answer[len(recipients)] == b"250 2.0.0 OK"
    assert lmtp.messages(U1) == lmtp.messages(U2) == []


class TestSize:
    def test_announced(self, make: type[MemoryLmtp]) -> None:
        client = make(max_message_octets=5000).client()
        assert b"250 SIZE 5000\r\n" in client.begin(mail=" SIZE=5000")
        client.send(b"RSET\r\n")
        assert client.send(b"MAIL FROM:<> SIZE=5001\r\n").startswith(b"552 5.3.4 ")
        assert client.send(b"MAIL FROM:<>\r\n").startswith(b"250 ")

    @pytest.mark.parametrize("recipients", [(U1,), (U1, U2)])
    def test_unannounced_is_read_to_its_end_and_not_kept(
        self, make: type[MemoryLmtp], recipients: tuple[str, ...]
    ) -> None:
        lmtp = make(max_message_octets=5000)
        client = lmtp.client()
        client.begin(*recipients)
        client.send(b"DATA\r\n")
        for _ in range(100):
            client.feed(b"x" * 998 + b"\r\n")
        transaction = next(iter(lmtp.connections)).session.transaction  # type: ignore[union-attr]
        assert transaction is not None
        assert transaction.spool is not None
        assert transaction.spool.upload is None
        answer = client.send(b".\r\nNOOP\r\n").split(b"\r\n")
        for line, recipient in zip(answer, recipients, strict=False):
            assert line.startswith(b"552 5.3.4 <" + recipient.encode())
        assert answer[len(recipients)] == b"250 2.0.0 OK"
        assert lmtp.messages(U1) == []

    def test_no_limit(self, make: type[MemoryLmtp]) -> None:
        assert b"250 SIZE\r\n" in make(max_message_octets=None).client().begin()


class TestDetail:
    DETAILED = b"RCPT TO:<u1+Lists@example.org>\r\n"

    def deliver(self, lmtp: MemoryLmtp, rcpt: bytes = DETAILED) -> bytes:
        client = lmtp.client()
        client.begin()
        return client.send(rcpt + b"DATA\r\n" + BODY + b".\r\n")

    def test_goes_to_inbox_by_default(self, lmtp: MemoryLmtp) -> None:
        lmtp.make_mailbox(U1, "Lists")
        assert b"250 2.0.0 <u1+Lists@example.org> S1 Saved\r\n" in self.deliver(lmtp)
        assert lmtp.lookups[0][0] == U1
        assert b"Delivered-To: u1+Lists@example.org\r\n" in lmtp.messages(U1)[0]

    def test_to_its_mailbox(self, make: type[MemoryLmtp]) -> None:
        lmtp = make(lmtp_save_to_detail_mailbox=True)
        lmtp.make_mailbox(U1, "Lists")
        self.deliver(lmtp)
        assert len(lmtp.messages(U1, "Lists")) == 1
        assert any("saved mail to Lists" in text for text in lmtp.sink.texts("I"))

    def test_missing_mailbox_means_inbox(self, make: type[MemoryLmtp]) -> None:
        lmtp = make(lmtp_save_to_detail_mailbox=True)
        self.deliver(lmtp)
        assert len(lmtp.messages(U1)) == 1
        assert "Lists" not in lmtp.mailboxes(U1)

    @pytest.mark.parametrize("subscribe", [False, True])
    def test_made_on_demand(self, make: type[MemoryLmtp], subscribe: bool) -> None:
        lmtp = make(lmtp_save_to_detail_mailbox=True, lda_mailbox_autocreate=True, lda_mailbox_autosubscribe=subscribe)
        self.deliver(lmtp)
        assert len(lmtp.messages(U1, "Lists")) == 1
        assert lmtp.mailboxes(U1)["Lists"] is subscribe

    @pytest.mark.parametrize("name", ["a//b", "/", "x" * 3000, '"a\\b"'.strip('"')])
    def test_impossible_names_mean_inbox(self, make: type[MemoryLmtp], name: str) -> None:
        lmtp = make(lmtp_save_to_detail_mailbox=True, lda_mailbox_autocreate=True)
        answer = self.deliver(lmtp, f'RCPT TO:<"u1+{name}"@example.org>\r\n'.encode())
        assert b" Saved\r\n" in answer
        assert len(lmtp.messages(U1)) + sum(len(lmtp.messages(U1, m)) for m in lmtp.mailboxes(U1) if m != "INBOX") == 1

    def test_delimiters(self, make: type[MemoryLmtp]) -> None:
        lmtp = make(recipient_delimiter="")
        assert b"550 5.1.1 " in self.deliver(lmtp)
        assert lmtp.lookups[0][0] == "u1+Lists@example.org"
        lmtp = make(recipient_delimiter="-_")
        self.deliver(lmtp, b"RCPT TO:<u1_a-b@example.org>\r\n")
        assert lmtp.lookups[0][0] == U1


class TestDeliveredTo:
    def header(self, lmtp: MemoryLmtp, rcpt: bytes) -> bytes:
        client = lmtp.client()
        client.begin()
        client.send(rcpt + b"\r\nDATA\r\n" + BODY + b".\r\n")
        (message,) = lmtp.messages(U1)
        return message[: message.index(BODY)]

    RCPT = b"RCPT TO:<u1@example.org> ORCPT=rfc822;old+2Bx@example.net"

    def test_final(self, lmtp: MemoryLmtp) -> None:
        assert b"Delivered-To: u1@example.org\r\n" in self.header(lmtp, self.RCPT)

    def test_original(self, make: type[MemoryLmtp]) -> None:
        head = self.header(make(lmtp_hdr_delivery_address="original"), self.RCPT)
        assert b"Delivered-To: old+x@example.net\r\n" in head
        assert b"for <old+x@example.net>;" in head

    def test_none(self, make: type[MemoryLmtp]) -> None:
        head = self.header(make(lmtp_hdr_delivery_address="none"), self.RCPT)
        assert b"Delivered-To" not in head
        assert b"u1@example.org" not in head

    def test_no_received_line(self, make: type[MemoryLmtp]) -> None:
        assert b"Received" not in self.header(make(lmtp_add_received_header=False), self.RCPT)

    def test_hostile_orcpt(self, make: type[MemoryLmtp]) -> None:
        lmtp = make(lmtp_hdr_delivery_address="original")
        client = lmtp.client()
        client.begin()
        for value in (b"rfc822;a+0D+0AX:y@b", b"rfc822", b"rfc822;+", b"rfc822;a@b+00"):
            assert client.send(b"RCPT TO:<u1@example.org> ORCPT=" + value + b"\r\n").startswith(b"501 5.5.4 ")


def test_content_is_kept_as_it_came(lmtp: MemoryLmtp) -> None:
    body = b"Subject: x\r\n\r\n\x00\xff\xfe\r lone CR\r\n" + b"y" * 100_000 + b"\r\n..two dots\r\n"
    client = lmtp.client()
    client.begin(U1)
    client.send(b"DATA\r\n")
    wire = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]
    for at in range(0, len(wire), 1000):
        client.feed(wire[at : at + 1000])
    assert b" Saved" in client.send(b".\r\n")
    assert lmtp.messages(U1)[0].endswith(b"+0000\r\n" + body)


def test_smuggled_end_stays_in_the_message(lmtp: MemoryLmtp) -> None:
    evil = b"MAIL FROM:<evil@x>\r\nRCPT TO:<u2@example.org>\r\nDATA\r\nevil\r\n"
    for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\x00.\r\n"):
        client = lmtp.client()
        client.begin(U1)
        assert client.send(b"DATA\r\nSubject: a\r\n\r\nb" + end + evil) == b"354 OK\r\n"
        assert client.send(b".\r\n").count(b"\r\n") == 1
    assert lmtp.messages(U2) == []
    for message in lmtp.messages(U1):
        assert message.endswith(evil)
        assert message.count(b"\n") == message.count(b"\r\n")


def test_message_ids_for_the_log(lmtp: MemoryLmtp) -> None:
    heads = {
        b"Message-Id:<a@b>\r\n\r\n": "<a@b>",
        b"X: y\r\nMESSAGE-ID :\r\n\t<folded@b>\r\n\r\n": "<folded@b>",
        b"\r\nMessage-ID: <body@b>\r\n": "unspecified",
        b"X: y\r\n\r\nMessage-ID: <body@b>\r\n": "unspecified",
        b"X-Message-ID: <no@b>\r\n\r\n": "unspecified",
        b"Message-ID: <a\x1b[1m\xff@b>\r\n\r\n": "<a\x1b[1m\ufffd@b>",
    }
    for head, text in heads.items():
        client = lmtp.client()
        client.begin(U1)
        client.send(b"DATA\r\n" + head + b".\r\n")
        assert lmtp.sink.texts("I")[-1].endswith(f": msgid={text}: saved mail to INBOX")
