"""The IMAP transcripts played against Debian's Dovecot: what we call right is what the reference does."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.imap_dovecot import DovecotImap, available
from kit.imap_player import play
from kit.transcript import read, sections

FOLDER = Path(__file__).resolve().parent / "imap"

pytestmark = [pytest.mark.interop, pytest.mark.skipif(not available(), reason="Dovecot is not installed")]


@pytest.mark.parametrize("path", list(sections(FOLDER)), ids=lambda p: p.stem)
def test_reference(path: Path) -> None:
    transcript = read(path)
    header = transcript.header
    if header.get("dovecot", "").startswith("differs"):
        pytest.skip(header["dovecot"])
    if header.get("state") == "nonauth" or header.get("settings"):
        pytest.skip("needs a login or settings; the reference is played logged in")
    server = DovecotImap()
    try:
        play(transcript, server)
    finally:
        server.close()
