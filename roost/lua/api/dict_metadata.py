"""Attributes of users and mailboxes in a dict (``mail_attribute { dict … }``), under Dovecot's keys.

``/private/X`` of a mailbox is the dict's ``priv/MAILBOX-ID/X``, ``/shared/X`` is ``shared/MAILBOX-ID/X``.
"""

from __future__ import annotations

from collections.abc import Mapping

from roost.dict.api import Flags
from roost.dict.front import Dict
from roost.errors import Unavailable
from roost.storage.api import User


class DictMetadata:
    """``Metadata`` of one user."""

    def __init__(self, store: Dict, user: User) -> None:
        self._dict = store
        self._user = user

    async def get(self, mailbox: str, key: str) -> bytes | None:
        """Raises RoostError."""
        values = await self._dict.lookup(await self._key(mailbox, key), self._user.username)
        return values[0] if values else None

    async def set(self, mailbox: str, key: str, value: bytes | None) -> None:
        """None removes it. Raises RoostError."""
        change = self._dict.transaction(self._user.username)
        place = await self._key(mailbox, key)
        if value is None:
            change.unset(place)
        else:
            change.set(place, value)
        result = await change.commit()
        if not result.ok:
            raise Unavailable("Setting the attribute failed", detail=result.reason)

    async def list(self, mailbox: str, prefix: str) -> Mapping[str, bytes]:
        """Raises RoostError."""
        place = await self._key(mailbox, prefix)
        begin = len(place) - len(prefix.split("/", 2)[2])
        shown = prefix[: prefix.index("/", 1) + 1]
        rows = await self._dict.all_rows(place, Flags.RECURSE, self._user.username)
        return {shown + key[begin:]: values[0] for key, values in rows if values}

    async def _key(self, mailbox: str, key: str) -> str:
        box = await self._user.get_mailbox(mailbox)
        try:
            _, kind, rest = key.split("/", 2)
            return f"{'priv' if kind == 'private' else 'shared'}/{box.id}/{rest}"
        finally:
            await box.aclose()
