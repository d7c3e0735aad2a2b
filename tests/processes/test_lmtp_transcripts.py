"""Every LMTP transcript against real processes: master, auth, lmtp with the SQLite store, over the UNIX socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.instance import Instance
from kit.lmtp_player import Player, SocketWire, settings, transcripts
from kit.transcript import Transcript

CONF = """
auth_username_format = %{user | username | lower}
service imap {
  process_min_avail = 0
}
"""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with Instance(tmp_path_factory.mktemp("lmtp"), CONF) as running:
        yield running


def _play(instance: Instance, transcript: Transcript) -> None:
    def connect() -> SocketWire:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(str(instance.lmtp_socket))
        return SocketWire(sock)

    Player(connect).play(transcript)


@pytest.mark.parametrize(
    "transcript", [t for t in transcripts() if not settings(t)], ids=lambda transcript: transcript.path.stem
)
def test_transcript(instance: Instance, transcript: Transcript) -> None:
    _play(instance, transcript)
    log = instance.log_text()
    assert "Traceback" not in log, log


@pytest.mark.parametrize(
    "transcript", [t for t in transcripts() if settings(t)], ids=lambda transcript: transcript.path.stem
)
def test_transcript_with_settings(tmp_path: Path, transcript: Transcript) -> None:
    lines = "".join(f"{key} = {value}\n" for key, value in settings(transcript).items())
    with Instance(tmp_path, CONF + lines) as instance:
        _play(instance, transcript)
