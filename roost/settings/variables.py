"""Expansion of ``%{variables | filters}`` when a setting is used.

A value is data: what a variable holds is never looked at for ``%{`` again. Unknown names are errors unless a
``default`` filter follows. An escape function, if given, is applied to each pipeline's whole output.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping

from roost.errors import ConfigError, Refused
from roost.settings.filters import FILTERS
from roost.settings.filters.value import NOT_HERE, Evaluator, FilterError, Injected, Value, octets, text_of
from roost.settings.template import Argument, Pipeline, Variable, parse

MAX_OUTPUT = 65536
MAX_COMPONENT_OCTETS = 255

EMPTY_IF_MISSING = ("env", "event", "passdb", "userdb", "oauth2")
"""Providers whose unknown names are "" rather than an error."""

Escape = Callable[[str], str]

_PLAIN_COMPONENT = re.compile(r"[A-Za-z0-9_@+=,-][A-Za-z0-9_@+=,.-]{0,254}")  # what path_component leaves as it is


def expand(
    template: str,
    variables: Mapping[str, str | None],
    *,
    escape: Escape | None = None,
    injected: Injected | None = None,
) -> str:
    """The template with its variables put in.

    ``variables``: name → value; a value of None is as good as no value. ``provider:name`` is looked up there first,
    then among the built-in providers (env, process, system, time, date, generate,
    dovecot). ``injected``: what filters of NOT_HERE do. Raises ConfigError naming the ``%{…}``.
    """
    if "%{" not in template:
        return template
    return _expanded(template, variables, escape, injected or {}, always=False)


def expand_path(template: str, variables: Mapping[str, str | None], *, trusted: tuple[str, ...] = ("home",)) -> str:
    """Like ``expand`` for a file's path: each ``%{…}`` becomes one harmless path component, whatever its value.

    ``/``, NUL, control characters, ``%`` and leading dots are written ``%2f`` and so on, so that two users never share
    a path and none leaves the directory; empty or too long ones raise Refused. A bare ``%{home}`` (the names in
    ``trusted``) is a path already and put in as it is, and so is a leading ``~/``.
    """
    if template.startswith("~/"):
        template = "%{home}" + template[1:]
    if "%{" not in template:
        return template
    made = []
    for part in parse(template):
        if isinstance(part, str):
            made.append(part)
        elif part.source and part.source.name in trusted and not part.filters:
            made.append(_not_empty(_one(part, variables, None, {}, always=False)))
        else:
            made.append(_one(part, variables, path_component, {}, always=True))
    return "".join(made)


def _not_empty(value: str) -> str:
    if not value:
        raise Refused("Invalid user name", detail="a variable of a path is empty")
    return value


def path_component(value: str) -> str:
    """One safe path component that no other value gives. Raises Refused for "" and for more than 255 octets."""
    if _PLAIN_COMPONENT.fullmatch(value) is not None:
        return value
    try:
        data = _not_empty(value).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise Refused("Invalid user name", detail="a variable of a path is not valid text") from None
    leading = len(data) - len(data.lstrip(b"."))
    safe = b"".join(
        b"%%%02x" % octet if octet < 0x21 or octet in b"/%\\\x7f" or index < leading else bytes((octet,))
        for index, octet in enumerate(data)
    )
    if len(safe) > MAX_COMPONENT_OCTETS:
        raise Refused("Invalid user name", detail=f"a variable of a path is longer than {MAX_COMPONENT_OCTETS} octets")
    return safe.decode("utf-8", "surrogateescape")


def check(template: str) -> None:
    """That a template's grammar and its filters' names and arguments are right. Raises ConfigError."""
    for part in parse(template):
        if isinstance(part, Pipeline):
            for call in part.filters:
                found = FILTERS.get(call.name)
                if found is None:
                    raise ConfigError(f"Unknown filter '{call.name}' in {part.text}")
                try:
                    found.check(call, first=part.source is None and call is part.filters[0])
                except FilterError as error:
                    raise ConfigError(f"{call.name}: {error} in {part.text}") from None


def injected_of(template: str) -> frozenset[str]:
    """The filters of a template whose work is done elsewhere. Raises ConfigError for bad grammar."""
    parts = parse(template)
    return (
        frozenset(call.name for part in parts if isinstance(part, Pipeline) for call in part.filters) & NOT_HERE.keys()
    )


def variables_of(template: str) -> frozenset[str]:
    """The names a template looks up: its variables and those among its filters' arguments."""
    names: set[str] = set()
    for part in parse(template):
        if isinstance(part, Pipeline):
            if part.source:
                names.add(part.source.name)
            for call in part.filters:
                values = (*call.arguments, *(value for _, value in call.named))
                names.update(value.name for value in values if isinstance(value, Variable))
                if call.name == "lookup" and call.arguments and isinstance(call.arguments[0], str):
                    names.add(call.arguments[0])
    return frozenset(names)


def _expanded(
    template: str, variables: Mapping[str, str | None], escape: Escape | None, injected: Injected, *, always: bool
) -> str:
    made: list[str] = []
    size = 0
    for part in parse(template):
        text = part if isinstance(part, str) else _one(part, variables, escape, injected, always=always)
        size += len(text)
        if size > MAX_OUTPUT:
            raise ConfigError(f"The expanded text is too long (more than {MAX_OUTPUT} characters)")
        made.append(text)
    return "".join(made)


def _one(
    part: Pipeline, variables: Mapping[str, str | None], escape: Escape | None, injected: Injected, *, always: bool
) -> str:
    if not part.filters and part.source is not None:
        # The most common form, without the machinery: a bare variable.
        plain = _lookup(part.source.name, variables)
        if plain is None:
            raise ConfigError(f"Unknown variable '{part.source.name}' in {part.text}")
        return escape(plain) if escape else plain
    evaluator = _Evaluator(variables, escape, injected)
    try:
        value = evaluator.run(part)
        if value.data is None:
            raise FilterError(f"Unknown variable '{value.missing}'")
        text = value.data.hex() if value.binary else text_of(value.data)
    except FilterError as error:
        raise ConfigError(f"{error} in {part.text}") from None
    if escape is None or (not always and (value.safe or value.escaped)):
        return text
    return escape(text)


class _Evaluator(Evaluator):
    """One pipeline at work: looks names up for the filters and runs them."""

    def __init__(self, variables: Mapping[str, str | None], escape: Escape | None, injected: Injected) -> None:
        self.variables = variables
        self.escape_function = escape
        self.works = injected

    def run(self, part: Pipeline) -> Value:
        value = self.variable(part.source.name) if part.source else Value(None, missing="")
        for index, call in enumerate(part.filters):
            found = FILTERS.get(call.name)
            if found is None:
                raise FilterError(f"Unknown filter '{call.name}'")
            first = index == 0 and part.source is None
            found.check(call, first=first)
            if value.data is None and not first and not found.takes_missing:
                continue
            value = found.run(self, value, call)
            if value.data is not None and len(value.data) > MAX_OUTPUT:
                raise FilterError(f"{call.name}: the result is too long")
        return value

    def variable(self, name: str) -> Value:
        text = _lookup(name, self.variables)
        return Value(None, missing=name) if text is None else Value(octets(text))

    def argument(self, argument: Argument) -> bytes:
        """An argument's value as octets. Raises FilterError for an unknown variable."""
        if isinstance(argument, Variable):
            value = self.variable(argument.name)
            if value.data is None:
                raise FilterError(f"Unknown variable '{argument.name}'")
            return value.data
        return octets(str(argument))

    def injected(self, name: str, arguments: list[bytes]) -> bytes:
        work = self.works.get(name)
        return super().injected(name, arguments) if work is None else work(arguments)

    def escape(self, text: str) -> str:
        return self.escape_function(text) if self.escape_function else text


def _lookup(name: str, variables: Mapping[str, str | None]) -> str | None:
    value = variables.get(name)
    if value is not None:
        return value
    provider, colon, key = name.partition(":")
    if not colon:
        return None
    built_in = PROVIDERS.get(provider)
    value = built_in(key) if built_in else None
    if value is None and provider in EMPTY_IF_MISSING:
        return ""
    return value


def _env(name: str) -> str | None:
    return os.environ.get(name)


def _process(name: str) -> str | None:
    found = {"pid": os.getpid, "uid": os.getuid, "gid": os.getgid}.get(name)
    return str(found()) if found else None


def _system(name: str) -> str | None:
    match name:
        case "cpu_count":
            return str(os.cpu_count() or 1)
        case "hostname":
            return os.uname().nodename
        case "os":
            return os.uname().sysname
        case "os-version":
            return os.uname().release
    return None


def _time(name: str) -> str | None:
    if name == "unix":
        secs, nanos = divmod(time.time_ns(), 1_000_000_000)
        return f"{secs}.{nanos:09d}"
    if name == "usec":
        return str(time.time_ns() // 1000 % 1_000_000)
    form = {"hour": "%H", "min": "%M", "sec": "%S"}.get(name)
    return time.strftime(form) if form else None


def _date(name: str) -> str | None:
    form = {"year": "%Y", "month": "%m", "day": "%d"}.get(name)
    return time.strftime(form) if form else None


def _generate(name: str) -> str | None:
    if name not in ("guid", "guid128", "uuid", "uuid:record", "uuid:compact", "uuid:microsoft"):
        return None
    text = os.urandom(16).hex()
    if name in ("guid", "guid128", "uuid:compact"):
        return text
    dashed = "-".join((text[:8], text[8:12], "4" + text[13:16], "89ab"[int(text[16], 16) & 3] + text[17:20], text[20:]))
    return "{" + dashed + "}" if name == "uuid:microsoft" else dashed


def _product(name: str) -> str | None:
    if name == "name":
        return "Roost"
    if name == "version":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("roost")
        except PackageNotFoundError:
            return f"(not installed, Python {sys.version_info.major}.{sys.version_info.minor})"
    return None


PROVIDERS: dict[str, Callable[[str], str | None]] = {
    "date": _date,
    "dovecot": _product,
    "env": _env,
    "generate": _generate,
    "process": _process,
    "system": _system,
    "time": _time,
}
"""``provider:name`` that needs no context: name → value, None = no such name."""
