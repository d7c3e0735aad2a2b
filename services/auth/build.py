"""From the configuration to the room's databases: drivers, chains, decoys. What makes no sense is a ConfigError."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from roost.auth.api import PASSDB_GROUP, USERDB_GROUP, Passdb, Userdb, store_of, variables_of
from roost.errors import ConfigError, RoostError
from roost.events.log import Log
from roost.settings.schema.auth import AuthSettings, PassdbSettings, UserdbSettings
from roost.settings.schema.logging import LoggingSettings
from roost.worker.offload import Offload
from services.auth.cache import MIN_SIZE_OCTETS, AuthCache, Proofs
from services.auth.core import Authenticator
from services.auth.credentials import Fakes
from services.auth.given import shown
from services.auth.hashing import Hasher
from services.auth.installed import installed
from services.auth.passdb import DEFAULT_SCHEMES, PASSDBS
from services.auth.passdb.base import DriverContext
from services.auth.passdbs import PassdbChain, PassdbRow
from services.auth.remembered import Caching, Memory, UserdbMemory
from services.auth.schemes import ALL_SCHEMES, SCHEMES, Scheme, Stored
from services.auth.templates import FieldTemplates
from services.auth.userdb import USERDBS
from services.auth.userdbs import UserdbChain, UserdbRow
from services.auth.username import NameRules
from services.auth.workers.naming import uses_worker
from services.auth.workers.pool import WorkerPool
from services.auth.workers.proxy import remote_passdb, remote_userdb

Block = TypeVar("Block", PassdbSettings, UserdbSettings)

GENERAL_SCHEME = "CRYPT"  # the default of passdb_default_password_scheme
MAX_PROTOCOLS = 64
FIELDS_FIRST = frozenset({"lua"})  # the block's fields are there before the driver is asked, whose own win
FIELDS_MADE = frozenset({"ldap"})  # what the driver says are the block's fields, made of what it has found
DENY = "deny"  # the driver whose users are refused without being asked to
AT_HAND = frozenset({"deny", "prefetch", "static"})  # to ask them is not dearer than to remember
NEED_NO_PASSDB = frozenset({"ANONYMOUS"})
NEED_CREDENTIALS = frozenset(
    {
        *("SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"),
        *("CRAM-MD5", "DIGEST-MD5"),
    }
)
"""Mechanisms that never see the password: a passdb must tell what is stored."""


class Databases(Protocol):
    """What is read of the configuration (``roost.settings.Config`` has it)."""

    def passdbs_of(self, protocol: str) -> Sequence[PassdbSettings]: ...

    def userdbs_of(self, protocol: str) -> Sequence[UserdbSettings]: ...


class Builder:
    """Makes the chains of each protocol when first asked for; equal blocks share one driver."""

    def __init__(
        self,
        config: Databases,
        settings: AuthSettings,
        logging: LoggingSettings,
        hasher: Hasher,
        offload: Offload,
        log: Log,
        workers: WorkerPool | None = None,
    ) -> None:
        """``workers``: who asks the databases that are better not asked in this process; None: they are all."""
        self._config = config
        self._workers = workers
        self._settings = settings
        self._hasher = hasher
        self._schemes = ALL_SCHEMES if settings.auth_allow_weak_schemes else SCHEMES
        self._fakes = Fakes(settings.auth_decoy_secret.encode("utf-8", "surrogateescape") or os.urandom(32))
        self._passdb_rows: list[tuple[PassdbSettings, PassdbRow]] = []
        self._userdb_rows: list[UserdbRow] = []
        self._passdbs: dict[str, PassdbChain] = {}
        self._userdbs: dict[str, UserdbChain] = {}
        self._decoys: dict[str, Stored | None] = {}
        self.core = Authenticator(
            settings,
            NameRules(settings),
            self.passdbs,
            self.userdbs,
            log,
            verbose=logging.auth_verbose,
            debug=logging.auth_debug,
            shown=shown(logging.auth_verbose_passwords),
        )
        self._here: list[Passdb | Userdb] = []  # drivers of this process
        shared: dict[str, object] = {"config": config, "schemes": self._schemes}
        self.caching = _caching(settings)
        self._context = DriverContext(log, offload, self.core.exists, shared)

    async def check(self) -> None:
        """Build what every protocol uses and make the decoys, so that the first login finds all ready.

        Raises ConfigError.
        """
        passdbs = [one for one in self._config.passdbs_of("") if not one.master]
        mechanisms = [name.upper() for name in self._settings.auth_mechanisms]
        needy = [name for name in mechanisms if name not in NEED_NO_PASSDB]
        if needy and not passdbs:
            raise ConfigError(
                f"No passdbs specified in configuration file. {needy[0]} mechanism needs one", key="passdb"
            )
        if passdbs and passdbs[-1].result_success == "continue":
            raise ConfigError("Last passdb can't have result_success=continue", key=f"passdb {passdbs[-1].name}")
        for name in sorted({_default_scheme(one) for one in self._config.passdbs_of("")}):
            await self._make_decoy(name)
        chain = self.passdbs("")
        self.userdbs("")
        for driver in self._here:
            start = getattr(driver, "start", None)
            if start is not None:
                await start()
        for name in needy:
            if name in NEED_CREDENTIALS and not any(_gives(row, name.lower()) for row in chain.rows):
                raise ConfigError(f"{name} mechanism can't be supported with given passdbs", key="auth_mechanisms")

    async def close(self) -> None:
        """End what the drivers of this process hold."""
        while self._here:
            close = getattr(self._here.pop(), "close", None)
            if close is not None and hasattr(done := close(), "__await__"):
                await done

    def passdbs(self, protocol: str) -> PassdbChain:
        """The chain of a protocol. Raises ConfigError when first built."""
        chain = self._passdbs.get(protocol)
        if chain is None:
            rows = [self._passdb(settings) for settings in self._config.passdbs_of(protocol)]
            chain = PassdbChain(rows, self._schemes, self._hasher, self._fakes)
            if len(self._passdbs) < MAX_PROTOCOLS:
                self._passdbs[protocol] = chain
        return chain

    def userdbs(self, protocol: str) -> UserdbChain:
        """The chain of a protocol. Raises ConfigError when first built."""
        chain = self._userdbs.get(protocol)
        if chain is None:
            chain = UserdbChain([self._userdb(settings) for settings in self._config.userdbs_of(protocol)])
            if len(self._userdbs) < MAX_PROTOCOLS:
                self._userdbs[protocol] = chain
        return chain

    def _passdb(self, settings: PassdbSettings) -> PassdbRow:
        for known, row in self._passdb_rows:
            if known == settings:
                return row
        key = f"passdb {settings.name}"
        if settings.master and settings.deny:
            raise ConfigError("Master passdb can't have deny=yes", key=key)
        remote = self._workers is not None and uses_worker(settings)
        driver = self._remote_passdb(settings) if remote else self.passdb_driver(settings)
        scheme = _default_scheme(settings)
        if scheme not in self._schemes:
            raise ConfigError(f"Unknown scheme {scheme}", key="passdb_default_password_scheme")
        rehash = self._rehash(settings, driver, key)
        given = replace(settings, deny=True) if (settings.driver or settings.name) == DENY else _imported(settings)
        templates = _templates(settings)
        memory: Memory | None = None
        if (
            self.caching is not None
            and settings.use_cache
            and rehash is None
            and _may_be_kept(settings, driver, remote)
        ):
            number = f"P{len(self._passdb_rows) + 1}" + ("+" if settings.master else "")
            memory = Memory(self.caching, number, settings.name, driver, _applied_by_driver(settings, templates))
        row = PassdbRow(settings.name, given, driver, templates, scheme, self._decoys.get(scheme), rehash, memory)
        self._passdb_rows.append((settings, row))
        return row

    def passdb_driver(self, settings: PassdbSettings) -> Passdb:
        """The block's driver in this process. Raises ConfigError."""
        name = settings.driver or settings.name
        factory = PASSDBS.get(name)
        if factory is not None:
            driver = factory(settings, self._context)
        else:
            made = installed(PASSDB_GROUP, "passdb", name, PASSDBS, key=f"passdb {settings.name}")
            driver = made(settings.python_settings, self._context)
        self._here.append(driver)
        return driver

    def userdb_driver(self, settings: UserdbSettings) -> Userdb:
        """The block's driver in this process. Raises ConfigError."""
        name = settings.driver or settings.name
        factory = USERDBS.get(name)
        if factory is not None:
            driver = factory(settings, self._context)
        else:
            made = installed(USERDB_GROUP, "userdb", name, USERDBS, key=f"userdb {settings.name}")
            driver = made(settings.python_settings, self._context)
        self._here.append(driver)
        return driver

    def _remote_passdb(self, settings: PassdbSettings) -> Passdb:
        assert self._workers is not None
        name = settings.driver or settings.name
        key = f"passdb {settings.name}"
        return remote_passdb(
            settings, PASSDBS.get(name) or installed(PASSDB_GROUP, "passdb", name, PASSDBS, key=key), self._workers
        )

    def _remote_userdb(self, settings: UserdbSettings) -> Userdb:
        assert self._workers is not None
        name = settings.driver or settings.name
        key = f"userdb {settings.name}"
        return remote_userdb(
            settings, USERDBS.get(name) or installed(USERDB_GROUP, "userdb", name, USERDBS, key=key), self._workers
        )

    def _rehash(self, settings: PassdbSettings, driver: Passdb, key: str) -> Scheme | None:
        """What passwords are to be stored by, if the driver can."""
        if not settings.rehash_scheme:
            return None
        scheme = self._schemes.get(settings.rehash_scheme.upper())
        if scheme is None:
            raise ConfigError(f"Unknown scheme {settings.rehash_scheme}", key="passdb_rehash_scheme")
        if scheme.for_user is not None:
            raise ConfigError(f"{scheme.name} is tied to the user's name", key="passdb_rehash_scheme")
        if store_of(driver) is None:
            raise ConfigError("passdb_rehash_scheme: this driver cannot store passwords", key=key)
        return scheme

    def _userdb(self, settings: UserdbSettings) -> UserdbRow:
        for row in self._userdb_rows:
            if row.settings == settings:
                return row
        remote = self._workers is not None and uses_worker(settings)
        driver = self._remote_userdb(settings) if remote else self.userdb_driver(settings)
        templates = _templates(settings)
        memory: UserdbMemory | None = None
        if self.caching is not None and settings.use_cache and _may_be_kept(settings, driver, remote):
            number = f"U{len(self._userdb_rows) + 1}"
            memory = UserdbMemory(self.caching, number, settings.name, driver, _applied_by_driver(settings, templates))
        row = UserdbRow(settings.name, _imported(settings), driver, templates, memory)
        self._userdb_rows.append(row)
        return row

    async def _make_decoy(self, name: str) -> None:
        """A stored password of this scheme that nobody has. None when the scheme costs nothing or does not work."""
        scheme = self._schemes.get(name)
        self._decoys[name] = None
        if scheme is None or not scheme.slow:
            return
        made: list[bytes] = []

        def make() -> bool:
            made.append(scheme.generate(os.urandom(16).hex().encode(), 0, os.urandom))
            return True

        try:
            await self._hasher.run(make, "")
        except RoostError:
            return
        self._decoys[name] = Stored(scheme, made[0])


def _templates(settings: PassdbSettings | UserdbSettings) -> FieldTemplates:
    """The block's fields, unless its driver applies them by itself."""
    name = settings.driver or settings.name
    applied = name in FIELDS_MADE or (name in FIELDS_FIRST and settings.fields_import_all)
    return FieldTemplates({} if applied else settings.fields)


def _imported(settings: Block) -> Block:
    """The block as the lists are to see it: what a driver has made of its fields is never left out."""
    if settings.fields_import_all or (settings.driver or settings.name) not in FIELDS_MADE:
        return settings
    return replace(settings, fields_import_all=True)


def _caching(settings: AuthSettings) -> Caching | None:
    """Raises ConfigError."""
    size = settings.auth_cache_size_octets
    if not size:
        return None
    if size < MIN_SIZE_OCTETS:
        raise ConfigError(f"auth_cache_size value is too small ({size} bytes)", key="auth_cache_size")
    cache = AuthCache(size, settings.auth_cache_ttl_secs, settings.auth_cache_negative_ttl_secs)
    return Caching(cache, Proofs(os.urandom(32)), time.monotonic)


def _may_be_kept(settings: PassdbSettings | UserdbSettings, driver: Passdb | Userdb, remote: bool) -> bool:
    """Of a driver in a worker it is known only when it has answered for the first time; of one with a ``start``, when
    that is done."""
    if remote or hasattr(driver, "start"):
        return True
    return variables_of(driver) is not None and (settings.driver or settings.name) not in AT_HAND


def _applied_by_driver(settings: PassdbSettings | UserdbSettings, templates: FieldTemplates) -> frozenset[str]:
    """Variables of the block's fields, when they go into the driver's own answer."""
    return frozenset() if templates else FieldTemplates(settings.fields).variables


def _default_scheme(settings: PassdbSettings) -> str:
    name = settings.default_password_scheme.upper()
    own = DEFAULT_SCHEMES.get(settings.driver or settings.name)
    return own if own is not None and name == GENERAL_SCHEME else name


def _gives(row: PassdbRow, mechanism: str) -> bool:
    """Whether this passdb can tell what is stored, to this mechanism."""
    return row.credentials and (not row.mechanisms or mechanism in row.mechanisms)
