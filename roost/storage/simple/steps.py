"""The steps a change is made of, and their form as one line of text (JSON) for stores that keep a log."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from roost.util.ranges import Ranges


@dataclass(frozen=True, slots=True)
class Message:
    """One message at rest. ``email_id`` is shared by its copies."""

    data: bytes
    internal_date: int
    save_date: int
    email_id: str


@dataclass(frozen=True, slots=True)
class Create:
    """A mailbox, or with ``noselect`` only its name."""

    modseq: int
    mailbox: str
    name: str
    uidvalidity: int
    special_use: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """The mailbox with all its messages; with ``keep_name`` its name stays as \\Noselect."""

    modseq: int
    mailbox: str
    keep_name: bool = False


@dataclass(frozen=True, slots=True)
class Rename:
    """``uidvalidity`` differs from the old one when the new name had a greater one before."""

    modseq: int
    mailbox: str
    name: str
    uidvalidity: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    """By name, whether or not there is such a mailbox."""

    modseq: int
    name: str
    subscribed: bool


@dataclass(frozen=True, slots=True)
class Keywords:
    """The mailbox's keyword table grew; this is all of it."""

    modseq: int
    mailbox: str
    table: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Append:
    """New messages with their flag masks; a copied message shares its source's ``Message``."""

    modseq: int
    mailbox: str
    uids: Ranges
    masks: tuple[int, ...]
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Store:
    """Flags of messages; ``op`` is ``add``, ``remove`` or ``set``."""

    modseq: int
    mailbox: str
    uids: Ranges
    op: str
    mask: int


@dataclass(frozen=True, slots=True)
class Expunge:
    """Messages that are no more."""

    modseq: int
    mailbox: str
    uids: Ranges


@dataclass(frozen=True, slots=True)
class Claim:
    """Messages below ``first_recent`` are \\Recent for nobody any more. Takes no modseq."""

    mailbox: str
    first_recent: int


Step: TypeAlias = Create | Delete | Rename | Subscribe | Keywords | Append | Store | Expunge | Claim

STEPS: dict[str, type[Step]] = {
    kind.__name__: kind for kind in (Create, Delete, Rename, Subscribe, Keywords, Append, Store, Expunge, Claim)
}


def to_line(steps: Sequence[Step]) -> bytes:
    """One change as one line, its LF included. Bodies are base64."""
    return json.dumps([_as_json(step) for step in steps], separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> list[Step]:
    """The change of one line. Raises ValueError (KeyError, TypeError too) for a damaged one."""
    return [_from_json(item) for item in json.loads(line)]


def _as_json(step: Step) -> dict[str, Any]:
    if isinstance(step, Append):
        messages = [
            [base64.b64encode(m.data).decode(), m.internal_date, m.save_date, m.email_id] for m in step.messages
        ]
        row = {"modseq": step.modseq, "mailbox": step.mailbox, "masks": step.masks, "messages": messages}
    else:
        row = asdict(step)
    uids = getattr(step, "uids", None)
    if isinstance(uids, Ranges):
        row["uids"] = uids.format().decode()
    return {"step": type(step).__name__, **row}


def _from_json(item: dict[str, Any]) -> Step:
    row = dict(item)
    kind = STEPS[row.pop("step")]
    if "uids" in row:
        row["uids"] = Ranges.parse(row["uids"].encode())
    if kind is Append:
        row["masks"] = tuple(row["masks"])
        row["messages"] = tuple(
            Message(base64.b64decode(data), internal, saved, email_id)
            for data, internal, saved, email_id in row["messages"]
        )
    elif kind is Keywords:
        row["table"] = tuple(row["table"])
    return kind(**row)
