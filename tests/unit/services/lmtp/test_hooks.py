"""A delivery and those who want to know of it (mail_lua, last_login)."""

from __future__ import annotations

from typing import Any

from kit.lmtp_memory import MemoryLmtp

from roost.errors import Unavailable
from roost.storage.api import ConnInfo, Identity, User

MESSAGE = b"DATA\r\n", b"Subject: x\r\n\r\nbody\r\n.\r\n"


class Hooks:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.faults: dict[str, Exception] = {}

    async def begin(self, user: User, identity: Identity, conn: ConnInfo) -> Any:
        self.said.append(f"begin {user.username}")
        if user.username in self.faults:
            raise self.faults[user.username]
        return user.username

    async def end(self, script: Any) -> None:
        self.said.append(f"end {script}")

    async def close(self) -> None:
        pass


def test_each_recipient_has_his_say(lmtp: MemoryLmtp) -> None:
    hooks = lmtp.shared.hooks = Hooks()
    hooks.faults["u2@example.org"] = Unavailable("Not now", detail="secret reason")
    client = lmtp.client()
    client.begin("u1@example.org", "u2@example.org")
    assert client.send(MESSAGE[0]).startswith(b"354")
    answers = client.send(MESSAGE[1]).split(b"\r\n")
    assert answers[0].startswith(b"250 2.0.0 <u1@example.org>")
    assert answers[1].startswith(b"451 4.3.0 <u2@example.org>")
    assert b"secret" not in answers[1]
    assert sorted(hooks.said) == ["begin u1@example.org", "begin u2@example.org", "end u1@example.org"]
    assert len(lmtp.messages("u1@example.org")) == 1
    assert lmtp.messages("u2@example.org") == []


def test_a_failed_delivery_ends_too(lmtp: MemoryLmtp) -> None:
    hooks = lmtp.shared.hooks = Hooks()
    lmtp.faults["u1@example.org"] = Unavailable("disk")
    client = lmtp.client()
    client.begin("u1@example.org")
    client.send(MESSAGE[0])
    assert client.send(MESSAGE[1]).startswith(b"451")
    assert hooks.said == ["begin u1@example.org", "end u1@example.org"]
