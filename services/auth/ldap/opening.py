"""What the drivers need of a directory, where its library is installed: it is loaded only when one is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from roost.auth.api import DriverContext, Outcome, Query
from roost.errors import ConfigError, Unavailable
from roost.settings.schema.ldap import LdapSettings
from services.auth.ldap.templates import FAILURE, Answer, Template


class Directory(Protocol):
    """``directory.Directory``. Everything raises Unavailable."""

    async def search(
        self, base: str, text: str, scope: str, attributes: Sequence[str], *, fixed: bool
    ) -> list[Answer]: ...

    async def verify(self, dn: str, password: bytes) -> tuple[Outcome, str]: ...

    def pages(self, base: str, text: str, attributes: Sequence[str]) -> AsyncIterator[list[Answer]]: ...

    async def close(self) -> None: ...


def open_directory(settings: LdapSettings, context: DriverContext) -> Directory:
    """Blocks with the same servers share their connections. Raises ConfigError: the library is not installed, or a
    setting makes no sense."""
    try:
        from services.auth.ldap import directory
    except ImportError as error:
        raise ConfigError(
            f"the driver for LDAP is not installed ({error}): pip install 'roost[ldap]'", key="driver"
        ) from error
    return directory.shared(settings, context)


def filter_template(text: str, key: str) -> Template:
    """A filter whose grammar is right, whatever its variables are. Raises ConfigError."""
    from services.auth.ldap.connection import check_filter

    if not text:
        raise ConfigError("the filter is missing", key=key)
    template = Template(text, key)
    try:
        check_filter(template.made(Query("x@x")), key)
    except Unavailable:
        pass  # it needs a name of another form
    return template


async def find_one(
    directory: Directory, base: str, text: str, scope: str, attributes: Sequence[str], *, fixed: bool
) -> Answer | None:
    """The one entry that there is. Raises Unavailable when there are several."""
    found = await directory.search(base, text, scope, attributes, fixed=fixed)
    if len(found) > 1:
        raise Unavailable(FAILURE, detail=f"ldap_search({base}, {text}) returned several entries")
    return found[0] if found else None
