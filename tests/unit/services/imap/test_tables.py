"""The room's tables are total and agree with one another."""

from __future__ import annotations

import pytest
from kit.imap_memory import MemoryImap

from roost import errors
from roost.imap.fetch_items import Kind
from roost.settings.schema.imap import ImapSettings
from services.imap.capabilities import CAPABILITIES, When
from services.imap.command import State, Sync
from services.imap.commands import COMMANDS
from services.imap.commands.create import SPECIAL_USES
from services.imap.dispatch import ERRORS, FOREIGN
from services.imap.fetch.plan import FETCH_ITEMS, Column
from services.imap.fetch.rows import COLUMNS


def test_the_setting_names_every_capability_and_no_other() -> None:
    assert set(ImapSettings().imap_capability) == {name.decode() for name, _ in CAPABILITIES}


def test_every_reason_to_show_a_capability_is_used() -> None:
    assert {when for _, when in CAPABILITIES} == set(When)


def test_fetch_items_and_columns_are_complete() -> None:
    assert set(FETCH_ITEMS) == set(Kind) - {Kind.SECTION}
    assert set(COLUMNS) == set(Column)
    for items, text, columns in FETCH_ITEMS.values():
        assert text.count(b"%") == len(columns)
        assert items is not None


def test_every_error_class_has_a_row() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RoostError)]
    for kind in kinds:
        if kind not in (errors.RoostError, errors.ConfigError):
            assert any(ancestor in ERRORS for ancestor in kind.__mro__), kind


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda c: c.name.decode())
def test_rows_are_sensible(command) -> None:  # type: ignore[no-untyped-def]
    assert command.name == command.name.upper()
    assert command.done.endswith(b".") or command.name in (b"LOGIN", b"AUTHENTICATE", b"ENABLE")
    assert command.by_uid == command.name.startswith(b"UID ")
    if command.name in (b"FETCH", b"STORE", b"SEARCH"):
        assert command.sync is Sync.KEEP, "EXPUNGE is not allowed in answer to these (RFC 9051 §7.5.1)"
    else:
        assert command.sync is not Sync.KEEP
    if command.name.startswith(b"UID "):
        assert command.states == State.SELECTED
        assert command.name[4:] in COMMANDS


def test_no_foreign_word_is_a_command() -> None:
    assert not FOREIGN & {name for name, command in COMMANDS.items() if command.states & State.NOT_AUTHENTICATED}


def test_special_uses_are_those_of_the_rfc() -> None:
    assert len(SPECIAL_USES) == 7


@pytest.mark.parametrize(
    ("chosen", "shown", "hidden"),
    [
        (("IMAP4rev1", "IDLE"), [b"IDLE"], [b"MOVE", b"APPENDLIMIT=52428800"]),
        (("IMAP4rev1", "idle", "X-OWN"), [b"IDLE", b"X-OWN"], [b"ID"]),
    ],
)
def test_capabilities_can_be_chosen(chosen: tuple[str, ...], shown: list[bytes], hidden: list[bytes]) -> None:
    server = MemoryImap({"imap_capability": chosen})
    names = server.shared.capability_names(True, True, True, 52428800)
    assert all(name in names for name in shown)
    assert not any(name in names for name in hidden)
    server.close()


def test_what_the_store_cannot_do_is_not_shown() -> None:
    from dataclasses import replace

    server = MemoryImap()
    server.backend.features = replace(server.backend.features, condstore=False, move=False, special_use=False)
    names = server.shared.capability_names(True, True, True, None)
    assert not {b"CONDSTORE", b"MOVE", b"SPECIAL-USE", b"CREATE-SPECIAL-USE", b"APPENDLIMIT"} & set(names)
    server.close()
