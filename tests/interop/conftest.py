"""What every interop test needs: a running instance with some mail, and a visible skip for a missing program."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.instance import Instance


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    with Instance(tmp_path) as running:
        yield running


@pytest.fixture
def program() -> Callable[[str], str]:
    """``program("mbsync")``: the path of a program, or a skip that says which Debian package is missing."""
    packages = {"mbsync": "isync", "offlineimap": "offlineimap3"}

    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if path is None:
            pytest.skip(f"{name} is not installed (Debian package {packages.get(name, name)})")
        return path

    return find
