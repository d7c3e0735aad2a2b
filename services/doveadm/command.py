"""What a command is: its row in COMMANDS, its options and arguments, and how its usage reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from services.doveadm.arguments import Arguments
    from services.doveadm.context import Context

FLAG, TEXT, NUMBER, LIST = "flag", "text", "number", "list"  # LIST: may be given several times


class Option(NamedTuple):
    """``-s``/``--scheme``. ``value``: what stands for the value in the usage; "" for a flag."""

    short: str
    long: str
    kind: str
    text: str
    value: str = ""

    def usage(self) -> str:
        return f"[-{self.short} {self.value}]" if self.value else f"[-{self.short}]"


class Positional(NamedTuple):
    """An argument by place. ``many``: the rest of the line; ``needed``: missing is a usage error."""

    name: str
    needed: bool = True
    many: bool = False

    def usage(self) -> str:
        shown = f"{self.name} [...]" if self.many else self.name
        return shown if self.needed else f"[{shown}]"


class Command(NamedTuple):
    """One command. ``run`` returns the exit status or raises what ``cli`` maps to one."""

    name: str
    summary: str
    run: Callable[[Context, Arguments], int]
    options: tuple[Option, ...] = ()
    positionals: tuple[Positional, ...] = ()
    formatter: str = "flow"  # when -f is not given

    def usage(self) -> str:
        parts = [option.usage() for option in self.options] + [one.usage() for one in self.positionals]
        return " ".join([self.name, *parts])
