"""CPU time and memory of a process tree: by a cgroup of its own where we may make one, else summed over /proc."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_CGROUP_ROOTS = ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup")


def new_cgroup(name: str) -> Path | None:
    """A fresh cgroup for one server, or None when this machine or user has none to give."""
    for root in _CGROUP_ROOTS:
        path = Path(root) / f"roost-bench-{os.getpid()}-{name}"
        has_meter = root.endswith("cpuacct") or Path(root, "cpu.stat").exists()
        if has_meter and os.access(root, os.W_OK):
            with contextlib.suppress(OSError):
                path.mkdir(exist_ok=True)
                return path
    return None


def enter(cgroup: Path) -> None:
    """Put this process into ``cgroup``. In the child before it executes the server: what a server that was put there
    later had forked before would be left out. Does nothing where we may not."""
    with contextlib.suppress(OSError):
        (cgroup / "cgroup.procs").write_text("0")


def members(cgroup: Path) -> list[int]:
    """Its processes; none when it is gone."""
    try:
        return [int(pid) for pid in (cgroup / "cgroup.procs").read_text().split()]
    except OSError:
        return []


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = Path("/proc", entry, "stat").read_text()
                parent = int(stat[stat.rindex(")") + 2 :].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


class Meter:
    """Reads the CPU seconds spent and the memory held by the tree under ``pid``."""

    def __init__(self, pid: int, cgroup: Path | None) -> None:
        """``cgroup`` counts only when ``pid`` has entered it."""
        self.pid, self.cgroup = pid, cgroup if cgroup is not None and pid in members(cgroup) else None

    def cpu_secs(self) -> float:
        if self.cgroup is not None:
            usage = self.cgroup / "cpuacct.usage"
            if usage.exists():
                return int(usage.read_text()) / 1e9
            for line in (self.cgroup / "cpu.stat").read_text().splitlines():
                if line.startswith("usage_usec "):
                    return int(line.split()[1]) / 1e6
        total = 0
        for pid in tree(self.pid):
            with contextlib.suppress(OSError):
                stat = Path("/proc", str(pid), "stat").read_text()
                words = stat[stat.rindex(")") + 2 :].split()
                total += sum(int(w) for w in words[11:15])
        return total / _TICKS

    def pss_kb(self) -> int:
        """Memory of the whole tree, shared pages counted once."""
        total = 0
        for pid in tree(self.pid):
            with contextlib.suppress(OSError):
                for line in Path("/proc", str(pid), "smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total
