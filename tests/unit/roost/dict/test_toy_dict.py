"""The example in docs/examples: judged by the suite that third parties run, and found by its entry point."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from roost.dict.api import Surroundings
from roost.dict.front import Dict
from roost.dict.opening import open_dict
from roost.errors import ConfigError
from roost.settings.schema.dict import DictSettings
from roost.testing.dict import DictSuite

EXAMPLE = Path(__file__).resolve().parents[4] / "docs" / "examples" / "toy_dict"


def toy() -> ModuleType:
    spec = importlib.util.spec_from_file_location("toy_dict", EXAMPLE / "toy_dict.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOY = toy()


class TestToyDict(DictSuite):
    def settings(self, tmp_path: Path) -> DictSettings:
        return DictSettings(name="toy", python_settings={"path": f"{tmp_path}/toy.json"})

    def make(self, tmp_path: Path, surroundings: Surroundings, settings: DictSettings | None = None) -> Dict:
        made = settings or self.settings(tmp_path)
        return Dict(TOY.open_toy(made, surroundings), made)


def test_found_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "roost_toy_dict-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: roost-toy-dict\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[roost.dict]\ntoy = toy_dict:open_toy\nbroken = no_such_module:factory\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.delitem(sys.modules, "toy_dict", raising=False)
    assert open_dict(DictSettings(name="toy", python_settings={"path": "/x"})).name == "toy"
    with pytest.raises(
        ConfigError, match=r"dict module: proxy .there are: memory, file, sqlite, redis, fail, broken, toy"
    ):
        open_dict(DictSettings(name="one", driver="proxy"))
    with pytest.raises(ConfigError, match="broken: cannot load no_such_module:factory"):
        open_dict(DictSettings(name="broken"))
