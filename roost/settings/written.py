"""The tree of ``dump.py`` as text: the configuration language, or TOML. Secrets are hidden unless wanted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from roost.settings.dump import Section, Shown
from roost.settings.fields import BOOL, BOOLLIST, LISTS, NETS, PORT, SECRET, STRLIST, UINT
from roost.settings.readers import toml
from roost.settings.readers.quoting import quote, written
from roost.settings.values import format_value

HIDDEN = "# hidden, use -P to show it"
HIDDEN_INSIDE = "#hidden_use-P_to_show#"

_SECRET_KEY = re.compile(r"(?:\A|_)(?:pass|password|key|nonce|secret)\Z")
_SECRET_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)")
_BARE_NAME = re.compile(r"[A-Za-z0-9_\-/.@%+:*!?\[\]]+\Z")


def as_conf(root: Section, *, secrets: bool, origins: bool) -> Iterator[str]:
    """Lines of the configuration language; ``origins``: file and line of each as a comment."""
    yield from _section(root, "", secrets, origins)


def _section(section: Section, indent: str, secrets: bool, origins: bool) -> Iterator[str]:
    for shown in section.settings:
        yield from _setting(shown, indent, secrets, origins)
    for inner in section.sections:
        yield indent + " ".join(part for part in (inner.kind, _name(inner.name), "{") if part)
        yield from _section(inner, indent + "  ", secrets, origins)
        yield indent + "}"


def _setting(shown: Shown, indent: str, secrets: bool, origins: bool) -> Iterator[str]:
    comment = f"  # {shown.origin}" if origins and shown.origin else ""
    if shown.spec.type is STRLIST:
        if shown.cleared or not shown.value:
            yield f"{indent}{shown.name} ={comment}"
        if shown.value:
            yield f"{indent}{shown.name} {{{comment}"
            for item, text in shown.value.items():
                yield f"{indent}  {_name(item)} = {HIDDEN if hidden(item, text, secrets) else written(text)}"
            yield f"{indent}}}"
    elif hidden(shown.name, shown.text, secrets) or (shown.spec.type is SECRET and shown.text and not secrets):
        yield f"{indent}{shown.name} = {HIDDEN}{comment}"
    elif "\n" in shown.raw:
        yield f"{indent}{shown.name} = <<END_OF_TEXT"
        yield shown.raw.removesuffix("\n")
        yield "END_OF_TEXT"
    else:
        raw = shown.raw if secrets else _SECRET_IN_URL.sub(rf"\1{HIDDEN_INSIDE}", shown.raw)
        if raw != shown.raw:
            raw = quote(raw)
        yield f"{indent}{shown.name} ={' ' if raw else ''}{raw}{comment}"


def plain(shown: Shown, *, secrets: bool) -> str:
    """The value alone, for ``doveconf -h``."""
    if shown.spec.type is STRLIST:
        return " ".join(
            f"{item}={HIDDEN if hidden(item, text, secrets) else text}" for item, text in shown.value.items()
        )
    if hidden(shown.name, shown.text, secrets) or (shown.spec.type is SECRET and shown.text and not secrets):
        return HIDDEN
    return shown.text


def hidden(key: str, text: str, secrets: bool) -> bool:
    """Whether a value must not be shown, going by its key."""
    return bool(text) and not secrets and bool(_SECRET_KEY.search(key))


def as_toml(root: Section, *, secrets: bool) -> str:
    """TOML that loads again. Hidden secrets are left out."""
    return toml.write(_table(root, secrets))


def _table(section: Section, secrets: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for shown in section.settings:
        if shown.spec.type is STRLIST:
            made[shown.name] = {item: text for item, text in shown.value.items() if not hidden(item, text, secrets)}
        elif not hidden(shown.name, shown.text, secrets) and (
            secrets or shown.spec.type is not SECRET or not shown.text
        ):
            made[shown.name] = _toml_value(shown)
    for inner in section.sections:
        table = _table(inner, secrets)
        if inner.name:
            made.setdefault(inner.kind, {})[inner.name] = table
        else:
            made[inner.kind] = table
    return made


def _toml_value(shown: Shown) -> Any:
    kind = shown.spec.type
    if kind in (BOOLLIST, NETS):
        return list(shown.value)
    if kind is BOOL:
        return shown.value
    if kind in (UINT, PORT) and shown.text.isdigit():
        return shown.value
    if kind not in LISTS and "%" not in shown.text and not isinstance(shown.value, str):
        return format_value(shown.spec, shown.value)
    return shown.text


def _name(name: str) -> str:
    return name if not name or _BARE_NAME.match(name) else quote(name)
