"""pager: a line a column, ``title: value``; records are separated by a form feed and a line end."""

from __future__ import annotations

from collections.abc import Sequence

from services.doveadm.output.base import Column, Screen, clean


class Pager:
    def __init__(self, screen: Screen) -> None:
        self._out = screen.out
        self._columns: Sequence[Column] = ()
        self._first = True

    def begin(self, columns: Sequence[Column]) -> None:
        self._columns = columns

    def row(self, values: Sequence[str]) -> None:
        if not self._first:
            self._out.write("\f\n")
        self._first = False
        for column, value in zip(self._columns, values, strict=True):
            self._out.write(f"{clean(value)}\n" if column.hide_title else f"{column.shown}: {clean(value)}\n")

    def end(self) -> None:
        pass
