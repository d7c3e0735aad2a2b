"""The LMTP transcripts against Debian's Dovecot, so that what we call LMTP is what others call LMTP.

Where we differ on purpose, the transcript's header says ``dovecot: differs, because …``.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from kit.lmtp_dovecot import DovecotLmtp, missing
from kit.lmtp_player import Player, SocketWire, settings, transcripts
from kit.transcript import Transcript

pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing())]

SAME = [t for t in transcripts() if "dovecot" not in t.header and not settings(t)]


@pytest.fixture(scope="module")
def reference() -> Iterator[DovecotLmtp]:
    with DovecotLmtp() as running:
        yield running


@pytest.mark.parametrize("transcript", SAME, ids=lambda transcript: transcript.path.stem)
def test_transcript(reference: DovecotLmtp, transcript: Transcript) -> None:
    def connect() -> SocketWire:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(str(reference.socket))
        return SocketWire(sock)

    Player(connect).play(transcript)
