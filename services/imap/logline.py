"""Log lines by template, prepared once: a login and a logout cost a formatting each, not a parse. PURE."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from roost.settings.template import Pipeline, parse
from roost.settings.variables import expand

Values = Mapping[str, str]

MAX_JOINED = 64

_ELEMENT = re.compile(r"(?:%\{[^}]*\}|\S)+")


@lru_cache(maxsize=64)
def compiled(template: str) -> tuple[Callable[[Values], str], tuple[str, ...]]:
    """``expand`` of ``template`` as a function, and the plain variables in it."""
    names: list[str] = []
    text = ""
    for part in parse(template):
        if isinstance(part, str):
            text += part.replace("%", "%%")
            continue
        if not isinstance(part, Pipeline) or part.source is None or part.filters or ":" in part.source.name:
            return (lambda values: expand(template, values)), ()
        names.append(part.source.name)
        text += f"%({part.source.name})s"

    def fill(values: Values) -> str:
        try:
            return text % values
        except KeyError:
            return expand(template, values)  # which knows other sources, or says what is wrong

    return fill, tuple(names)


class LoginLine:
    """``login_log_format`` and its elements (``login_log_format_elements``)."""

    def __init__(self, line: str, elements: str) -> None:
        self._line, _ = compiled(line)
        self._elements = [(element, compiled(element)[1]) for element in _ELEMENT.findall(elements)]
        self._names = tuple({name for _, names in self._elements for name in names})
        # Which variables have values decides which elements stand in the line: one template for each such set.
        self._joined: dict[tuple[bool, ...], Callable[[Values], str]] = {}

    def text(self, message: str, values: Values) -> str:
        """Elements whose variables are all empty are left out; the others are joined by commas."""
        given = tuple(map(bool, map(values.get, self._names)))
        fill = self._joined.get(given)
        if fill is None:
            shown = [text for text, names in self._elements if not names or any(values.get(name) for name in names)]
            if len(self._joined) >= MAX_JOINED:
                self._joined.clear()
            fill = self._joined[given] = compiled(", ".join(shown))[0]
        return self._line({"message": message, "elements": fill(values)})
