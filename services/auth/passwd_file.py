"""Files of the form ``user:password:uid:gid:(gecos):home:(shell):extra fields`` (Dovecot's passwd-file).

Empty lines and lines that begin with ``#`` or ``:`` are skipped; missing fields at the end are empty; extra fields are
separated by spaces, ``key=value`` or bare ``key``. ``%{variables}`` in the home and in extra fields are expanded when
the entry is used. A user who stands twice is reported, and the first line counts.

A file is read again when its modification time, size or inode changes. Big files are read in a thread. A file
bigger than ``passwd_file_max_size`` is refused. The path may hold variables (a file per domain); at most
MAX_FILES are kept in memory.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping

from roost.auth.api import Entry, Offload, Query
from roost.errors import ConfigError, Refused, Unavailable
from roost.events.log import Log
from roost.settings.variables import expand, expand_path
from services.auth.passdb.base import DriverContext
from services.auth.passwd_write import replace_password

MAX_FILES = 256
INLINE_OCTETS = 256 * 1024  # a file up to this size is read on the loop
SAMPLED_ROWS = 200
LEGACY_SCHEMES = {"13": "{CRYPT}", "34": "{PLAIN-MD5}", "56": "{DIGEST-MD5}"}
MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)

_legacy = re.compile(r"(.*)\[(13|34|56)\]\Z", re.DOTALL)
_cost = re.compile(r"\{SCRAM[^}]*\}\d+,|(\{[^}]*\})?(\$[0-9a-z]+\$(?:v=\d+\$[^$]*\$|rounds=\d+\$|\d\d\$)?)?")

Stamp = tuple[int, int, int]


class Row:
    """One user's line, taken apart when first asked for."""

    __slots__ = ("_entry", "_place", "extra", "gid", "home", "line_password", "password", "uid", "variable")

    def __init__(self, line: str) -> None:
        parts = line.split(":", 7)
        parts += [""] * (8 - len(parts))
        _user, self.password, self.uid, self.gid, _gecos, self.home, _shell, extra = parts
        self.line_password = self.password  # as the file has it
        legacy = _legacy.match(self.password)
        if legacy is not None:
            self.password = LEGACY_SCHEMES[legacy[2]] + legacy[1]
        self.extra = tuple(_pair(word) for word in extra.split(" ") if word)
        self.variable = "%{" in extra or "%{" in self.home
        self._entry: Entry | None = None  # the answers, once made, of a row without variables
        self._place: Mapping[str, str] | None = None

    def entry(self, query: Query) -> Entry:
        """What a passdb answers: the password and all extra fields (``userdb_…`` included)."""
        if self._entry is not None:
            return self._entry
        entry = Entry(self.password or None, dict(self.fields(query)))
        if not self.variable:
            self._entry = entry
        return entry

    def place(self, query: Query) -> Mapping[str, str]:
        """What a userdb answers: uid, gid, home and the ``userdb_…`` extra fields."""
        if self._place is not None:
            return self._place
        fields: dict[str, str] = {}
        if self.uid:
            fields["uid"] = self.uid
        if self.gid:
            fields["gid"] = self.gid
        if self.home:
            fields["home"] = self.home_of(query)
        for key, value in self.fields(query):
            if key.startswith("userdb_"):
                fields[key[7:]] = value
        if not self.variable:
            self._place = fields
        return fields

    def fields(self, query: Query) -> Iterator[tuple[str, str]]:
        """The extra fields, expanded for this query. Raises ConfigError for a broken template."""
        if not self.variable:
            yield from self.extra
            return
        variables = query.variables()
        for key, value in self.extra:
            yield key, expand(value, variables) if "%{" in value else value

    def home_of(self, query: Query) -> str:
        """The home, where a variable is one safe path component. Raises ConfigError, Refused."""
        return expand_path(self.home, query.variables()) if "%{" in self.home else self.home


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    return key, value if equals else "yes"


class Table:
    """One file's content."""

    __slots__ = ("_rows", "decoy", "duplicates", "stamp")

    def __init__(self, stamp: Stamp, text: str) -> None:
        self.stamp = stamp
        self.duplicates: list[str] = []
        self._rows: dict[str, str | Row] = {}
        for line in text.split("\n"):
            line = line.removesuffix("\r")
            if not line or line[0] in "#:":
                continue
            user = line.partition(":")[0]
            if user in self._rows:
                self.duplicates.append(user)
            elif not user.isspace():
                self._rows[user] = line
        self.decoy = self._typical_password()

    def row(self, user: str) -> Row | None:
        found = self._rows.get(user)
        if isinstance(found, str):
            found = self._rows[user] = Row(found)
        return found

    def users(self) -> list[str]:
        return list(self._rows)

    def _typical_password(self) -> str:
        """A stored password of the kind that most users have: what verifying an unknown user's costs."""
        seen: Counter[str] = Counter()
        example: dict[str, str] = {}
        for line in list(self._rows.values())[:SAMPLED_ROWS]:
            password = line.split(":", 2)[1] if isinstance(line, str) and ":" in line else ""
            kind = _cost.match(password)
            if password and kind is not None:
                seen[kind[0]] += 1
                example.setdefault(kind[0], password)
        return example[seen.most_common(1)[0][0]] if seen else ""


class PasswdFiles:
    """The files behind one ``passwd_file_path``; a passdb and a userdb of the same path share them."""

    def __init__(self, path: str, *, max_octets: int, log: Log, offload: Offload) -> None:
        self.path = path
        self._variable = "%{" in path
        self._max_octets = max_octets
        self._log = log
        self._offload = offload
        self._tables: dict[str, Table] = {}  # least recently used first
        self._reading: dict[str, asyncio.Future[Table]] = {}
        self._last_query: Query | None = None
        self._storing = asyncio.Lock()
        self.typical = ""

    async def table(self, query: Query) -> Table | None:
        """The file for this query, fresh; None when a file with variables in its path does not exist.

        Raises Unavailable.
        """
        path = self.path
        if self._variable:
            try:
                path = expand_path(path, query.variables())
            except Refused:
                return None  # a name that can be no part of a path (empty domain) has no file
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            self._absent(path, error)
            return None
        if not stat.S_ISREG(status.st_mode):  # a fifo would never end
            raise Unavailable("Temporary authentication failure.", detail=f"{path}: not a regular file")
        stamp = _stamp(status)
        table = self._tables.get(path)
        if table is None or table.stamp != stamp:
            return await self._load(path, stamp[1])
        if self._variable:
            self._tables[path] = self._tables.pop(path)
        return table

    async def store(self, query: Query, password_text: str) -> None:
        """Replace a user's stored password, unless somebody else has just done so. Raises Unavailable, Refused."""
        table = await self.table(query)
        row = table.row(query.user) if table is not None else None
        if row is None:
            raise Refused("No such user.", detail="the user is gone")
        path = expand_path(self.path, query.variables()) if self._variable else self.path
        async with self._storing:
            await self._offload(replace_password, path, query.user, row.line_password, password_text, self._max_octets)

    def cached(self, query: Query) -> Table | None:
        """The table in memory when it is the only one and still fresh: the quick way of most lookups.

        The passdb's and the userdb's question of one login are the same ``Query`` object: the file is looked at once.
        """
        if self._variable:
            return None
        table = self._tables.get(self.path)
        if table is None or query is self._last_query:
            return table
        try:
            if _stamp(os.stat(self.path)) != table.stamp:
                return None
        except OSError:
            return None
        self._last_query = query
        return table

    @property
    def variable(self) -> bool:
        """The path holds variables: there are several files."""
        return self._variable

    def fresh(self) -> Table | None:
        """The table in memory, when the path names one file and that is unchanged now."""
        table = None if self._variable else self._tables.get(self.path)
        try:
            if table is not None and _stamp(os.stat(self.path)) == table.stamp:
                return table
        except OSError:
            pass
        return None

    def _absent(self, path: str, error: Exception) -> None:
        """Raises Unavailable unless the file may be missing."""
        self._tables.pop(path, None)
        self._last_query = None
        if isinstance(error, ValueError) or (self._variable and getattr(error, "errno", 0) in MISSING):
            return
        raise Unavailable("Temporary authentication failure.", detail=f"{path}: {_why(error)}")

    async def _load(self, path: str, size_octets: int) -> Table | None:
        try:
            if size_octets <= INLINE_OCTETS:
                table = self._read(path)
            else:
                reading = self._reading.get(path)
                if reading is None:
                    reading = self._reading[path] = asyncio.ensure_future(self._offload(self._read, path))
                    reading.add_done_callback(lambda _: self._reading.pop(path, None))
                table = await asyncio.shield(reading)
        except OSError as error:
            self._absent(path, error)
            return None
        if self._tables.get(path) is not table:
            self._tables.pop(path, None)
            while len(self._tables) >= MAX_FILES:
                del self._tables[next(iter(self._tables))]
            self._tables[path] = table
            self.typical = table.decoy or self.typical
            for user in table.duplicates[:10]:
                self._log.error(f"User {user} exists more than once in {path}")
        return table

    def _read(self, path: str) -> Table:
        """Raises OSError, Unavailable."""
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            octets = file.read(self._max_octets + 1)
        if len(octets) > self._max_octets:
            detail = f"{path}: bigger than passwd_file_max_size ({self._max_octets} octets)"
            raise Unavailable("Temporary authentication failure.", detail=detail)
        return Table(_stamp(status), octets.decode("utf-8", "surrogateescape"))


def open_files(path: str, max_octets: int, context: DriverContext) -> PasswdFiles:
    """The files of this path. Raises ConfigError when there is no path."""
    if not path:
        raise ConfigError("the passwd-file driver needs passwd_file_path", key="passwd_file_path")
    shared = context.shared.get(path)
    if not isinstance(shared, PasswdFiles):
        shared = PasswdFiles(path, max_octets=max_octets, log=context.log, offload=context.offload)
        context.shared[path] = shared
    return shared


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
