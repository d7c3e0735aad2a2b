"""The anvil room, which counts sessions by user and address."""

from __future__ import annotations

from dataclasses import dataclass

from roost.settings.fields import SECS, SIZE, STR, UINT, setting


@dataclass(frozen=True)
class AnvilSettings:
    """Read by the anvil room and by every room that has sessions."""

    anvil_max_line_length: int = setting(8 << 10, type=SIZE, low=1024, text="Longest line on the anvil socket.")
    anvil_max_penalties: int = setting(
        50000,
        type=UINT,
        low=1,
        unit="addresses",
        text="Addresses with failed logins remembered at once, each for 29 s after its last failure; above it the "
        "oldest is forgotten.",
    )
    anvil_max_sessions: int = setting(
        200000, type=UINT, low=1, unit="sessions", text="Sessions remembered at once; further ones are not counted."
    )
    anvil_socket_path: str = setting("anvil", type=STR, text="Socket of the anvil service; relative to base_dir.")
    anvil_timeout_secs: int = setting(
        2, type=SECS, low=1, text="A login does not wait longer than this for the count of its sessions."
    )
