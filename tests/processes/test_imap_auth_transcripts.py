"""AUTHENTICATE with every mechanism, as data: the transcripts of ``imap-auth`` against real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.imap_player import play
from kit.instance import Instance
from kit.transcript import read
from processes.test_imap_transcripts import Processes

from roost.sasl import MECHANISMS

FOLDER = Path(__file__).resolve().parents[1] / "transcripts" / "imap-auth"
PATHS = sorted(FOLDER.glob("*.txt"))


@pytest.fixture(scope="module")
def roost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    conf = f"auth_failure_delay = 0\nauth_mechanisms = {' '.join(MECHANISMS).lower()}\nimap_max_bad_commands = 20\n"
    with Instance(tmp_path_factory.mktemp("roost"), conf, ["u1", "anonymous"]) as instance:
        yield instance
        assert ": Error: " not in instance.log_text()


def test_every_mechanism_has_one() -> None:
    names = {path.stem.upper() for path in PATHS}
    assert set(MECHANISMS) - names == {"PLAIN", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"}  # those are elsewhere


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_processes(path: Path, roost: Instance) -> None:
    play(read(path), Processes(roost, "u1"))
