"""Addresses that fail to authenticate wait longer and longer for their next attempt (Dovecot's penalties).

Anvil is the store that outlives this process; the process keeps a table of its own, read from anvil when it connects
and followed since. So an address without failures costs one look into a table that is mostly empty, and no question.
While anvil is away nobody is delayed, and the log says so once.

Attempts that wait are bounded, by address and altogether: half of the requests a connection may have are left for
those who need not wait. More are refused for the time being.
"""

from __future__ import annotations

import ipaddress
import re
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from roost.clients.link import Greeting, Link
from roost.errors import Malformed
from roost.events.log import Log
from roost.ipc import anvil as wire
from roost.ipc.handshake import is_number
from roost.ipc.lines import MAX_LINE_OCTETS, decode_text, encode
from roost.util.penalty import EXPIRE_SECS, MAX_LEVEL, Penalties

NO_PENALTY: Final = "no-penalty"
NO_PENALTY_FIELD: Final = b"\tno-penalty\t"
IPV6_PREFIX: Final = 48

_remote_ip = re.compile(rb"\trip=([0-9A-Fa-f.:]{1,45})\t")


class PenaltyKeeper:
    """One a process. ``socket_path`` "": no penalties. ``now``: Unix seconds."""

    def __init__(self, socket_path: str, log: Log, *, limit: int, pid: int, now: Callable[[], float]) -> None:
        self.table = Penalties(limit)
        self.by_address: Mapping[str, object] = self.table.by_address  # empty: nobody is to be looked up
        self._pid = pid
        self._now = now
        self._waiting: dict[str, int] = {}
        self._all_waiting = 0
        self._link: Link | None = None
        if socket_path:
            self._link = Link(
                socket_path,
                Greeting(wire.CLIENT, wire.SERVER, wire.MAJOR, wire.MINOR),
                log,
                on_up=self._up,
                on_lines=self._lines,
                on_down=self.table.by_address.clear,
                max_line_octets=MAX_LINE_OCTETS,
            )

    async def start(self) -> None:
        """Connect. An absent anvil is tried again in the background."""
        if self._link is not None:
            await self._link.start()

    async def stop(self) -> None:
        if self._link is not None:
            await self._link.stop()

    @property
    def up(self) -> bool:
        return self._link is not None and self._link.up

    def level(self, address: str) -> int:
        """The level of a client's address, 0 for none."""
        return self.table.level(address, self._now()) if self.by_address else 0

    def concerns(self, line: bytes) -> bool:
        """Whether an AUTH line is of an address with a penalty."""
        found = _remote_ip.search(line)
        return found is not None and NO_PENALTY_FIELD not in line and self.level(shared_address(found[1].decode())) > 0

    def wait(self, address: str, limit: int, limit_of_all: int) -> bool:
        """One more attempt waits; False (then it does not) when ``limit`` of this address do already, or too many."""
        waiting = self._waiting.get(address, 0)
        if waiting >= limit or self._all_waiting >= limit_of_all:
            return False
        self._all_waiting += 1
        self._waiting[address] = waiting + 1
        return True

    def waited(self, address: str) -> None:
        """One less."""
        self._all_waiting -= 1
        left = self._waiting.get(address, 0) - 1
        if left > 0:
            self._waiting[address] = left
        else:
            self._waiting.pop(address, None)

    def failed(self, address: str, level: int, guess: int) -> None:
        """``level``: what held for the attempt. ``guess``: ``guess_of``, 0 when there was no password to see."""
        if address and self.up:
            level = min(level + 1, MAX_LEVEL)
            self.table.increase(address, guess, level, self._now())
            self._tell("PENALTY-INC", address, str(guess), str(level))

    def succeeded(self, address: str) -> None:
        """An attempt of an address with a penalty: it ends."""
        if address and self.up:
            self.table.increase(address, 0, 0, self._now())
            self._tell("PENALTY-INC", address, "0", "0")

    def _tell(self, *fields: str) -> None:
        assert self._link is not None
        self._link.write(encode(*fields))

    def _up(self) -> None:
        self.table.by_address.clear()
        self._tell("auth", str(self._pid))
        self._tell("PENALTY-SET-EXPIRE-SECS", str(EXPIRE_SECS))
        self._tell(wire.PENALTY_DUMP)

    def _lines(self, lines: list[bytes]) -> None:
        for line in lines:
            fields = decode_text(line)
            checksum = 0
            if fields[0] == wire.PENALTY_NEWS:
                if not is_number(fields[-1]):
                    raise Malformed("Unexpected reply.", detail=f"got {line[:80]!r}")
                checksum = int(fields[-1])
                fields = fields[1:-1]
            elif not line:
                continue  # the end of the dump
            row = wire.parse_penalty(fields)
            self.table.set(row.address, checksum, row.level, row.risen, row.updated)


def address_of(parameters: Mapping[str, str]) -> str:
    """Whose penalty an attempt has; "" = nobody's: no address, or it is not to have any."""
    if NO_PENALTY in parameters:
        return ""
    return shared_address(parameters.get("rip", ""))


@lru_cache(maxsize=4096)
def shared_address(text: str) -> str:
    """What clients are told apart by: the address, of IPv6 its /48; "" for what is no address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        network = ipaddress.IPv6Network((int(address) >> (128 - IPV6_PREFIX) << (128 - IPV6_PREFIX), IPV6_PREFIX))
        return str(network.network_address)
    return str(address)


def guess_of(password: bytes, user: bytes) -> int:
    """The checksum by which a password that is tried again for the same user is known."""
    return zlib.crc32(user, zlib.crc32(password))
