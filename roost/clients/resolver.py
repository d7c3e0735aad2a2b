"""Names → addresses by the system's resolver (getaddrinfo), in a few threads, bounded in time and number."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from roost.lua.api.dns import FAILED, DnsFailure

TRY_AGAIN = socket.EAI_AGAIN
MAX_NAME_OCTETS = 255


class Resolver:
    """Works on any loop. Threads are started by the first lookup."""

    def __init__(self, timeout_secs: float = 10, threads: int = 8, waiting: int = 1000) -> None:
        self._timeout_secs = timeout_secs
        self._threads = threads
        self._limit = threads + waiting
        self._pending = 0
        self._pool: ThreadPoolExecutor | None = None

    async def resolve(self, host: str) -> list[str]:
        """The addresses, in the system's order, each once. Raises DnsFailure."""
        if not host or len(host) > MAX_NAME_OCTETS or not host.isprintable():
            raise DnsFailure("Name or service not known", socket.EAI_NONAME)
        if self._pending >= self._limit:
            raise DnsFailure("Too many DNS lookups at once", TRY_AGAIN)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="dns")
        self._pending += 1
        future = self._pool.submit(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
        future.add_done_callback(self._done)
        try:
            async with asyncio.timeout(self._timeout_secs):
                found = await asyncio.wrap_future(future)
        except TimeoutError:
            raise DnsFailure(f"DNS lookup timed out in {self._timeout_secs:.3f} secs", TRY_AGAIN) from None
        except socket.gaierror as error:
            raise DnsFailure(error.strerror or "DNS lookup failed", error.errno or FAILED) from None
        except (OSError, UnicodeError) as error:
            raise DnsFailure(str(error), FAILED) from None
        return list(dict.fromkeys(str(row[4][0]) for row in found))

    def _done(self, _future: object) -> None:
        self._pending -= 1

    def close(self) -> None:
        """Lookups at work go on by themselves; those behind them are dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
