"""Lookups of addresses for scripts, through the system's resolver."""

from __future__ import annotations

from dataclasses import dataclass

from roost.settings.fields import MSECS, UINT, setting


@dataclass(frozen=True)
class DnsSettings:
    """``dovecot.dns`` of Lua, by process; the HTTP client has the same time limit."""

    dns_client_max_waiting: int = setting(
        1000, type=UINT, low=1, unit="lookups", text="Lookups that may wait for a thread; above it they fail."
    )
    dns_client_threads: int = setting(8, type=UINT, low=1, high=100, unit="threads", text="Lookups at once.")
    dns_client_timeout_msecs: int = setting(10_000, type=MSECS, low=1, text="How long one lookup may take.")
