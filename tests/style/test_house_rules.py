"""Small files with heads, tables that list every file, no sleeps in tests, no leftovers."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


source = _load("source")
MAX_LINES = 400

# Longer files, each with its reason.
LONG_FILES: dict[str, str] = {}

COMMAND_TABLES = [
    ("services.imap.commands", "services/imap/commands", "tests/transcripts/imap"),
    ("services.lmtp.commands", "services/lmtp/commands", "tests/transcripts/lmtp"),
]


@pytest.mark.parametrize("path", source.files(), ids=lambda p: str(p.relative_to(source.ROOT)))
def test_file_is_small_and_has_a_head(path: Path) -> None:
    text = path.read_text()
    relative = str(path.relative_to(source.ROOT))
    lines = text.count("\n")
    assert lines <= MAX_LINES or relative in LONG_FILES, (
        f"{relative} has {lines} lines: which table or verb hides in it?"
    )
    if text.strip():
        assert ast.get_docstring(source.tree(path)), f"{relative} has no head: say what it is and what it promises"


def test_long_files_are_still_long() -> None:
    for name in LONG_FILES:
        assert (source.ROOT / name).read_text().count("\n") > MAX_LINES, f"{name} no longer needs its exception"


def test_no_leftovers() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    bad = [
        f"{path.relative_to(source.ROOT)}:{number} {line.strip()}"
        for path in source.files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words.search(line)
    ]
    assert not bad, "\n".join(bad)


def test_tests_do_not_sleep_to_synchronise() -> None:
    allowed = {"tests/kit/wait.py"}
    bad = []
    for path in sorted((source.ROOT / "tests").rglob("*.py")):
        relative = str(path.relative_to(source.ROOT))
        if relative in allowed or relative.startswith(("tests/bench/", "tests/style/")):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"\btime\.sleep\(|asyncio\.sleep\((?!0\))", line):
                bad.append(f"{relative}:{number} {line.strip()}")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(("package", "folder", "transcripts"), COMMAND_TABLES)
def test_commands_are_listed_and_have_a_conversation(package: str, folder: str, transcripts: str) -> None:
    table = importlib.import_module(package).COMMANDS
    rows = list(table.values()) if isinstance(table, dict) else list(table)
    listed = {(row.run.__module__).split(".")[-1] for row in rows}
    present = {p.stem for p in (source.ROOT / folder).glob("*.py")} - {"__init__"}
    assert present == listed, f"in the folder only: {present - listed}; in the table only: {listed - present}"
    names = [p.name for p in (source.ROOT / transcripts).glob("*.txt")]
    missing = [verb for verb in sorted(present) if not any(n.startswith(verb) for n in names)]
    assert not missing, f"no transcript for {missing} under {transcripts}"


def test_the_project_names_no_machine_paths() -> None:
    bad = []
    pattern = re.compile(r"/(?:home|root|work|tmp)/[a-z]+/(?:main|roost|shared|notes)\b")
    for path in sorted(source.ROOT.rglob("*")):
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".conf", ".txt", ".service", ".yml"}:
            relative = path.relative_to(source.ROOT)
            if relative.parts[0] in {".venv", "var", ".git", ".hypothesis"}:
                continue
            bad += [
                f"{relative}:{number}"
                for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
                if pattern.search(line)
            ]
    assert not bad, "\n".join(bad)
