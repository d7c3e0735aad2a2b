"""Every transcript of ``tests/transcripts/lmtp``, played in memory: as a whole write, and octet by octet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kit.lmtp_memory import Client, MemoryLmtp
from kit.lmtp_player import CLOSED, Player, settings, transcripts
from kit.transcript import Transcript


class MemoryWire:
    def __init__(self, client: Client, step_octets: int) -> None:
        self._client = client
        self._step_octets = step_octets
        self._unread = client.greeting

    def send(self, octets: bytes) -> None:
        step = self._step_octets or len(octets)
        for at in range(0, len(octets), step):
            self._unread += self._client.send(octets[at : at + step])

    def read_line(self) -> bytes | None:
        line, end, rest = self._unread.partition(b"\r\n")
        if not end:
            return None
        self._unread = rest
        return line

    def unread(self) -> bytes:
        return self._unread

    def close(self) -> None:
        pass


@pytest.mark.parametrize("step_octets", [0, 1], ids=["whole", "octets"])
@pytest.mark.parametrize("transcript", transcripts(), ids=lambda transcript: transcript.path.stem)
def test_transcript(make: Callable[..., MemoryLmtp], transcript: Transcript, step_octets: int) -> None:
    values: dict[str, Any] = {key: int(value) for key, value in settings(transcript).items()}
    lmtp = make(**values)
    clients: list[Client] = []

    def connect() -> MemoryWire:
        clients.append(lmtp.client())
        return MemoryWire(clients[-1], step_octets)

    Player(connect).play(transcript)
    closed = {step.connection for step in transcript.steps if step.octets == CLOSED}
    assert [client.closed for client in clients] == [number + 1 in closed for number in range(len(clients))]
