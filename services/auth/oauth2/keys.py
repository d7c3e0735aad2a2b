"""The keys of JWTs: looked up in a dict at ``shared/<azp>/<ALG>/<kid>`` and kept until the process ends.

Both names come from the token, before anything of it is verified; escaped, neither can reach another place. Only keys
that were found are kept, so made-up names fill no memory.
"""

from __future__ import annotations

from collections import OrderedDict

from roost.dict.front import Dict
from roost.errors import Malformed, RoostError, Unavailable
from services.auth.oauth2.rules import TokenRefused
from services.auth.oauth2.signatures import BadKey, load_key

_ESCAPES = str.maketrans({"/": "%2f", "%": "%25", ".": "%2e"})


def key_path(party: str, algorithm: str, key_id: str) -> str:
    """Where the dict has the key."""
    return f"shared/{party.translate(_ESCAPES)}/{algorithm}/{key_id.translate(_ESCAPES)}"


class Keys:
    """At most ``limit`` in memory; the one not used for the longest time goes."""

    def __init__(self, source: Dict, limit: int) -> None:
        self._dict = source
        self._limit = limit
        self._known: OrderedDict[str, object] = OrderedDict()

    async def get(self, party: str, algorithm: str, key_id: str) -> object:
        """Raises TokenRefused (no such key), Unavailable."""
        path = key_path(party, algorithm, key_id)
        found = self._known.get(path)
        if found is not None:
            self._known.move_to_end(path)
            return found
        try:
            values = await self._dict.lookup(path)
        except Unavailable:
            raise
        except Malformed:
            values = None
        except RoostError as error:
            raise TokenRefused(f"JWT of a key with an impossible name ({error.client_text})") from None
        if values is None:
            raise TokenRefused(f"JWT of an unknown key ({path})")
        try:
            key = load_key(algorithm, values[0])
        except BadKey as error:
            detail = f"the key {path} in dict {self._dict.name}: {error}"
            raise Unavailable("Temporary authentication failure.", detail=detail) from None
        self._known[path] = key
        if len(self._known) > self._limit:
            self._known.popitem(last=False)
        return key

    async def close(self) -> None:
        await self._dict.close()
