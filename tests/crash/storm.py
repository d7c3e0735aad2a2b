"""A store under a storm of changes in a process that will be killed, and the model that says what must be there after.

The child says each operation before it begins and after it was acknowledged, a line each. ``Model`` does the same
operations on plain dictionaries; it knows in advance which UIDs the store must give. After a kill the store must be
the model with the last, unacknowledged operation either done or not done.

    python -m crash.storm FOLDER SEED STEPS [POINT NTH]
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
from pathlib import Path
from typing import Any

from roost import durable
from roost.storage.api import (
    SYSTEM_FLAGS,
    Backend,
    BackendContext,
    ConnInfo,
    FetchRequest,
    Flags,
    FlagsOp,
    Identity,
    Items,
    Mailbox,
    NewMessage,
    User,
)
from roost.storage.backends import open_backend
from roost.util.ranges import Ranges

BOXES = ("INBOX", "Trash")
FLAG_NAMES = ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered")
SETTINGS: dict[str, object] = {"store_body_inline_max": 3000, "store_idle_close_secs": 3600}
BIG = 5000

Operation = dict[str, Any]
Box = dict[int, tuple[str, frozenset[str]]]  # uid -> (digest, flags)


def body_of(number: int) -> bytes:
    """Message ``number``; every fourth is large enough to be a file."""
    filler = b"%d " % number * (BIG // 2 if number % 4 == 0 else 20)
    return b"Subject: message %d\r\n\r\n" % number + filler + b"\r\n"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


class Model:
    """What the mailboxes hold."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {name: {} for name in BOXES}
        self.uidnext = dict.fromkeys(BOXES, 1)

    def copy(self) -> Model:
        twin = Model()
        twin.boxes = {name: dict(box) for name, box in self.boxes.items()}
        twin.uidnext = dict(self.uidnext)
        return twin

    def do(self, op: Operation) -> list[int]:
        """Apply; the UIDs the store must answer with."""
        box = self.boxes[op["box"]]
        match op["do"]:
            case "append":
                return [self._add(op["box"], digest(body_of(n)), frozenset()) for n in op["numbers"]]
            case "store":
                for uid in op["uids"]:
                    if uid in box:
                        text, flags = box[uid]
                        box[uid] = (text, flags | {op["flag"]} if op["add"] else flags - {op["flag"]})
                return []
            case "expunge":
                gone = [uid for uid, (_, flags) in box.items() if "\\Deleted" in flags]
                for uid in gone:
                    del box[uid]
                return gone
            case "copy" | "move":
                chosen = [uid for uid in op["uids"] if uid in box]
                made = [self._add(op["to"], *box[uid]) for uid in chosen]
                if op["do"] == "move":
                    for uid in chosen:
                        del box[uid]
                return made
            case _:
                return []

    def _add(self, name: str, text: str, flags: frozenset[str]) -> int:
        uid = self.uidnext[name]
        self.uidnext[name] += 1
        self.boxes[name][uid] = (text, flags)
        return uid


def next_operation(rng: random.Random, model: Model, step: int) -> Operation:
    """Anything, on messages that are there."""
    name = rng.choice(BOXES)
    uids = sorted(uid for uid in model.boxes[name] if rng.random() < 0.4)
    kind = rng.choices(
        ["append", "store", "expunge", "copy", "move", "select", "fold", "collect", "checkpoint"],
        [6, 6, 3, 2, 2, 2, 1, 1, 1],
    )[0]
    if kind == "append":
        count = rng.choice([1, 1, 1, 3])
        return {"do": "append", "box": name, "numbers": [step * 10 + n for n in range(count)]}
    if kind == "store":
        return {"do": "store", "box": name, "uids": uids, "flag": rng.choice(FLAG_NAMES), "add": rng.random() < 0.7}
    return {"do": kind, "box": name, "uids": uids, "to": BOXES[1 - BOXES.index(name)]}


def open_store(folder: Path, log: list[str] | None = None) -> Backend:
    def note(level: str, text: str) -> None:
        if log is not None:
            log.append(f"{level}: {text}")

    return open_backend("sqlite", BackendContext(SETTINGS, lambda update: None, note))


async def open_user(backend: Backend, folder: Path, name: str = "u") -> User:
    return await backend.open_user(ConnInfo("crash"), Identity(name, str(folder / name)))


async def perform(user: User, mailbox: Mailbox, op: Operation) -> tuple[list[int], int]:
    """Do it on the store: (UIDs, modseq)."""
    match op["do"]:
        case "append":
            messages = []
            for number in op["numbers"]:
                data = body_of(number)
                upload = user.new_upload(len(data))
                upload.write(data)
                messages.append(NewMessage(upload))
            added = await mailbox.create_messages(messages)
            return list(added.uids), added.modseq
        case "select":
            await mailbox.select(read_only=False, claim_recent=True)
        case "store":
            how = FlagsOp.ADD if op["add"] else FlagsOp.REMOVE
            flags = Flags(SYSTEM_FLAGS[op["flag"]])
            return [], (await mailbox.update_messages_flags(Ranges.of(*op["uids"]), how, flags)).modseq
        case "expunge":
            gone = await mailbox.expunge()
            return list(gone.vanished), gone.modseq
        case "copy":
            copied = await mailbox.copy_messages(Ranges.of(*op["uids"]), op["to"])
            return list(copied.dest), copied.modseq
        case "move":
            copied = await mailbox.move_messages(Ranges.of(*op["uids"]), op["to"])
            return list(copied.dest), copied.modseq
        case "fold":
            await mailbox.check()
        case "collect":
            user.store.care._collect()  # type: ignore[attr-defined]  # what a timer does
            await mailbox.status()
        case "checkpoint":
            user.store.writer.checkpoint_due = True  # type: ignore[attr-defined]
    return [], 0


async def read_state(user: User) -> tuple[dict[str, Box], dict[str, int], int]:
    """Mailboxes, UIDNEXTs and the greatest modseq, as the store shows them."""
    boxes: dict[str, Box] = {}
    uidnext = {}
    highest = 0
    for name in BOXES:
        mailbox = await user.get_mailbox(name)
        snapshot = await mailbox.select(read_only=True, claim_recent=False)
        box: Box = {}
        async for batch in mailbox.list_messages(
            Ranges.span(1, 1 << 31), FetchRequest(Items.FLAGS | Items.CONTENT | Items.MODSEQ | Items.ENVELOPE)
        ):
            for uid, mask, body in zip(batch.uids, batch.flags or (), batch.contents or (), strict=True):
                names = frozenset(flag for flag, bit in SYSTEM_FLAGS.items() if mask & bit)
                box[uid] = (digest(await body.read()), names)
        status = await mailbox.status()
        assert status.messages == len(box) == snapshot.count
        boxes[name], uidnext[name] = box, snapshot.uidnext
        highest = max(highest, snapshot.highest_modseq)
    return boxes, uidnext, highest


def say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def storm(folder: Path, seed: int, steps: int) -> None:
    """Until killed, or ``steps`` operations later."""
    rng = random.Random(seed)
    model = Model()
    backend = open_store(folder)
    await backend.start()
    user = await open_user(backend, folder)
    await user.list_mailboxes()
    say(ready=True)
    boxes = {name: await user.get_mailbox(name) for name in BOXES}
    for step in range(steps):
        op = next_operation(rng, model, step)
        say(begin=op)
        uids, modseq = await perform(user, boxes[op["box"]], op)
        wanted = model.do(op)
        say(done=uids, modseq=modseq, wanted=wanted)
    await backend.aclose()
    say(finished=True)


if __name__ == "__main__":
    if len(sys.argv) > 4:
        durable.arm(sys.argv[4], int(sys.argv[5]))
    asyncio.run(storm(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
