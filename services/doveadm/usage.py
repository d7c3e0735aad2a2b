"""Texts about commands: the overview, one command's help, and what to say to an unknown one."""

from __future__ import annotations

from collections.abc import Sequence

from services.doveadm.command import Command
from services.doveadm.commands import COMMANDS, load
from services.doveadm.output import FORMATS

SYNOPSIS = "usage: doveadm [-Dhv] [-c file] [-o key=value] [-f formatter] command [options] [arguments]"
GLOBALS = (
    ("-c file", "configuration file"),
    ("-o key=value", "override a setting; may be repeated"),
    ("-f formatter", "how results are written: " + " ".join(FORMATS)),
    ("-h", "no titles in tab and table"),
    ("-v", "say more"),
    ("-D", "say everything"),
)


def overview() -> str:
    """What ``doveadm help`` prints."""
    width = max(len(name) for name in COMMANDS) + 2
    lines = [SYNOPSIS, ""]
    lines += [f"  {name:<{width}}{load(name).summary}" for name in COMMANDS]
    lines.append("")
    lines += [f"  {name:<{width}}{text}" for name, text in GLOBALS]
    lines += ["", "doveadm help COMMAND tells more about one; doveadm(1) about all.", ""]
    return "\n".join(lines)


def command_help(name: str) -> str | None:
    """What ``doveadm help NAME`` prints; None when there is no such command."""
    if name in COMMANDS:
        return described(load(name))
    group = in_group(name)
    return group_usage(name, group) if group else None


def described(command: Command) -> str:
    lines = [f"doveadm {command.usage()}", "", f"  {command.summary}", ""]
    for option in command.options:
        shown = f"-{option.short}, --{option.long}" + (f" {option.value}" if option.value else "")
        lines.append(f"  {shown:<34}{option.text}")
    return "\n".join(lines).rstrip() + "\n"


def in_group(word: str) -> list[str]:
    """The commands whose name begins with this word."""
    return [name for name in COMMANDS if name.startswith(word + " ")]


def group_usage(word: str, names: Sequence[str]) -> str:
    shown = "|".join(name[len(word) + 1 :] for name in names)
    return f"usage: doveadm {word} {shown}\n" + "".join(f"  doveadm {load(name).usage()}\n" for name in names)


def unknown(words: Sequence[str]) -> str:
    """The answer to a command that does not exist."""
    import difflib

    name = " ".join(words)
    candidates = {**{known: known for known in COMMANDS}, **{known.partition(" ")[0]: known for known in COMMANDS}}
    close = difflib.get_close_matches(name, candidates, 1, 0.5) or difflib.get_close_matches(
        words[0], candidates, 1, 0.5
    )
    hint = f"; did you mean '{candidates[close[0]]}'?" if close else ""
    return f"doveadm: unknown command '{name}'{hint}\n{SYNOPSIS}\n(doveadm help lists the commands)\n"
