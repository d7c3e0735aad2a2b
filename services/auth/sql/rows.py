"""What the rows of a query mean: fields, a password, a user's name. NULL is an absent field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from roost.errors import Unavailable

FAILURE = "Temporary authentication failure."


class Rows(NamedTuple):
    """An answer: the columns' names (none when there is no row) and the rows."""

    names: Sequence[str]
    rows: Sequence[Sequence[object]]


def only_row(found: Rows, key: str) -> dict[str, str] | None:
    """The fields of the one row; None when there is none. Raises Unavailable when there are several."""
    if not found.rows:
        return None
    if len(found.rows) > 1:
        why = "Multiple password values not supported" if key.startswith("passdb") else "the user is not unique"
        raise Unavailable(FAILURE, detail=f"{key} returned several rows: {why}")
    return fields_of(found.names, found.rows[0])


def fields_of(names: Sequence[str], row: Sequence[object]) -> dict[str, str]:
    """The columns that are not NULL, as text."""
    return {name: text_of(value) for name, value in zip(names, row, strict=True) if value is not None}


def text_of(value: object) -> str:
    """A column's value: numbers as they are written, truth as yes and no, octets as UTF-8."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "surrogateescape")
    if isinstance(value, (list, tuple)):
        return ",".join(text_of(one) for one in value if one is not None)
    return str(value)


def name_of(fields: dict[str, str]) -> str:
    """The user whom a row of a list names. Raises Unavailable: the columns are other ones."""
    name = fields.get("user")
    if name is not None:
        return name
    if "username" not in fields:
        raise Unavailable(FAILURE, detail="userdb_sql_iterate_query must give the column user, or username and domain")
    domain = fields.get("domain", "")
    return f"{fields['username']}@{domain}" if domain else fields["username"]
