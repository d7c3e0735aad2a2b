"""The three roots come from one folder, or nothing starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from roost import roots


def test_ours_are_together() -> None:
    roots.check()


def test_a_strangers_services_are_refused(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "__init__.py").write_text("")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from roost import roots; roots.check()"
    ran = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert "the parts of Roost are not in one folder" in ran.stderr and str(tmp_path) in ran.stderr
