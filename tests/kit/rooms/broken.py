"""A room that never gets ready."""

from __future__ import annotations

from roost.proc.contract import ChildContext


def serve(context: ChildContext) -> int:
    raise RuntimeError("this room is broken")
