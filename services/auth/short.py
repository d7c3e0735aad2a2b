"""The short way of a login that is like an earlier one: same name, same files, right password; then the same OK.

It knows one kind of question only, the one our own login rooms ask (``AUTH … PLAIN … userdb resp=…`` with nothing
unusual among the parameters), and one kind of configuration (``_way``, an allow-list). It never refuses anybody:
whatever is no success it has seen before goes the ordinary way from its beginning, with delays, decoys and log lines.

What it answers it has learned: the ordinary way has just given this answer to this name, and the answer depends on
nothing but the name and the files, which are the same ones still (looked at for every login, as ever). Passwords are
not remembered, only what the file holds is kept beside the answer, taken apart. At most KNOWN_NAMES names a protocol.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of
from typing import Final

from roost.errors import RoostError
from roost.ipc import auth as wire
from roost.settings.schema.auth import AuthSettings, UserdbSettings
from services.auth.core import Verdict
from services.auth.passdb.passwd_file import PasswdFile
from services.auth.passdbs import PassdbChain
from services.auth.passwd_file import PasswdFiles, Row, Table
from services.auth.schemes import ALL_SCHEMES, SCHEMES, Scheme, Stored, parse
from services.auth.templates import NAME_VARIABLES
from services.auth.userdb import passwd_file as userdb_passwd_file
from services.auth.userdb.static import Static
from services.auth.userdbs import UserdbChain
from services.auth.username import NameRules, password_allowed

KNOWN_NAMES: Final = 10_000
MAX_PROTOCOLS: Final = 64
USERDB_PREFIX: Final = "userdb_"
STAMPED: Final = "uidgid_file"  # a field that is looked up outside the databases, at every login

# Line for line what ``roost.clients.auth`` sends; anything else is left to the ordinary way. The response is shorter
# than any ``auth_max_response_octets``.
LINE: Final = re.compile(
    rb"AUTH\t([1-9][0-9]{0,8})\tPLAIN\tservice=([a-z]{1,16})"
    rb"(?:\t(?:secured(?:=tls)?|no-penalty|session=[!-~]{1,64}|[lr]ip=[0-9A-Fa-f.:]{1,45}|[lr]port=[0-9]{1,5}))*+"
    rb"\tuserdb\tresp=([A-Za-z0-9+/]{4,320}={0,2})"
)

# Settings of a userdb that may have any value here; all others must have their defaults.
ANY_VALUE: Final = frozenset(
    {
        *("name", "driver", "fields", "passwd_file_path", "static_allow_all_users", "use_cache"),
        *(field.name for other_drivers in UserdbSettings.__bases__ for field in fields_of(other_drivers)),
    }
)


class Question:
    """A login that the short way does not know yet, and may learn from."""

    __slots__ = ("_authcid", "_table", "_way")

    def __init__(self, way: _Way, authcid: bytes, table: Table) -> None:
        self._way = way
        self._authcid = authcid
        self._table = table

    def answered(self, verdict: Verdict, answer: bytes) -> None:
        """The ordinary way says OK, with ``answer`` after the id."""
        self._way.learn(self._authcid, self._table, verdict, answer)


class ShortWay:
    """One a process. ``passdbs``, ``userdbs``: the chains of a protocol, as the ordinary way asks them."""

    def __init__(
        self,
        settings: AuthSettings,
        passdbs: Callable[[str], PassdbChain],
        userdbs: Callable[[str], UserdbChain],
        *,
        debug: bool,
        told_to_others: bool = False,
    ) -> None:
        """``told_to_others``: every authentication is some other server's business too."""
        self._settings = settings
        self._passdbs = passdbs
        self._userdbs = userdbs
        self._names = NameRules(settings)
        self._schemes = ALL_SCHEMES if settings.auth_allow_weak_schemes else SCHEMES
        self._never = (
            debug
            or told_to_others
            or "plain" not in [name.lower() for name in settings.auth_mechanisms]
            or settings.auth_ssl_require_client_cert
            or settings.auth_ssl_username_from_cert
            or bool(settings.auth_master_user_separator)
        )
        self._ways: dict[bytes, _Way | None] = {}

    def answer(self, found: re.Match[bytes]) -> bytes | Question | None:
        """OK's line for a match of LINE; else a question to learn from, or None. Never raises."""
        _id, service, response = found.groups()
        try:
            way = self._ways[service]
        except KeyError:
            way = self._way_of(service)
        if way is None:
            return None
        octets = wire.decode_base64(response)
        if octets is None:
            return None
        parts = octets.split(b"\0")
        if len(parts) != 3:
            return None
        authzid, authcid, password = parts
        if not authcid or (authzid and authzid != authcid) or not password_allowed(password):
            return None
        table = way.files.fresh()
        if table is None:
            return None
        known = way.known(table).get(authcid)
        if known is None:
            if way.typical is not None:
                way.typical.verify(password)  # a failure costs names that are known here no more than all others
            return Question(way, authcid, table)
        stored, answer = known
        if not stored.verify(password):
            return None
        return b"OK\t%b%b" % (_id, answer)

    def _way_of(self, service: bytes) -> _Way | None:
        if self._never:
            return None
        name = service.decode()
        try:
            way = _way(self._passdbs(name), self._userdbs(name), self._names, self._schemes)
        except RoostError:  # the ordinary way says it
            return None
        if len(self._ways) < MAX_PROTOCOLS:
            self._ways[service] = way
        return way


class _Way:
    """One protocol whose logins depend on one file and the name alone."""

    def __init__(self, files: PasswdFiles, names: NameRules, parse_stored: Callable[[str, str], Stored]) -> None:
        self.files = files
        self._names = names
        self._parse = parse_stored
        self._table: Table | None = None
        self._known: dict[bytes, tuple[Stored, bytes]] = {}  # of this table; the name as the client writes it
        self.typical: Stored | None = None  # one of these

    def known(self, table: Table) -> dict[bytes, tuple[Stored, bytes]]:
        """The names known to be in ``table``; of another table nothing is kept."""
        if table is not self._table:
            self._table = table
            self._known.clear()
            self.typical = None
        return self._known

    def learn(self, authcid: bytes, table: Table, verdict: Verdict, answer: bytes) -> None:
        """The ordinary way let ``authcid`` in while ``table`` was there, and answered so."""
        if table is not self._table or self.files.fresh() is not table:
            return
        try:
            name = self._names.name_of(authcid)
            row = table.row(name)
            if row is None or not _is_plain(row) or not _is_plain_success(verdict, name):
                return
            stored = self._parse(row.password, name)
        except RoostError:
            return
        if stored.scheme.slow or not stored.data:
            return
        if len(self._known) >= KNOWN_NAMES:
            del self._known[next(iter(self._known))]
        self._known[authcid] = stored, answer
        self.typical = stored


def _is_plain(row: Row) -> bool:
    """A password, and no word that could turn a right password down or change who logs in."""
    return (
        bool(row.password)
        and not row.variable
        and all(key.startswith(USERDB_PREFIX) and STAMPED not in key for key, _ in row.extra)
    )


def _is_plain_success(verdict: Verdict, name: str) -> bool:
    return (
        verdict.ok
        and verdict.user == name
        and verdict.userdb is not None
        and not (verdict.final or verdict.delay_until or verdict.master_user)
        and not verdict.fields.keys() - {"original_user"}
    )


def _way(passdbs: PassdbChain, userdbs: UserdbChain, names: NameRules, schemes: Mapping[str, Scheme]) -> _Way | None:
    """None unless every row is of a kind that is known here."""
    if not passdbs.plain or passdbs.masters:
        return None
    row = passdbs.rows[0]
    driver = row.driver
    if not isinstance(driver, PasswdFile) or type(driver) is not PasswdFile:
        return None
    if driver.files.variable or not _userdbs_are_plain(userdbs, driver.files):
        return None
    return _Way(driver.files, names, lambda text, user: parse(text, schemes, row.default_scheme).of_user(user))


def _userdbs_are_plain(userdbs: UserdbChain, files: PasswdFiles) -> bool:
    if len(userdbs.rows) > 1:
        return False
    for row in userdbs.rows:
        settings, driver = row.settings, row.driver
        for field in fields_of(UserdbSettings):
            if field.name not in ANY_VALUE and getattr(settings, field.name) != _default(field.name):
                return False
        if not row.templates.variables <= NAME_VARIABLES or any(STAMPED in name for name in settings.fields):
            return False
        if isinstance(driver, userdb_passwd_file.PasswdFile):
            if driver.files is not files:
                return False
        elif type(driver) is not Static:
            return False
    return True


def _default(name: str) -> object:
    return getattr(UserdbSettings(), name)
