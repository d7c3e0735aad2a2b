"""table: a line of titles and aligned columns, sized by the first hundred rows and the terminal's width.

Spare width: half of it goes to the first ``expand`` column, or to the last one. Too wide: columns shrink from the right
towards the length of their titles; a value longer than its column is shown whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.doveadm.output.base import Column, Screen, clean

SIZED_ROWS = 100
LEAST_WIDTH = 30
BOLD, NORMAL = "\x1b[1m", "\x1b[m"


class Table:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._columns: Sequence[Column] = ()
        self._rows: list[list[str]] | None = []
        self._widths: list[int] = []

    def begin(self, columns: Sequence[Column]) -> None:
        self._columns = columns

    def row(self, values: Sequence[str]) -> None:
        cleaned = [clean(value) for value in values]
        if self._rows is None:
            self._line(cleaned)
            return
        self._rows.append(cleaned)
        if len(self._rows) >= SIZED_ROWS:
            self._begin_lines()

    def end(self) -> None:
        if self._rows is not None:
            self._begin_lines()

    def _begin_lines(self) -> None:
        rows, self._rows = self._rows or [], None
        self._widths = self._sizes(rows)
        if self._screen.titles and any(not column.hide_title for column in self._columns):
            titles = ["" if column.hide_title else column.shown for column in self._columns]
            self._line(titles, *((BOLD, NORMAL) if self._screen.bold else ("", "")))
        for row in rows:
            self._line(row)

    def _sizes(self, rows: list[list[str]]) -> list[int]:
        least = [len(column.shown) for column in self._columns]
        widths = [max([smallest, *(len(row[at]) for row in rows)]) for at, smallest in enumerate(least)]
        room = max(self._screen.width, LEAST_WIDTH)
        total = sum(widths) + len(widths) - 1
        for at in reversed(range(len(widths))):
            if total > room:
                cut = min(total - room, widths[at] - least[at])
                widths[at] -= cut
                total -= cut
        if widths and total < room:
            at = next((at for at, column in enumerate(self._columns) if column.expand), len(widths) - 1)
            widths[at] += (room - total) // 2
        return widths

    def _line(self, values: Sequence[str], before: str = "", after: str = "") -> None:
        cells = [
            value.rjust(width) if column.right else value.ljust(width)
            for column, value, width in zip(self._columns, values, self._widths, strict=True)
        ]
        self._screen.out.write(before + " ".join(cells).rstrip() + after + "\n")
