"""Totality: each command file has its row and each row its file; each reply is used; each error class has a row."""

from __future__ import annotations

from pathlib import Path

import roost.errors
from roost.smtp.replies import REPLIES
from services.lmtp.commands import COMMANDS
from services.lmtp.errors import ERRORS

ROOT = Path(__file__).parents[4]


def test_commands_and_files() -> None:
    files = {path.stem for path in (ROOT / "services/lmtp/commands").glob("*.py")} - {"__init__"}
    assert files == {name.decode().lower() for name in COMMANDS} - {"ehlo"}
    assert all(command.name == name for name, command in COMMANDS.items())


def test_help_names_the_commands() -> None:
    assert set(REPLIES["HELP"].text.split()[1:]) == {name.decode() for name in COMMANDS} - {"EHLO", "HELO"}


def test_every_reply_is_used() -> None:
    sources = [*(ROOT / "services/lmtp").rglob("*.py"), *(ROOT / "roost/smtp").glob("*.py")]
    text = "".join(path.read_text() for path in sources if path.name != "replies.py")
    assert [name for name in REPLIES if f'"{name}"' not in text] == []


def test_every_command_has_a_transcript() -> None:
    text = "".join(path.read_text() for path in (ROOT / "tests/transcripts/lmtp").glob("*.txt"))
    assert [name for name in COMMANDS if f"C: {name.decode()}" not in text] == []


def test_errors_table() -> None:
    for position, (kind, name) in enumerate(ERRORS):
        assert name in REPLIES
        earlier = [row for row, _ in ERRORS[:position]]
        assert not any(issubclass(kind, row) for row in earlier), f"{kind.__name__} is never reached"
    kinds = [kind for kind in vars(roost.errors).values() if isinstance(kind, type)]
    known = tuple(kind for kind, _ in ERRORS)
    unmapped = {kind.__name__ for kind in kinds if not issubclass(kind, known)}
    assert unmapped == {"RoostError", "ConfigError"}
