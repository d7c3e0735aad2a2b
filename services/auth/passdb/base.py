"""What a passdb or userdb driver of this room is built from: its block's settings and this context.

The drivers' own promises, and the context, are ``roost/auth/api.py``; drivers of others see nothing else.
"""

from __future__ import annotations

from roost.auth.api import DriverContext

__all__ = ["DriverContext"]
