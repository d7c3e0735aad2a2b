"""Reading configuration files: the main file, includes with globs and braces, and ``key = <file``. All bounded.

This is the only file here that opens files.
"""

from __future__ import annotations

import glob
import os
import re

from roost.errors import ConfigError
from roost.settings.build import Builder
from roost.settings.fields import FILE
from roost.settings.readers import reader_of
from roost.settings.readers.statements import Kind, Statement

MAX_FILE_OCTETS = 1 << 20
MAX_INCLUDE_DEPTH = 16
MAX_FILES = 1000
MAX_BRACES = 1000

_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")


class Files:
    """Feeds a builder with the main file and all it includes."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.open: list[str] = []
        self.count = 0

    def read_main(self, path: str) -> None:
        """Raises ConfigError; a missing file gets the remedy."""
        try:
            text = read_text(path)
        except FileNotFoundError:
            raise ConfigError(
                "The file does not exist (copy the distribution's roost.conf and conf.d there, or name another file)",
                file=path,
            ) from None
        except OSError as error:
            raise ConfigError(f"Cannot be read: {error.strerror}", file=path) from None
        self._statements(text, path)

    def _statements(self, text: str, path: str) -> None:
        self.count += 1
        if self.count > MAX_FILES:
            raise ConfigError(f"Too many included files (at most {MAX_FILES})", file=path)
        self.open.append(os.path.realpath(path))
        depth = self.builder.depth
        for one in reader_of(path)(text, path):
            if one.kind in (Kind.INCLUDE, Kind.INCLUDE_TRY):
                self._include(one)
                continue
            if one.kind is Kind.CLOSE and self.builder.depth == depth:
                raise self.builder.fatal(one, "Unexpected '}'")
            if one.kind is Kind.SET_FILE:
                one = self._with_content(one)
            self.builder.take(one)
        self.builder.check_closed(depth)
        self.open.pop()

    def _include(self, one: Statement) -> None:
        if self.builder.in_group:
            raise self.builder.fatal(one, "A group cannot include a file")
        if len(self.open) > MAX_INCLUDE_DEPTH:
            raise self.builder.fatal(one, f"Includes nest too deep (at most {MAX_INCLUDE_DEPTH})")
        optional = one.kind is Kind.INCLUDE_TRY
        pattern = os.path.join(os.path.dirname(one.file), one.value)
        found = sorted({path for each in expand_braces(pattern, one) for path in glob.glob(each)}, key=os.fsencode)
        if not found and not optional:
            raise self.builder.fatal(one, f"No matches: {pattern} (write !include_try if there need not be any)")
        for path in found:
            if os.path.realpath(path) in self.open:
                raise self.builder.fatal(one, f"Recursive include file: {path}")
            try:
                text = read_text(path)
            except OSError as error:
                why = f"Couldn't open include file {path}: {error.strerror}"
                if not optional:
                    raise self.builder.fatal(one, why) from None
                self.builder.warnings.append(f"Configuration file {one.file} line {one.line}: {why}")
                continue
            self._statements(text, path)

    def _with_content(self, one: Statement) -> Statement:
        """``key = <path``: its content; for a setting that is a file's name, the name itself."""
        path = os.path.join(os.path.dirname(one.file), one.value)
        if self.builder.type_of(one) is FILE:
            return one._replace(kind=Kind.SET, value=os.path.abspath(path), quoted=True)
        try:
            text = read_text(path)
        except OSError as error:
            raise self.builder.fatal(one, f"Couldn't open file {path}: {error.strerror}", one.key) from None
        return one._replace(kind=Kind.SET, value=text, quoted=True, written=f"<{path}")


def read_text(path: str) -> str:
    """A whole file of at most 1 MiB. Raises OSError, or ConfigError when it is too large, no file, or not UTF-8."""
    with open(path, "rb") as file:
        data = file.read(MAX_FILE_OCTETS + 1)
    if len(data) > MAX_FILE_OCTETS:
        raise ConfigError(f"The file is too large (at most {MAX_FILE_OCTETS} octets)", file=path)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("The file is not valid UTF-8", file=path, line=line) from None


def expand_braces(pattern: str, one: Statement) -> list[str]:
    """``a{b,c}d`` → ["abd", "acd"], nested too. Raises ConfigError beyond 1000."""
    waiting, done = [pattern], []
    while waiting:
        text = waiting.pop()
        match = _BRACES.search(text)
        if not match:
            done.append(text)
        else:
            waiting += [text[: match.start()] + part + text[match.end() :] for part in match[1].split(",")]
        if len(waiting) + len(done) > MAX_BRACES:
            raise ConfigError("The braces of this pattern give too many names", file=one.file, line=one.line)
    return done
