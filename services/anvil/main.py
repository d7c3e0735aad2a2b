"""SERVICE: the anvil room as the worker frame sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.settings.schema.anvil import AnvilSettings
from roost.worker.service import Service
from services.anvil.room import AnvilRoom

if TYPE_CHECKING:
    from roost.worker.service import Worker


async def start(worker: Worker) -> AnvilRoom:
    settings = worker.config.section(AnvilSettings, service=worker.service.name)
    return AnvilRoom(
        worker,
        max_line_octets=settings.anvil_max_line_length,
        max_sessions=settings.anvil_max_sessions,
        max_penalties=settings.anvil_max_penalties,
    )


SERVICE = Service("anvil", start)
