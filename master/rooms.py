"""Which program a service runs: executable names → modules, and the frame that runs them.

The master imports no room itself; ``preload`` imports them by name just before the first fork, so that children share
their code: the frame, each room, and what the room lists in ``PRELOAD`` because it would import it only later.
``Rooms`` is a value given to ``main``: another table (a test's, an embedder's) needs no hook in here.
"""

from __future__ import annotations

import gc
import importlib
import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from roost.errors import ConfigError
from roost.proc.contract import ROOM_MODULES


@dataclass(frozen=True)
class Rooms:
    """``frame.main(ChildContext)`` runs a room; ``python -I -m exec_module`` does so in a fresh interpreter."""

    modules: Mapping[str, str] = field(default_factory=lambda: ROOM_MODULES)
    frame: str = "roost.worker.run"
    exec_module: str = "roost.worker"

    def module_of(self, service: str, executable: str) -> str:
        """Raises: ConfigError for an executable that does not exist."""
        if executable not in self.modules:
            known = ", ".join(sorted(self.modules))
            raise ConfigError(f"unknown executable {executable!r}; there are {known}", key=f"service {service}")
        return self.modules[executable]

    def preload(self, modules: Iterable[str], report: Callable[[str], None]) -> None:
        """Import the frame and the rooms. What fails is reported; its children will fail, and be throttled."""
        names = list(dict.fromkeys((self.frame, *modules)))
        for name in names:
            try:
                module = importlib.import_module(name)
                names += [further for further in vars(module).get("PRELOAD", ()) if further not in names]
            except Exception:
                report(f"cannot load {name}:\n{traceback.format_exc()}")
        threads = _thread_count()
        if threads > 1:
            report(
                f"{threads} threads after loading the rooms: forking is not safe, a room starts threads when imported"
            )
        # Shared pages stay shared: the collector of a child shall not touch what it has from us.
        gc.collect()
        gc.freeze()


def _thread_count() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1
