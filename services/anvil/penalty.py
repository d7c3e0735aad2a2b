"""The penalties of addresses, as auth processes tell them to anvil: they outlive an auth process, not an anvil."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from roost.ipc import anvil as wire
from roost.util.penalty import MAX_LEVEL, Penalties, Penalty


class Listener(Protocol):
    """An auth process that follows the table."""

    def write(self, data: bytes, /) -> object: ...


class PenaltyDesk:
    """The table and who follows it. ``now``: Unix seconds."""

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self.table = Penalties(limit)
        self.listeners: set[Listener] = set()
        self._now = now

    def obey(self, asker: Listener, word: str, arguments: list[str]) -> bytes:
        """One of the penalty commands; the answer, b"" for none. The arguments were checked by ``parse_command``."""
        now = self._now()
        if word == wire.PENALTY_DUMP:
            self.table.expire(now)
            return b"".join([wire.penalty_line(row) for row in self.rows()]) + b"\n"
        if word == "PENALTY-SET-EXPIRE-SECS":
            self.table.expire_secs = int(arguments[0])
            return b""
        address = arguments[0]
        if word == "PENALTY-GET":
            found = self.table.get(address, now)
            return b"0 0\n" if found is None else b"%d %d\n" % (found.level, found.risen)
        checksum, level = (int(arguments[1]), int(arguments[2])) if word == "PENALTY-INC" else (0, int(arguments[1]))
        self.table.increase(address, checksum, min(level, MAX_LEVEL), now)
        news = wire.penalty_news_line(_row(address, self.table.by_address[address]), checksum)
        for listener in self.listeners:
            if listener is not asker:
                listener.write(news)
        return b""

    def rows(self) -> Iterator[wire.PenaltyRow]:
        return (_row(address, one) for address, one in self.table.rows())


def _row(address: str, one: Penalty) -> wire.PenaltyRow:
    return wire.PenaltyRow(address, one.level, int(one.risen), int(one.updated))
