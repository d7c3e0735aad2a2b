"""JSON objects of servers and tokens: read strictly, and flattened to texts for ``%{oauth2:name}``.

Members of members are joined with ``_`` (``{"realm": {"name": "x"}}`` is ``realm_name``), true and false are these
words, null is no member at all, a list of plain values its TAB-separated escaped texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn

from roost.ipc.lines import escape

MAX_DEPTH = 8
MAX_MEMBERS = 1000


class NotAnObject(ValueError):
    """The text is no JSON object we take; it says why, and repeats nothing of the text."""


def parse(octets: bytes) -> dict[str, object]:
    """Raises NotAnObject."""
    try:
        found = json.loads(octets.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError:
        raise NotAnObject("not UTF-8") from None
    except RecursionError:
        raise NotAnObject("nests too deep") from None
    except NotAnObject:
        raise
    except ValueError as error:
        at = getattr(error, "pos", None)
        raise NotAnObject("not JSON" if at is None else f"not JSON (at octet {at})") from None
    if not isinstance(found, dict):
        raise NotAnObject("not a JSON object")
    return found


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotAnObject("a member is there twice")
    return made


def _constant(text: str) -> NoReturn:
    raise NotAnObject(f"{text} is no number")


class Members(Mapping[str, str]):
    """An object's members as texts. ``raw``: as they came."""

    def __init__(self, raw: Mapping[str, object]) -> None:
        """Raises NotAnObject when there are too many, or they nest too deep."""
        self.raw = raw
        self._texts: dict[str, str] = {}
        self._lists: set[str] = set()
        self._take("", raw, 1)

    def _take(self, prefix: str, raw: Mapping[str, object], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise NotAnObject("nests too deep")
        inner: list[tuple[str, Mapping[str, object]]] = []
        for name, value in raw.items():
            key = prefix + name
            if isinstance(value, dict):
                inner.append((key + "_", value))
            elif isinstance(value, list):
                if key not in self._texts and not any(isinstance(one, (dict, list)) for one in value):
                    self._lists.add(key)
                    self._texts[key] = "\t".join(_escaped(_text(one)) for one in value if one is not None)
            elif value is not None:
                self._texts.setdefault(key, _text(value))
            if len(self._texts) > MAX_MEMBERS:
                raise NotAnObject("has too many members")
        for key, members in inner:  # behind the plain ones: what is written out wins over what is put together
            self._take(key, members, depth + 1)

    def single(self, name: str) -> str | None:
        """A member that is one plain value; None when it is missing or a list."""
        return None if name in self._lists else self._texts.get(name)

    def words(self, name: str) -> frozenset[str]:
        """A member that is a list of texts, or a text of words."""
        value = self.raw.get(name)
        if isinstance(value, str):
            return frozenset(value.split())
        if isinstance(value, list):
            return frozenset(one for one in value if isinstance(one, str))
        return frozenset()

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __iter__(self):  # type: ignore[no-untyped-def]  # as Mapping's
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _escaped(text: str) -> str:
    return escape(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")  # lone surrogates are no text
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
