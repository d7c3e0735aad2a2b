"""kill -9 at every crash point of the store and at random: nothing acknowledged is lost, no UID comes twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from crash.storm import Model, open_store, open_user, perform, read_state

ROOT = Path(__file__).resolve().parents[2]

# Every crash point of the store; the second number is how often it is passed before the kill.
POINTS = [
    ("store-create-written", 1), ("store-create-synced", 1), ("store-create-linked", 1),
    ("store-blob-written", 2), ("store-blob-synced", 3), ("store-blob-named", 2),
    ("store-room", 1), ("store-room", 2),
    ("store-begin", 1), ("store-begin", 9), ("store-append", 2), ("store-append", 7), ("store-copy", 2),
    ("store-move", 1), ("store-move", 3), ("store-expunge", 2), ("store-expunge", 4), ("store-commit", 1),
    ("store-commit", 5), ("store-commit", 20), ("store-committed", 1), ("store-committed", 4), ("store-committed", 21),
    ("store-inline-commit", 1), ("store-inline-commit", 3), ("store-log-inline", 3), ("store-log-inline", 9),
    ("store-inline-committed", 3), ("store-inline-committed", 9), ("store-fold", 1),
    ("store-fold", 2), ("store-collect", 1), ("store-checkpoint", 2), ("store-checkpointed", 2),
]  # fmt: skip

STEPS = 250


def run_child(folder: Path, seed: int, *more: str, kill_after: int | None = None) -> list[dict[str, Any]]:
    """Let the storm blow until it dies; what it said. ``kill_after``: kill it after so many lines."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    child = subprocess.Popen(
        [sys.executable, "-m", "crash.storm", str(folder), str(seed), str(STEPS), *more],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert child.stdout is not None
    said = []
    try:
        for number, line in enumerate(child.stdout):
            if line.endswith("\n"):
                said.append(json.loads(line))
            if number == kill_after:
                child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait(30)
        child.stdout.close()
    return said


def check(folder: Path, said: list[dict[str, Any]]) -> None:
    """Open the store that was left and compare it with what was acknowledged."""
    model = Model()
    pending = None
    modseqs = [0]
    for line in said:
        if "begin" in line:
            pending = line["begin"]
        elif "done" in line:
            assert model.do(pending) == line["done"] == line["wanted"]
            if line["modseq"]:
                assert line["modseq"] > modseqs[-1]
                modseqs.append(line["modseq"])
            pending = None
    asyncio.run(_compare(folder, model, pending, modseqs[-1]))


async def _compare(folder: Path, model: Model, pending: dict[str, Any] | None, modseq: int) -> None:
    log: list[str] = []
    backend = open_store(folder, log)
    await backend.start()
    try:
        user = await open_user(backend, folder)
        boxes, uidnext, highest = await read_state(user)
        possible = [model]
        if pending is not None:
            after = model.copy()
            after.do(pending)
            possible.append(after)
        found = [each for each in possible if each.boxes == boxes and each.uidnext == uidnext]
        assert found, f"neither before nor after {pending}: {boxes} {uidnext}, wanted {[p.boxes for p in possible]}"
        assert highest >= modseq
        # And it goes on from there.
        model = found[0].copy()
        operation = {"do": "append", "box": "INBOX", "numbers": [999_996, 999_998]}
        uids, fresh = await perform(user, await user.get_mailbox("INBOX"), operation)
        assert uids == model.do(operation) and fresh > highest
        assert (await read_state(user))[0] == model.boxes
        assert not [line for line in log if line.startswith("error")]
    finally:
        await backend.aclose()


def test_every_point_is_tried() -> None:
    text = "".join(path.read_text() for path in (ROOT / "roost" / "storage").rglob("*.py"))
    assert set(re.findall(r'crash_point\("([^"]+)"\)', text)) == {point for point, _ in POINTS}


@pytest.mark.parametrize(("point", "nth"), POINTS)
def test_killed_at_a_point(tmp_path: Path, point: str, nth: int) -> None:
    said = run_child(tmp_path, nth, point, str(nth))
    assert {"finished": True} not in said, f"{point} was not passed {nth} times"
    check(tmp_path, said)


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_random(tmp_path: Path, seed: int) -> None:
    """Anywhere, also inside SQLite and between two system calls; then again in the store that was left."""
    said = run_child(tmp_path, seed, kill_after=random.Random(seed).randrange(3, 300))
    check(tmp_path, said)


def test_two_processes_killed_side_by_side(tmp_path: Path) -> None:
    """Both deliver to one user: what either was told is stored is there, under the UID it was told, once."""
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom crash.storm import *\n"
        "async def main():\n"
        "    folder, tag = Path(sys.argv[1]), sys.argv[2].encode()\n"
        "    backend = open_store(folder)\n    await backend.start()\n    user = await open_user(backend, folder)\n"
        "    box = await user.get_mailbox('INBOX')\n"
        "    for n in range(100000):\n"
        "        data = tag + b' %d\\r\\n' % n\n        upload = user.new_upload(0)\n        upload.write(data)\n"
        "        result = await box.create_messages([NewMessage(upload)])\n"
        "        uid = result.uids.first\n"
        "        await box.update_messages_flags(Ranges.of(uid), FlagsOp.ADD, Flags(2))\n"
        "        say(uid=uid, digest=digest(data))\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), tag], stdout=subprocess.PIPE, env=environment, text=True
        )
        for tag in ("one", "two")
    ]
    said: list[dict[str, Any]] = []
    try:
        for child in children:
            assert child.stdout is not None
            for _ in range(40):
                said.append(json.loads(child.stdout.readline()))
    finally:
        for child in children:
            child.kill()
        for child in children:
            assert child.stdout is not None
            said += [json.loads(line) for line in child.stdout if line.endswith("\n")]
            child.wait(30)
            child.stdout.close()

    async def compare() -> None:
        backend = open_store(tmp_path)
        await backend.start()
        boxes, uidnext, _ = await read_state(await open_user(backend, tmp_path))
        await backend.aclose()
        inbox = boxes["INBOX"]
        assert len({line["uid"] for line in said}) == len(said)
        for line in said:
            assert inbox[line["uid"]] == (line["digest"], frozenset({"\\Answered"}))
        assert len(said) <= len(inbox) <= len(said) + 2 and sorted(inbox) == list(range(1, uidnext["INBOX"]))

    asyncio.run(compare())
