"""The notify room, which carries hints of changes between processes."""

from __future__ import annotations

from dataclasses import dataclass

from roost.settings.fields import SIZE, STR, UINT, setting


@dataclass(frozen=True)
class NotifySettings:
    """Read by the notify room and by every room that publishes or watches."""

    notify_max_line_length: int = setting(8 << 10, type=SIZE, low=1024, text="Longest line on the notify socket.")
    notify_queue_limit: int = setting(
        10000, type=UINT, low=16, unit="hints", text="Hints waiting for one slow process; beyond, it is told to resync."
    )
    notify_socket_path: str = setting("notify", type=STR, text="Socket of the notify service; relative to base_dir.")
