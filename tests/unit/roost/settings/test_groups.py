"""Groups of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from roost.errors import ConfigError
from roost.settings import Config, load
from roost.settings.schema import MailSettings


def loaded(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "roost.conf"
    path.write_text(text)
    return load(str(path), environ={})


def test_a_group_is_put_where_it_is_named_before_or_after(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
        protocol imap {
          @kind = fast
        }
        group @kind fast {
          mail_fsync = never
          mail_driver = memory
        }
        """,
    )
    assert config.section(MailSettings, protocol="imap").mail_fsync == "never"
    assert config.section(MailSettings).mail_fsync == "optimized"


def test_sections_inside_a_group(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        """
        group @boxes more {
          mailbox Notes {
            auto = create
          }
        }
        namespace inbox {
          @boxes = more
        }
        """,
    )
    assert config.mailboxes[-1].name == "Notes"
    assert config.mailboxes[-1].auto == "create"


def test_what_is_written_wins_over_a_group_wherever_it_stands(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "mail_fsync = always\ngroup @kind fast {\n  mail_fsync = never\n}\nprotocol imap {\n  @kind = fast\n}\n",
    )
    assert config.section(MailSettings, protocol="imap").mail_fsync == "always"


def test_dovecot_s_built_in_group_of_mailboxes_is_known(tmp_path: Path) -> None:
    config = loaded(tmp_path, "namespace inbox {\n  @mailbox_defaults = english\n}\n")
    assert [mailbox.name for mailbox in config.mailboxes] == ["Drafts", "Sent", "Junk", "Trash", "Archive"]


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("@kind = fast", 1, "Unknown group label @kind"),
        ("group @kind a {\n}\n@kind = b", 3, "Unknown group @kind=b (there are: a)"),
        ("@kind =", 1, "needs the name of a group"),
        ("protocol imap {\n  group @kind a {\n  }\n}", 2, "groups must defined at top-level"),
        ("group @kind a {\n  @kind = b\n}", 2, "Recursive include groups not allowed"),
        ("group @kind a {\n  mail_fsnc = never\n}\n@kind = a", 2, "Did you mean mail_fsync?"),
        ("\ngroup @kind a {\n", 2, "Missing '}'"),
    ],
)
def test_errors(tmp_path: Path, text: str, line: int, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text + "\n")
    assert part in caught.value.why
    assert caught.value.line == line
