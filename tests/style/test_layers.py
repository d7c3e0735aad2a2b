"""Layers point one way, and each third-party package has one door (ARCHITECTURE.md, "Layers")."""

from __future__ import annotations

import importlib.util
import sys
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

# The longest matching prefix decides. Same layer: only inside the same named group.
LAYERS: dict[str, int] = {
    "roost.errors": 0,
    "roost.util": 0,
    "roost": 0,  # the package's own sign
    "roost.roots": 0,
    "roost.imap": 1,
    "roost.smtp": 1,
    "roost.mime": 1,
    "roost.sasl": 1,
    "roost.ipc": 1,
    "roost.settings": 2,
    "roost.events": 2,
    "roost.proc": 2,
    "roost.durable": 2,
    "roost.auth": 3,
    "roost.lua": 3,
    "roost.dict": 3,
    "roost.storage": 3,
    "roost.net": 4,
    "roost.worker": 4,
    "roost.clients": 4,
    "roost.testing": 4,
    "master": 5,
    "services": 5,
}

# Modules of one layer that may use one another, beside their own package.
SIBLINGS: dict[str, set[str]] = {
    "roost.imap": {"roost.mime"},
    "roost.util": {"roost.errors"},
    "roost.lua": {"roost.storage", "roost.auth", "roost.dict"},
    "roost.events": {"roost.proc"},
    "roost.proc": {"roost.settings", "roost.durable", "roost.events"},
    "roost.settings": {"roost.proc"},
    "roost.worker": {"roost.net", "roost.clients"},
    "roost.clients": {"roost.net"},
    "roost.net": {"roost.worker"},
    "roost.roots": {"roost.errors"},
}

SANS_IO_FORBIDDEN = {
    "asyncio",
    "socket",
    "ssl",
    "time",
    "random",
    "secrets",
    "logging",
    "threading",
    "select",
    "selectors",
    "subprocess",
    "os",
}
PURE = [
    "master.policy",
    "master.states",
    "services.imap.selected",
    "services.notify.hub",
]

DOORS: dict[str, str | tuple[str, ...]] = {
    "uvloop": "roost/worker/loop.py",
    "setproctitle": "roost/proc/title.py",
    "psutil": "roost/proc/usage.py",
    "toml": "roost/settings/readers/toml.py",
    "apsw": (
        "roost/storage/backends/sqlite/",
        "roost/dict/drivers/sqlite.py",  # small databases of their own, without the mail store's pragmas and writer
        "services/auth/sql/sqlite.py",  # databases of somebody else, read only
    ),
    "asyncpg": "services/auth/sql/pgsql",
    "ldap3": "services/auth/ldap/connection.py",
    "argon2": "services/auth/schemes/argon2.py",
    "cryptography": "master/demo/certificate.py",
    "jwt": "services/auth/oauth2/signatures.py",
    "prometheus_client": "services/stats/prometheus.py",
    "redis": "roost/dict/drivers/redis.py",
    "lupa": "roost/lua/runtime.py",
    "h11": "roost/net/http/",
}


def layer_of(name: str) -> tuple[int, str] | None:
    """The layer and the name of the group that decided it."""
    parts = name.split(".")
    while parts:
        prefix = ".".join(parts)
        if prefix in LAYERS:
            return LAYERS[prefix], prefix
        parts.pop()
    return None


def room_of(name: str) -> str:
    return ".".join(name.split(".")[:2])


@pytest.mark.parametrize("path", source.files(), ids=lambda p: str(p.relative_to(source.ROOT)))
def test_imports_point_down(path: Path) -> None:
    name = source.module_name(path)
    own = layer_of(name)
    assert own is not None, f"{name} is in no layer: place it in LAYERS on purpose"
    layer, group = own
    problems = []
    for line, target, typing_only in source.imports(path):
        if target.split(".")[0] not in source.PACKAGES or typing_only:
            continue
        other = layer_of(target)
        assert other is not None, f"{path}:{line} imports {target}, which is in no layer"
        other_layer, other_group = other
        if other_layer > layer:
            problems.append(f"{path}:{line} {name} (L{layer}) imports {target} (L{other_layer})")
        elif layer == 5 and other_layer == 5 and room_of(name) != room_of(target) and name.split(".")[0] != "master":
            problems.append(f"{path}:{line} {name} imports another room: {target}")
        elif name.startswith("master") and target.startswith("services"):
            problems.append(f"{path}:{line} the master imports a room: {target}")
        elif other_layer == layer and layer < 5 and other_group != group and other_group not in SIBLINGS.get(group, ()):
            problems.append(f"{path}:{line} {group} imports its sibling {other_group}")
        if name.startswith("master") and other_layer in (3, 4) and not name.startswith("master.demo"):
            problems.append(f"{path}:{line} the master imports {target}: it needs L0–L2 only")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path", source.files(), ids=lambda p: str(p.relative_to(source.ROOT)))
def test_protocol_code_does_no_io(path: Path) -> None:
    name = source.module_name(path)
    own = layer_of(name)
    assert own is not None
    if own[0] != 1 and name not in PURE:
        return
    bad = [
        f"{path}:{line} {target}"
        for line, target, _ in source.imports(path)
        if target.split(".")[0] in SANS_IO_FORBIDDEN
    ]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("path", source.files(), ids=lambda p: str(p.relative_to(source.ROOT)))
def test_third_party_packages_have_one_door(path: Path) -> None:
    relative = str(path.relative_to(source.ROOT))
    stdlib = sys.stdlib_module_names
    problems = []
    for line, target, _ in source.imports(path):
        top = target.split(".")[0]
        if top in stdlib or top in source.PACKAGES or top == "__future__":
            continue
        if top == "pytest" and relative.startswith("roost/testing/"):
            continue
        door = DOORS.get(top)
        if door is None:
            problems.append(f"{relative}:{line} {top} has no door in DOORS")
        elif not relative.startswith(door):
            problems.append(f"{relative}:{line} imports {top}; its door is {door}")
    assert not problems, "\n".join(problems)


def test_master_starts_no_loop_and_no_thread() -> None:
    bad = []
    for path in source.files():
        name = source.module_name(path)
        if name.startswith("master") and not name.startswith("master.demo"):
            bad += [
                f"{path}:{line} {target}"
                for line, target, _ in source.imports(path)
                if target.split(".")[0] in {"asyncio", "threading", "concurrent", "uvloop", "multiprocessing"}
            ]
    assert not bad, "\n".join(bad)
