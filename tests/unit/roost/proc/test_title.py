"""Process titles."""

from __future__ import annotations

import pytest

from roost.proc.title import MAX_CHARS, format_title, program_name


@pytest.mark.parametrize(
    ("instance", "program"), [("", "roost"), ("roost", "roost"), ("roost-two", "roost-two"), ("two", "roost-two")]
)
def test_program_names(instance: str, program: str) -> None:
    assert program_name(instance) == program


def test_titles() -> None:
    assert format_title("roost", "imap") == "roost/imap"
    assert format_title("roost", "imap", "bob 192.0.2.7 IDLE") == "roost/imap [bob 192.0.2.7 IDLE]"
    assert format_title("roost", "imap", "evil\n\x1b[2J\x00user") == "roost/imap [evil??[2J?user]"
    assert len(format_title("roost", "imap", "x" * 1000)) == MAX_CHARS
