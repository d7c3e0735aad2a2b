"""userdb passwd-file: uid, gid, home and ``userdb_…`` fields out of a file (``services/auth/passwd_file.py``)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from roost.auth.api import Query
from roost.settings.schema.auth import UserdbSettings
from services.auth.passdb.base import DriverContext
from services.auth.passwd_file import open_files


class PasswdFile:
    """See the head of this file."""

    immediate = True  # no need of a task
    variables: frozenset[str] | None = None  # the file is in memory: a cache would only hold it twice

    def __init__(self, settings: UserdbSettings, context: DriverContext) -> None:
        self._variable = "%{" in settings.passwd_file_path
        self.files = open_files(settings.passwd_file_path, settings.passwd_file_max_size_octets, context)

    async def find(self, query: Query) -> Mapping[str, str] | None:
        table = self.files.cached(query) or await self.files.table(query)
        row = table.row(query.user) if table is not None else None
        return None if row is None else row.place(query)

    def iterate(self) -> AsyncIterator[str] | None:
        """Every name of the file; None when there is a file for each user or domain."""
        return None if self._variable else self._names()

    async def _names(self) -> AsyncIterator[str]:
        table = await self.files.table(Query(""))
        for name in table.users() if table is not None else ():
            yield name
