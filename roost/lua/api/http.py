"""``dovecot.http``: clients, requests and responses of scripts.

The network is behind a ``HttpDoor`` (``roost.clients.http.lua.LuaHttp`` in real life), given by whoever makes the
script: ``Script.from_file(path, [http.family(door), …])``. ``submit()`` suspends the script only; where Lua cannot
yield, the request is made in a helper thread while the process waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from roost.errors import ConfigError
from roost.events.event import Event
from roost.lua.api.base import Api, ScriptError, lua_text
from roost.lua.values import octets

if TYPE_CHECKING:
    from roost.lua.script import Script

_SOURCE = lua_text(__file__, "http.lua")
Answer = tuple[int, str, bytes, bytes]
"""Status, reason, headers (``name LF value LF`` each, names in lower case), payload."""


class HttpDoor(Protocol):
    """What makes the requests. ``settings`` is opaque here; the same values give one that may share connections."""

    def settings(self, values: Mapping[str, Any], compat: bool) -> tuple[Any, list[str]]:
        """Checked settings and what was tolerated. Raises ConfigError with Dovecot's text in ``why``."""

    def check(self, method: str, url: str) -> None:
        """Raises ValueError (``Failed to parse url URL: REASON``)."""

    async def submit(
        self, settings: Any, method: str, url: str, headers: list[tuple[str, bytes]], body: bytes | None, sync: bool
    ) -> Answer:
        """Never raises for what the network does."""

    def submit_blocking(
        self, settings: Any, method: str, url: str, headers: list[tuple[str, bytes]], body: bytes | None, sync: bool
    ) -> Answer:
        """The same in a thread without a loop."""


@dataclass(frozen=True, slots=True)
class _Client:
    settings: Any
    event: Event


def family(door: HttpDoor) -> Callable[[Script], Api]:
    """``dovecot.http`` for scripts."""
    return lambda script: _make(script, door)


def _make(script: Script, door: HttpDoor) -> Api:
    compat = script.settings.lua_compat != "2.4"

    def client(values: dict[Any, Any], event: int) -> tuple[int, str]:
        try:
            settings, notes = door.settings({str(key): value for key, value in values.items()}, compat)
        except ConfigError as error:
            raise ScriptError(f"Invalid HTTP client setting: {error.why}") from None
        parent: Event = script.kept(event) if event else script.event
        text = "dovecot.http.client: settings of Dovecot 2.3: " + ", ".join(notes) if notes else ""
        return script.keep(_Client(settings, parent.child())), text

    def check(method: str, url: str) -> None:
        try:
            door.check(method, url)
        except ValueError as error:
            raise ScriptError(str(error)) from None

    def request_event(number: int, parent: int, method: str, url: str) -> int:
        above: Event = script.kept(parent) if parent else script.kept(number).event
        event = above.child()
        event.add_field("method", method)
        event.add_field("url", url)
        return script.keep(event)

    def arguments(
        number: int, method: str, url: str, headers: str, body: str | None, sync: bool | None
    ) -> tuple[Any, str, str, list[tuple[str, bytes]], bytes | None, bool]:
        lines = headers.split("\n") if headers else []
        pairs = [(lines[at], octets(lines[at + 1])) for at in range(0, len(lines) - 1, 2)]
        payload = None if body is None else octets(body)
        return script.kept(number).settings, method, url, pairs, payload, bool(sync)

    def submit(*given: Any) -> Awaitable[Answer]:
        return door.submit(*arguments(*given))

    def blocking(*given: Any) -> Answer:
        return door.submit_blocking(*arguments(*given))

    return Api(
        name="dovecot.http",
        source=_SOURCE,
        functions={"client": client, "check": check, "event": request_event},
        hosts={"http.submit": submit},
        blocking={"http.submit": blocking},
    )
