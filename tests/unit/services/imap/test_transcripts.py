"""Every IMAP transcript, played in memory: on the memory store and on SQLite."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from kit.imap_memory import MemoryImap
from kit.imap_player import play
from kit.transcript import read, sections

from roost.storage.backends.memory import open_memory
from roost.storage.backends.sqlite import open_sqlite

FOLDER = Path(__file__).resolve().parents[3] / "transcripts" / "imap"
STORES = {"memory": open_memory, "sqlite": open_sqlite}


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("path", list(sections(FOLDER)), ids=lambda p: p.stem)
def test_in_memory(path: Path, store: str, tmp_path: Path) -> None:
    transcript = read(path)
    server = MemoryImap(settings_of(transcript.header.get("settings", "")), make_backend=STORES[store], home=tmp_path)
    try:
        play(transcript, server)
    finally:
        server.close()
    assert not server.failures, server.failures
    errors = [text for level, text in server.sink.rows if level in "EWFP"]
    assert not errors, errors


def settings_of(text: str) -> dict[str, object]:
    """``key=value``: numbers become int, a list setting is one word."""
    found: dict[str, object] = {}
    for item in shlex.split(text):
        key, _, value = item.partition("=")
        if value.isdigit():
            found[key] = int(value)
        elif key in ("imap_client_workarounds", "imap_capability"):
            found[key] = tuple(value.split())
        else:
            found[key] = value
    return found
