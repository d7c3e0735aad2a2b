"""Dovecot 2.4's configuration language: text → statements.

Knows lines, comments, continuations, quotes, heredocs and braces; knows no key. Linear time.
Rules: a ``#`` outside a pair of quotes begins a comment; a final backslash joins the next line; an opening line ends
with ``{``; a value is literal unless the whole of it is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from roost.errors import ConfigError
from roost.settings.readers.quoting import closing_quote, unquote
from roost.settings.readers.statements import Kind, Statement

_BARE_KEY = re.compile(r"[A-Za-z0-9_\-/.@%+:*!?\[\]]+")
_GROUP = re.compile(r"group[ \t]+@([A-Za-z0-9_\-]+)[ \t]+(\S+)[ \t]*\{\Z")
_GROUP_OPENING = re.compile(r"group[ \t]+[@{]")
_MARKER = re.compile(r"[A-Za-z0-9_\-]+\Z")
_BLANK = " \t\r\n"


def read(text: str, file: str) -> list[Statement]:
    """Every statement of a file. Raises ConfigError naming the line."""
    return list(_Reader(text, file).statements())


class _Reader:
    """One pass over the lines; ``number`` is the line being read, ``start`` the first line of the statement."""

    def __init__(self, text: str, file: str) -> None:
        self.lines = text.removeprefix("\ufeff").split("\n")
        self.file = file
        self.number = 0
        self.start = 0
        self.warnings: list[Statement] = []

    def error(self, why: str, line: int = 0) -> ConfigError:
        return ConfigError(why, file=self.file, line=line or self.start)

    def statements(self) -> Iterator[Statement]:
        while self.number < len(self.lines):
            line = self._logical_line()
            yield from self.warnings
            self.warnings.clear()
            if line:
                yield self._statement(line)

    def _logical_line(self) -> str:
        """The next line without its comment, joined with the ones it continues on; "" = nothing on it."""
        self.start = self.number + 1
        joined = ""
        while self.number < len(self.lines):
            raw = self.lines[self.number]
            self.number += 1
            if "\0" in raw:
                raise self.error("A NUL character is not allowed", self.number)
            line = raw.strip(_BLANK)
            if line.startswith("#"):
                if joined:
                    continue
                return ""
            line = self._without_comment(line)
            joined = f"{joined} {line}" if joined and line else joined or line
            if not joined.endswith("\\"):
                return joined
            joined = joined[:-1].rstrip(_BLANK)
        return joined

    def _without_comment(self, line: str) -> str:
        if "#" not in line:
            return line
        pos = 0
        while pos < len(line):
            char = line[pos]
            if char in "\"'":
                end = closing_quote(line, pos)
                if end > 0:
                    pos = end
            elif char == "#":
                if line[pos - 1] not in " \t":
                    self.warnings.append(
                        Statement(
                            Kind.WARN,
                            "",
                            "Ambiguous '#' character in line, treating it as comment. "
                            "Add a space before it to remove this warning.",
                            self.file,
                            self.number,
                        )
                    )
                return line[:pos].rstrip(_BLANK)
            pos += 1
        return line

    def _statement(self, line: str) -> Statement:
        if line == "}":
            return Statement(Kind.CLOSE, "", "", self.file, self.start)
        if line[0] == "}":
            raise self.error("Garbage after '}' (each brace needs a line of its own)")
        if line[0] == "!":
            return self._include(line)
        if _GROUP_OPENING.match(line):
            match = _GROUP.match(line)
            if not match:
                raise self.error("Expecting group name (write: group @label name {)")
            return Statement(Kind.GROUP, match[1], match[2], self.file, self.start)
        key, quoted_key, rest = self._key(line)
        if rest.startswith("="):
            if key.startswith("@") and not quoted_key:
                return Statement(Kind.USE_GROUP, key[1:], rest[1:].strip(_BLANK), self.file, self.start)
            return self._value(key, rest[1:].strip(_BLANK))
        return self._section(key, rest)

    def _include(self, line: str) -> Statement:
        word, _, pattern = line.replace("\t", " ").partition(" ")
        kind = {"!include": Kind.INCLUDE, "!include_try": Kind.INCLUDE_TRY}.get(word)
        if kind is None:
            raise self.error(f"Unknown directive: {word} (there are !include and !include_try)")
        pattern = pattern.strip(_BLANK)
        if pattern and pattern[0] in "\"'" and closing_quote(pattern, 0) == len(pattern) - 1:
            pattern = self._unquoted(pattern)
        if not pattern:
            raise self.error(f"{word} needs a file name")
        return Statement(kind, "", pattern, self.file, self.start)

    def _key(self, line: str) -> tuple[str, bool, str]:
        """(key, whether it was quoted, what follows without leading space)."""
        if line[0] in "\"'":
            end = closing_quote(line, 0)
            if end < 0:
                raise self.error("The key's closing quote is missing")
            return self._unquoted(line[: end + 1]), True, line[end + 1 :].lstrip(_BLANK)
        match = _BARE_KEY.match(line)
        if not match:
            raise self.error(f"Expecting a setting or a section, not '{line[:40]}'")
        return match[0], False, line[match.end() :].lstrip(_BLANK)

    def _value(self, key: str, value: str) -> Statement:
        if value.startswith("<<"):
            return self._heredoc(key, value[2:].strip(_BLANK))
        if value.startswith("<"):
            path = value[1:].strip(_BLANK)
            if path and path[0] in "\"'" and closing_quote(path, 0) == len(path) - 1:
                path = self._unquoted(path)
            if not path:
                raise self.error("A file name is missing after '<'")
            return Statement(Kind.SET_FILE, key, path, self.file, self.start)
        if value and value[0] in "\"'" and closing_quote(value, 0) == len(value) - 1:
            return Statement(Kind.SET, key, self._unquoted(value), self.file, self.start, quoted=True)
        return Statement(Kind.SET, key, value, self.file, self.start)

    def _heredoc(self, key: str, marker: str) -> Statement:
        if not _MARKER.match(marker):
            raise self.error("A heredoc needs a marker of letters and digits after '<<'")
        body: list[str] = []
        while self.number < len(self.lines):
            raw = self.lines[self.number].removesuffix("\r")
            self.number += 1
            if raw == marker:
                text = "".join(line + "\n" for line in body)
                return Statement(Kind.SET_HEREDOC, key, text, self.file, self.start, quoted=True)
            body.append(raw)
        raise self.error(f"Missing {marker}")

    def _section(self, key: str, rest: str) -> Statement:
        name = ""
        if rest and rest[0] in "\"'":
            end = closing_quote(rest, 0)
            if end < 0:
                raise self.error("The section name's closing quote is missing")
            name, rest = self._unquoted(rest[: end + 1]), rest[end + 1 :].lstrip(_BLANK)
            if not name:
                raise self.error(f"{key} {{ }} must not have an empty name")
        elif not rest.startswith("{"):
            name, _, rest = rest.partition("{")
            rest = "{" + rest if _ else rest
            name = name.strip(_BLANK)
            if " " in name or "\t" in name:
                raise self.error(f"Expecting '{{' or '=' after '{key}' (a section name with spaces must be quoted)")
        if not rest:
            raise self.error(f"Expecting '{{' or '=' after '{key}'")
        if rest != "{":
            raise self.error("Garbage after '{' (the brace must be the last thing on its line)")
        return Statement(Kind.OPEN, key, name, self.file, self.start)

    def _unquoted(self, text: str) -> str:
        try:
            return unquote(text)
        except ValueError as error:
            raise self.error(str(error)) from None
