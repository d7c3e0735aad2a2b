"""The example store of the documentation passes the suite, alone and behind threads, and its entry point is found."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from roost.errors import ConfigError, Corrupt
from roost.storage.api import Backend, BackendContext
from roost.storage.backends import open_backend
from roost.storage.blocking import BlockingBackend
from roost.testing.backend import BackendSuite
from roost.testing.backend.harness import Scene, append, numbered, uids_of

EXAMPLE = Path(__file__).resolve().parents[4] / "docs" / "examples" / "toy_store"


def toy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("toy_store", EXAMPLE / "toy_store.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOY = toy()


class TestToy(BackendSuite):
    def make_backend(self, folder: Path, context: BackendContext) -> Backend:
        return TOY.open_toy(context)  # type: ignore[no-any-return]  # a module loaded by path

    def test_half_a_line_is_cut_off_and_damage_is_named(self, tmp_path: Path) -> None:
        async def run() -> None:
            scene = Scene(self, tmp_path)
            user = await scene.user()
            await append(await user.get_mailbox("INBOX"), user, numbered(1))
            log = tmp_path / "homes" / "u1" / TOY.FILE
            whole = log.read_bytes()
            log.write_bytes(whole + b'[{"step":"Append","mod')
            await scene.restart()
            inbox = await scene.inbox()
            assert await uids_of(inbox) == [1] and log.read_bytes() == whole
            log.write_bytes(whole.replace(b"Append", b"Upend!"))
            await scene.restart()
            with pytest.raises(Corrupt):
                await scene.inbox()

        asyncio.run(run())


class TestToyBehindThreads(BackendSuite):
    def make_backend(self, folder: Path, context: BackendContext) -> Backend:
        return BlockingBackend(TOY.open_toy(context), threads=3)


def test_found_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "roost_toy_store-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: roost-toy-store\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(
        "[roost.backends]\ntoy = toy_store:open_toy\nbroken = no_such_module:factory\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "toy_store", raising=False)
    context = BackendContext({}, lambda update: None, lambda level, text: None)
    assert type(open_backend("toy", context)).__name__ == "ToyBackend"
    with pytest.raises(ConfigError, match="there are: memory, sqlite, broken, toy"):
        open_backend("cloud", context)
    with pytest.raises(ConfigError, match="broken: cannot load no_such_module:factory"):
        open_backend("broken", context)
