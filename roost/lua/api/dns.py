"""``dns_client`` objects of scripts. Dovecot hands them out from C only; ``push`` does it from Python, and scripts may
make one with ``dovecot.dns.client()``, which is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from roost.errors import RoostError
from roost.lua.api.base import Api, lua_text

if TYPE_CHECKING:
    from roost.lua.script import Script

_SOURCE = lua_text(__file__, "dns.lua")
FAILED = -4  # EAI_FAIL


class DnsFailure(Exception):
    """``code``: getaddrinfo's (negative), or another number that is not 0."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class DnsDoor(Protocol):
    """What resolves: ``roost.clients.resolver.Resolver``."""

    async def resolve(self, host: str) -> list[str]:
        """The addresses, at least one. Raises DnsFailure."""
        ...


def family(door: DnsDoor) -> Callable[[Script], Api]:
    """``dovecot.dns`` for scripts."""
    return lambda script: _make(script, door)


def _make(script: Script, door: DnsDoor) -> Api:
    async def lookup(number: int, host: str) -> Any:
        one: DnsDoor = script.kept(number)
        try:
            return await one.resolve(host)
        except DnsFailure as error:
            return None, str(error), error.code
        except RoostError as error:
            return None, str(error), FAILED

    return Api(
        name="dovecot.dns",
        source=_SOURCE,
        functions={"client": lambda: script.keep(door)},
        hosts={"dns.lookup": lookup},
    )


def push(script: Script, door: DnsDoor) -> Any:
    """The Lua object for a resolver, to be given to a call. The script must have this family."""
    return script.tool("push_dns_client", script.keep(door))
