"""Log lines by template, prepared once: a login and a logout cost a formatting each, not a parse. PURE.

Values come as tuples in the order of a tuple of names: what a template does not mention costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter

from roost.settings.template import Pipeline, parse
from roost.settings.variables import expand

Names = tuple[str, ...]
Values = tuple[object, ...]
"""Texts and numbers, one for each name."""

MAX_JOINED = 64

_ELEMENT = re.compile(r"(?:%\{[^}]*\}|\S)+")
_MESSAGE, _ELEMENTS = "message", "elements"


class _Name(str):
    """Among the parts of a template: a variable without filters."""


def compiled(template: str, names: Names) -> Callable[[Values], str]:
    """``expand`` of ``template`` as a function of the values of ``names``."""
    parts = _plain(template)
    if parts is None or not variables(template) <= set(names):  # other sources, filters, or an error to be told
        return lambda values: expand(template, dict(zip(names, map(str, values), strict=True)))
    return _formatting(parts, names)


def variables(template: str) -> set[str]:
    """The plain variables of ``template``; none when there is anything else than these in it."""
    return {part for part in _plain(template) or () if isinstance(part, _Name)}


def _plain(template: str) -> list[str] | None:
    """Literal text and names; None when there are filters or other sources."""
    parts: list[str] = []
    for part in parse(template):
        if isinstance(part, str):
            parts.append(part)
        elif (
            isinstance(part, Pipeline) and part.source is not None and not part.filters and ":" not in part.source.name
        ):
            parts.append(_Name(part.source.name))
        else:
            return None
    return parts


def _formatting(parts: list[str], names: Names) -> Callable[[Values], str]:
    text = "".join("%s" if isinstance(part, _Name) else part.replace("%", "%%") for part in parts)
    places = [names.index(part) for part in parts if isinstance(part, _Name)]
    if len(places) == 1:
        (place,) = places
        return lambda values: text % (values[place],)
    if not places:
        return lambda values: text % ()
    pick = itemgetter(*places)
    return lambda values: text % pick(values)


class LoginLine:
    """``login_log_format`` and its elements (``login_log_format_elements``)."""

    def __init__(self, line: str, elements: str, names: Names) -> None:
        """``names``: of the values that ``text`` gets."""
        self._line = line
        self._names = names
        self._elements = [(element, variables(element)) for element in _ELEMENT.findall(elements)]
        # Which variables have values decides which elements stand in the line: one template for each such set.
        self._joined: dict[tuple[bool, ...], Callable[[Values], str]] = {}

    def text(self, message: str, values: Values) -> str:
        """Elements whose variables are all empty are left out; the others are joined by commas."""
        given = tuple(map(bool, values))
        fill = self._joined.get(given)
        if fill is None:
            if len(self._joined) >= MAX_JOINED:
                self._joined.clear()
            fill = self._joined[given] = self._joining(given)
        return fill((message, *values))

    def _joining(self, given: tuple[bool, ...]) -> Callable[[Values], str]:
        """The whole line of a message and the values, where these are given."""
        there = {name for name, is_there in zip(self._names, given, strict=True) if is_there}
        joined = ", ".join(text for text, names in self._elements if not names or names & there)
        line, elements = _plain(self._line), _plain(joined)
        if line is not None and elements is not None:
            whole: list[str] = []
            for part in line:
                whole += elements if isinstance(part, _Name) and part == _ELEMENTS else [part]
            known = (_MESSAGE, *self._names)
            if {part for part in whole if isinstance(part, _Name)} <= set(known):
                return _formatting(whole, known)
        fill_line, fill_elements = compiled(self._line, (_MESSAGE, _ELEMENTS)), compiled(joined, self._names)
        return lambda values: fill_line((values[0], fill_elements(values[1:])))
