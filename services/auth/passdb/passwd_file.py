"""passdb passwd-file: passwords and extra fields out of a file (``services/auth/passwd_file.py`` reads it)."""

from __future__ import annotations

from roost.auth.api import Entry, Query
from roost.settings.schema.auth import PassdbSettings
from services.auth.passdb.base import DriverContext
from services.auth.passwd_file import open_files


class PasswdFile:
    """See the head of this file."""

    immediate = True  # no need of a task
    variables: frozenset[str] | None = None  # the file is in memory: a cache would only hold it twice

    def __init__(self, settings: PassdbSettings, context: DriverContext) -> None:
        self.files = open_files(settings.passwd_file_path, settings.passwd_file_max_size_octets, context)

    async def find(self, query: Query) -> Entry | None:
        table = self.files.cached(query) or await self.files.table(query)
        row = table.row(query.user) if table is not None else None
        return None if row is None else row.entry(query)

    async def store(self, query: Query, password_text: str) -> None:
        """The file is replaced by one in which this user's password is another. Raises Unavailable, Refused."""
        await self.files.store(query, password_text)

    def decoy(self) -> str:
        return self.files.typical
