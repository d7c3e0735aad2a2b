"""json: one array of objects, without spaces and without a line end after it, as Dovecot writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from services.doveadm.output.base import Column, Screen


class Json:
    def __init__(self, screen: Screen) -> None:
        self._out = screen.out
        self._columns: Sequence[Column] = ()
        self._first = True

    def begin(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._out.write("[")

    def row(self, values: Sequence[str]) -> None:
        record = {
            column.key: int(value) if column.number and value.lstrip("-").isdigit() else value
            for column, value in zip(self._columns, values, strict=True)
        }
        self._out.write(("" if self._first else ",") + json.dumps(record, separators=(",", ":")))
        self._first = False

    def end(self) -> None:
        self._out.write("]")
