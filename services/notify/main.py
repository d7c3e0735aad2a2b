"""SERVICE: the notify room as the worker frame sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.settings.schema.notify import NotifySettings
from roost.worker.service import Service
from services.notify.room import NotifyRoom

if TYPE_CHECKING:
    from roost.worker.service import Worker


async def start(worker: Worker) -> NotifyRoom:
    settings = worker.config.section(NotifySettings, service=worker.service.name)
    return NotifyRoom(worker, max_line_octets=settings.notify_max_line_length, queue_limit=settings.notify_queue_limit)


SERVICE = Service("notify", start)
