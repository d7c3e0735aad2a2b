"""tab: a line of titles, then a line a record, separated by TAB. For scripts."""

from __future__ import annotations

from collections.abc import Sequence

from services.doveadm.output.base import Column, Screen, clean


class Tab:
    def __init__(self, screen: Screen) -> None:
        self._out = screen.out
        self._titles = screen.titles

    def begin(self, columns: Sequence[Column]) -> None:
        if self._titles:
            self._out.write("\t".join(column.shown for column in columns) + "\n")

    def row(self, values: Sequence[str]) -> None:
        self._out.write("\t".join(clean(value) for value in values) + "\n")

    def end(self) -> None:
        pass
