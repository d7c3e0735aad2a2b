"""A command's arguments: short and long options anywhere on the line, ``--`` ends them."""

from __future__ import annotations

from collections.abc import Sequence

from roost.errors import Malformed
from services.doveadm.command import FLAG, LIST, NUMBER, Command, Option


class Usage(Malformed):
    """The command line is wrong: the command's usage is shown, exit status 64."""


class Arguments:
    """The values, by the options' long names and the positionals' names."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._lists: dict[str, list[str]] = {}
        self._flags: set[str] = set()

    def flag(self, name: str) -> bool:
        return name in self._flags

    def text(self, name: str, default: str = "") -> str:
        return self._texts.get(name, default)

    def given(self, name: str) -> bool:
        return name in self._texts

    def number(self, name: str, default: int = 0) -> int:
        return int(self._texts.get(name, default))

    def list(self, name: str) -> list[str]:
        return self._lists.get(name, [])

    def take(self, option: Option, value: str) -> None:
        """Raises Usage."""
        if option.kind == FLAG:
            self._flags.add(option.long)
        elif option.kind == LIST:
            self._lists.setdefault(option.long, []).append(value)
        else:
            if option.kind == NUMBER and not (value.isascii() and value.isdigit() and len(value) < 19):
                raise Usage(f"-{option.short} needs a number, not '{value}'")
            self._texts[option.long] = value

    def place(self, command: Command, words: Sequence[str]) -> None:
        """Give the words to the positionals. Raises Usage."""
        left = list(words)
        for positional in command.positionals:
            if positional.many:
                self._lists[positional.name] = left
                missing = positional.needed and not left
                left = []
            else:
                missing = positional.needed and not left
                if left:
                    self._texts[positional.name] = left.pop(0)
            if missing:
                raise Usage(f"missing argument: {positional.name}")
        if left:
            raise Usage(f"unexpected argument: {left[0]}")


def parse(command: Command, argv: Sequence[str]) -> Arguments:
    """Raises Usage."""
    by_short = {option.short: option for option in command.options if option.short}
    by_long = {option.long: option for option in command.options}
    arguments = Arguments()
    words: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            option = by_long.get(name)
            if option is None:
                raise Usage(f"unknown option: --{name}")
            if option.kind == FLAG and equals:
                raise Usage(f"--{name} takes no value")
            arguments.take(option, value if equals else _value(option, rest))
        elif word.startswith("-") and word != "-":
            _short(word[1:], by_short, rest, arguments)
        else:
            words.append(word)
    arguments.place(command, words)
    return arguments


def _short(letters: str, options: dict[str, Option], rest: list[str], arguments: Arguments) -> None:
    """``-lV``, ``-sPLAIN``, ``-s PLAIN``. Raises Usage."""
    while letters:
        letter, letters = letters[0], letters[1:]
        option = options.get(letter)
        if option is None:
            raise Usage(f"unknown option: -{letter}")
        if option.kind == FLAG:
            arguments.take(option, "")
        else:
            arguments.take(option, letters or _value(option, rest))
            return


def _value(option: Option, rest: list[str]) -> str:
    if option.kind == FLAG:
        return ""
    if not rest:
        raise Usage(f"--{option.long} needs a value")
    return rest.pop(0)
