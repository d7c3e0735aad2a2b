"""The event loop: uvloop, or asyncio's own where uvloop is missing or ``ROOST_LOOP=asyncio`` asks for it.

The only door to uvloop. asyncio's TLS keeps a buffer of 256 KB for every connection; here it is made 16 KB.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import os

try:
    import uvloop
except ImportError:  # no wheel for this platform: slower, but everything works
    uvloop = None  # type: ignore[assignment,unused-ignore]

ENVIRONMENT = "ROOST_LOOP"
SSL_BUFFER_OCTETS = 16 * 1024


def new_loop(kind: str = "") -> asyncio.AbstractEventLoop:
    """A fresh loop, set as the current one. ``kind``: "uvloop", "asyncio", or "" for what the environment says."""
    wanted = kind or os.environ.get(ENVIRONMENT, "uvloop")
    loop: asyncio.AbstractEventLoop
    if wanted == "asyncio" or uvloop is None:
        asyncio.sslproto.SSLProtocol.max_size = SSL_BUFFER_OCTETS  # type: ignore[misc,unused-ignore]
        loop = asyncio.SelectorEventLoop()
    else:
        loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def is_uvloop(loop: asyncio.AbstractEventLoop) -> bool:
    return uvloop is not None and isinstance(loop, uvloop.Loop)


def backend_fd(loop: asyncio.AbstractEventLoop) -> int:
    """The epoll descriptor of a uvloop; -1 for other loops."""
    return int(loop._get_backend_id()) if is_uvloop(loop) else -1  # type: ignore[attr-defined]  # uvloop's own
