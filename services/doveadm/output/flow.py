"""flow: a line a record, ``title=value`` separated by spaces; columns without a title show the value alone."""

from __future__ import annotations

from collections.abc import Sequence

from services.doveadm.output.base import Column, Screen, clean


class Flow:
    def __init__(self, screen: Screen) -> None:
        self._out = screen.out
        self._columns: Sequence[Column] = ()

    def begin(self, columns: Sequence[Column]) -> None:
        self._columns = columns

    def row(self, values: Sequence[str]) -> None:
        parts = [
            clean(value) if column.hide_title else f"{column.shown}={clean(value)}"
            for column, value in zip(self._columns, values, strict=True)
        ]
        self._out.write(" ".join(parts) + "\n")

    def end(self) -> None:
        pass
