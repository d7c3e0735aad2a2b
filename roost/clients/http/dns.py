"""Addresses of hosts: the system's resolver in a helper thread, one question per host at a time, answers kept a while.

Failures are not kept. At most MAX_HOSTS answers are remembered, the oldest goes first.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

MAX_HOSTS: Final = 1000


class LookupFailed(Exception):
    """No address; the text is the resolver's."""


class Resolver:
    """See the head of this file. All methods on the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ttl_msecs: int, timeout_msecs: int) -> None:
        self._loop = loop
        self._ttl_secs = ttl_msecs / 1000
        self._timeout_secs = timeout_msecs / 1000
        self._known: dict[str, tuple[float, list[str]]] = {}
        self._asking: dict[str, asyncio.Task[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """At least one address, in the resolver's order. Raises LookupFailed."""
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        known = self._known.get(host)
        if known is not None:
            if self._loop.time() < known[0]:
                return known[1]
            del self._known[host]
        task = self._asking.get(host)
        if task is None:
            task = self._asking[host] = self._loop.create_task(self._ask(host), name=f"lookup {host}")
            task.add_done_callback(lambda _: self._asking.pop(host, None))
        return await asyncio.shield(task)

    def close(self) -> None:
        for task in self._asking.values():
            task.cancel()

    async def _ask(self, host: str) -> list[str]:
        try:
            async with asyncio.timeout(self._timeout_secs or None):
                rows = await self._loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise LookupFailed("DNS lookup timed out") from None
        except (OSError, UnicodeError) as error:
            raise LookupFailed(getattr(error, "strerror", None) or str(error)) from None
        found = list(dict.fromkeys(str(row[4][0]) for row in rows))
        if not found:
            raise LookupFailed("No address associated with hostname")
        if self._ttl_secs:
            if len(self._known) >= MAX_HOSTS:
                del self._known[next(iter(self._known))]
            self._known[host] = (self._loop.time() + self._ttl_secs, found)
        return found
