"""What is shipped: the configuration loads and says the truth, the generated page is fresh, the schema is in order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from roost.settings import load
from roost.settings.fields import specs_of
from roost.settings.known import DOVECOT_KEYS, DOVECOT_SECTIONS, DOVECOT_SERVICES, IGNORED, INSTEAD, RENAMED
from roost.settings.readers.toml import NAMED
from roost.settings.registry import CONNECTION_FILTERS, entries
from roost.settings.schema import AREAS, LIST_FILTERS, NAMED_FILTERS
from roost.settings.schema.services import DEFAULTS
from roost.settings.show import document

ROOT = Path(__file__).parents[4]
SHIPPED = ["roost.conf", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "conf.d").iterdir())]
# Comments that show what could be written, with values that are no defaults.
EXAMPLES = (
    "cert_file",
    "key_file",
    "listen = 127.0.0.1",
    "CONDSTORE",
    "local_name",
    "unix_listener /",
    "  mode = 0660",
)


def test_the_shipped_configuration_loads() -> None:
    config = load(str(ROOT / "roost.conf"), environ={})
    assert config.warnings == ()
    assert [one.passwd_file_path for one in config.passdbs] == ["/etc/roost/users"]
    assert {one.key for one in config.non_defaults()} == {"passwd_file_path"}
    assert list(config.services) == ["anvil", "auth", "auth-worker", "imap", "lmtp", "notify"]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_commented_setting_is_its_default(name: str, tmp_path: Path) -> None:
    """``#key = value`` in a shipped file must be what holds without it: uncommented, nothing changes."""
    lines = []
    for line in (ROOT / name).read_text().split("\n"):
        match = re.match(r"( *)#([a-z_]+ = ?.*)$", line)
        lines.append(match[1] + match[2] if match and not any(text in line for text in EXAMPLES) else line)
    text = "\n".join(line for line in lines if not line.startswith("!include"))
    (tmp_path / "roost.conf").write_text(text)
    changed, default = load(str(tmp_path / "roost.conf"), environ={}), load("", environ={})
    for area in AREAS:
        assert changed.section(area, protocol="imap") == default.section(area, protocol="imap")
    assert changed.services == default.services
    assert changed.mailboxes == default.mailboxes


def test_the_page_of_settings_is_fresh() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == document(), (
        "run: python -m roost.settings.show > docs/settings.md"
    )


@pytest.mark.parametrize("area", AREAS)
def test_settings_of_an_area_are_sorted_and_explained(area: type) -> None:
    specs = specs_of(area)
    assert [spec.attribute for spec in specs] == sorted(spec.attribute for spec in specs)
    for spec in specs:
        assert spec.text.endswith(".") or spec.text.endswith(")"), spec.key
        assert re.fullmatch(r"[a-z][a-z0-9_]*", spec.key)


def test_no_key_is_both_ours_and_foreign() -> None:
    ours = set(entries())
    assert not ours & DOVECOT_KEYS
    assert not ours & set(RENAMED)
    assert not ours & set(INSTEAD)
    assert not ours & set(IGNORED)
    assert not DOVECOT_KEYS & set(IGNORED)
    assert all(new.key in ours for new in RENAMED.values())
    sections = {*LIST_FILTERS, *NAMED_FILTERS, *CONNECTION_FILTERS}
    assert not sections & DOVECOT_SECTIONS
    assert not set(re.findall(r"^service (\S+)", DEFAULTS, re.MULTILINE)) & DOVECOT_SERVICES


def test_the_toml_reader_knows_the_sections_with_names() -> None:
    assert {*LIST_FILTERS, *CONNECTION_FILTERS} == NAMED


def test_inherited_settings_are_of_the_same_type() -> None:
    for entry in entries().values():
        if entry.spec.inherit:
            assert entries()[entry.spec.inherit].spec.type is entry.spec.type


def test_manual_pages_name_every_option_and_section() -> None:
    from roost.settings.doveconf import parser

    page = (ROOT / "docs" / "man" / "doveconf.1.md").read_text()
    for action in parser()._actions:
        for option in action.option_strings:
            assert f"`{option}" in page, option
    page = (ROOT / "docs" / "man" / "roost.conf.5.md").read_text()
    for name in (*LIST_FILTERS, *NAMED_FILTERS, *CONNECTION_FILTERS):
        assert f"`{name}" in page, name


def test_every_setting_does_something() -> None:
    """A key is read by some code outside this package, or hands its value on to settings that inherit it."""
    code = "\n".join(
        path.read_text()
        for folder in ("master", "services", "roost")
        for path in (ROOT / folder).rglob("*.py")
        if "roost/settings/schema" not in path.as_posix()
    )
    handed_on = {entry.spec.inherit for entry in entries().values()}
    used = set(re.findall(r"(?:\.|[\"'])([a-z_]+)\b", code))
    for area in AREAS:
        for spec in specs_of(area):
            assert spec.attribute in used or spec.key in handed_on, f"{spec.key} of {area.__name__} is read by nobody"
