"""What a running command has: the configuration (read when first asked for), sockets, output, prompts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TextIO

from services.doveadm.output import Column, Screen, formatter

if TYPE_CHECKING:
    from roost.settings import Config

DEFAULT_WIDTH = 80


class Globals(NamedTuple):
    """The options before the command's name."""

    config_path: str = ""
    overrides: tuple[str, ...] = ()
    formatter: str = ""
    verbose: bool = False
    debug: bool = False
    titles: bool = True


class Context:
    """One run of doveadm."""

    def __init__(self, options: Globals, default_formatter: str, out: TextIO, err: TextIO) -> None:
        self.options = options
        self.out = out
        self.err = err
        self.formatter = options.formatter or default_formatter

    @cached_property
    def config(self) -> Config:
        """The effective configuration. Raises ConfigError."""
        from roost.settings import DEFAULT_PATH, load

        path = self.options.config_path or str(DEFAULT_PATH)
        self.debug(f"reading the configuration {path}")
        return load(path, overrides=list(self.options.overrides))

    @cached_property
    def base_dir(self) -> str:
        from roost.settings.schema.master import MasterSettings

        return self.config.section(MasterSettings).base_dir

    @cached_property
    def timeout_secs(self) -> float:
        """How long to wait for a service's answer."""
        from roost.settings.schema.doveadm import DoveadmSettings

        return self.config.section(DoveadmSettings).doveadm_timeout_secs

    def socket_path(self, given: str, name: str) -> str:
        """The socket an option names, or the one of this name in ``base_dir``."""
        return given if "/" in given else os.path.join(self.base_dir, given or name)

    # --- output

    def rows(self, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
        """Print rows with the chosen formatter."""
        screen = Screen(self.out, _width(self.out), self.options.titles, coloured(self.out))
        made = formatter(self.formatter, screen)
        made.begin(columns)
        for row in rows:
            made.row(row)
        made.end()

    def line(self, text: str = "") -> None:
        self.out.write(text + "\n")

    def error(self, text: str) -> None:
        complain(self.err, "Error", text)

    def verbose(self, text: str) -> None:
        if self.options.verbose or self.options.debug:
            complain(self.err, "Info", text)

    def debug(self, text: str) -> None:
        if self.options.debug:
            complain(self.err, "Debug", text)

    # --- input

    def password(self, prompt: str, *, again: str = "") -> bytes:
        """A password from the terminal, without echo; asked a second time with ``again``. Three tries.

        When standard input is no terminal, its first line (asked once, nothing is printed). Raises Refused.
        """
        from services.doveadm.prompt import ask

        return ask(prompt, again, self.err)


def complain(err: TextIO, level: str, text: str) -> None:
    """``Error: text`` on standard error."""
    from services.doveadm.output.base import clean

    word = f"\x1b[31m{level}\x1b[m" if level in ("Error", "Fatal") and coloured(err) else level
    err.write(f"{word}: {clean(text)}\n")


def coloured(stream: TextIO) -> bool:
    """Colour is for terminals whose user has not said NO_COLOR."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def _width(stream: TextIO) -> int:
    if not stream.isatty():
        return DEFAULT_WIDTH
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH
