"""What a hook's return values mean. Pure functions with Dovecot's texts; ``docs/lua.md`` has the table.

Strict (``lua_compat = 2.4``) is 2.4.1 and later; otherwise strings after OK are ``k=v`` words and a table after a
failure code is ignored, as before 2.4.1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from roost.errors import ConfigError
from roost.lua.api.auth import PASSDB_RESULTS, USERDB_RESULTS
from roost.lua.runtime import lua_type
from roost.lua.values import text_from_lua, type_name
from roost.settings.template import Call, Pipeline, Variable, parse

OK, INTERNAL_FAILURE, NEXT = 1, -1, PASSDB_RESULTS["NEXT"]
_CODES = {"passdb": frozenset(PASSDB_RESULTS.values()), "userdb": frozenset(USERDB_RESULTS.values())}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A hook's answer. ``code``: a PASSDB_RESULT_ or USERDB_RESULT_ value. ``fields`` hold no password (it is apart).
    ``message``: for the log, of a failure. ``warnings``: log lines that tell the author what was ignored.
    ``old``: an old form was used, which one warning per script should name."""

    code: int
    password: str | None = field(default=None, repr=False)
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    message: str = ""
    warnings: tuple[str, ...] = ()
    old: str = ""


def judge(function: str, kind: str, code: Any, value: Any, *, strict: bool) -> Verdict:
    """``kind``: passdb or userdb. ``code`` and ``value`` are the hook's two results (``values.from_lua``)."""
    number = _number(code)
    if number is None:
        return _failure(f"db-lua: {function}(req) invalid return value (expected number got {type_name(code)})")
    if number not in _CODES[kind]:
        return _failure(f"db-lua: {function}(req) invalid return value {number}")
    if number == OK or (number == NEXT and kind == "passdb"):
        return _success(function, number, value, strict=strict)
    if value is None:
        return Verdict(number, message=f"{kind} failed")
    if isinstance(value, str):
        old = "" if value or strict else "returns an empty string with a failure; nil is enough"
        return Verdict(number, message=value or f"{kind} failed", old=old)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Verdict(number, message=_value_text(value) or "")
    if strict or not isinstance(value, dict):
        return _failure(f"db-lua: invalid error return value (expected nil or string, got {type_name(value)})")
    return Verdict(number, message=f"{kind} failed", old="returns a table with a failure; return nil or a message")


def _success(function: str, number: int, value: Any, *, strict: bool) -> Verdict:
    if value is None:
        return Verdict(number)
    if isinstance(value, dict):
        fields, warnings = convert_fields(value)
        password = fields.pop("password", None)
        return Verdict(number, password, fields, warnings=tuple(warnings))
    if isinstance(value, str) and not strict:
        fields, warnings = convert_fields(dict(_words(value)))
        password = fields.pop("password", None)
        old = "returns a string of fields; return a table"
        return Verdict(number, password, fields, warnings=tuple(warnings), old=old)
    return _failure(
        f"db-lua: {function}(req) invalid return value (expected nil or table, got {type_name(value)})",
    )


def convert_fields(table: dict[Any, Any]) -> tuple[dict[str, str], list[str]]:
    """A table of fields → text fields, and the warnings about what was left out."""
    fields: dict[str, str] = {}
    warnings: list[str] = []
    for name, value in table.items():
        key = name if isinstance(name, str) else _value_text(name) or ""
        if not key:
            warnings.append("db-lua: Field key cannot be empty - ignoring")
        elif "\t" in key or "\r" in key or "\n" in key:
            warnings.append("db-lua: Field key cannot contain <CR>, <LF> or <TAB> - ignoring")
        elif (text := _value_text(value)) is None:
            warnings.append(f"db-lua: Field {key} has an unsupported value of type {type_name(value)} - ignoring")
        else:
            fields[key] = text
    return fields, warnings


def users(value: Any) -> list[str]:
    """The names that ``auth_userdb_iterate`` returned. Raises ValueError with Dovecot's text."""
    if not isinstance(value, dict):
        raise ValueError("db-lua: Cannot iterate, return value is not table")
    names = []
    for item in value.values():
        if isinstance(item, bool) or not isinstance(item, (str, int, float)):
            raise ValueError("db-lua: Value is not string")
        names.append(item if isinstance(item, str) else _value_text(item) or "")
    return names


def names_of(found: Any) -> list[str]:
    """``users`` of a result as Lua gave it (``Script.call_raw``), of any size."""
    if lua_type(found) != "table":
        raise ValueError("db-lua: Cannot iterate, return value is not table")
    names = []
    for item in found.values():
        if type(item) is str:
            names.append(text_from_lua(item))
        else:
            names += users({1: item if isinstance(item, (bool, int, float)) else None})
    return names


# The order in which Dovecot writes the variables into a key does not matter to anybody but two processes of one
# server, so it is only fixed: alphabetical, providers last.
_SHORT_NAMES = {"u": "user", "n": "username", "d": "domain", "s": "protocol", "l": "local_ip", "r": "remote_ip"}


def cache_key(function: str, result: Any, *, strict: bool) -> tuple[str, ...]:
    """The names of the variables that a template of a cache-key function names, sorted. Raises ConfigError.

    Filters are dropped; ``passdb:`` and ``userdb:`` names are kept, names of other providers are not.
    """
    if not isinstance(result, str):
        raise ConfigError(f"db-lua: {function} invalid return value (expected string, got {type_name(result)})")
    template = result
    if not strict and "%{" not in template:
        for short, name in _SHORT_NAMES.items():
            template = template.replace("%" + short, "%{" + name + "}")
    names: set[str] = set()
    for part in parse(template):
        if isinstance(part, Pipeline):
            names.update(_named(part))
    if not names:
        raise ConfigError(f"db-lua: {function}: Cache key must contain at least one variable")
    return tuple(sorted(names, key=lambda name: (":" in name, name)))


def _named(pipeline: Pipeline) -> list[str]:
    names = [pipeline.source.name] if pipeline.source else []
    for call in pipeline.filters:
        names += _arguments(call)
    return [name for name in names if ":" not in name or name.startswith(("passdb:", "userdb:"))]


def _arguments(call: Call) -> list[str]:
    given = [*call.arguments, *[value for _, value in call.named]]
    return [argument.name for argument in given if isinstance(argument, Variable)]


def _failure(message: str) -> Verdict:
    return Verdict(INTERNAL_FAILURE, message=message)


def _number(code: Any) -> int | None:
    """As lua_isnumber and lua_tointeger: numeric strings count, a fraction makes it 0."""
    if isinstance(code, bool):
        return None
    if isinstance(code, int):
        return code
    if isinstance(code, str):
        try:
            code = float(code)
        except ValueError:
            return None
    if isinstance(code, float):
        return int(code) if code.is_integer() else 0
    return None


def _value_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return str(_number(value))
    return None


def _words(text: str) -> list[tuple[str, str]]:
    """``k=v k2`` → pairs; a bare word has an empty value."""
    return [(key, value) for word in text.split(" ") if word for key, _, value in (word.partition("="),)]
