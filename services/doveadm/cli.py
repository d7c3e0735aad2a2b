"""``doveadm``: global options, the command, and the one table from errors to exit statuses (sysexits.h)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from roost.errors import (
    ConfigError,
    Corrupt,
    LimitExceeded,
    Malformed,
    OverQuota,
    PermissionDenied,
    Refused,
    RoostError,
    Unavailable,
)
from services.doveadm.arguments import Usage, parse
from services.doveadm.commands import COMMANDS, load
from services.doveadm.context import Context, Globals, complain

INTERRUPTED = 130

# The first class that fits decides.
EXIT_STATUS: tuple[tuple[type[RoostError], int], ...] = (
    (ConfigError, os.EX_CONFIG),
    (PermissionDenied, os.EX_NOPERM),
    (OverQuota, os.EX_CANTCREAT),
    (LimitExceeded, os.EX_DATAERR),
    (Usage, os.EX_USAGE),
    (Malformed, os.EX_PROTOCOL),
    (Unavailable, os.EX_TEMPFAIL),
    (Corrupt, os.EX_DATAERR),
    (Refused, os.EX_DATAERR),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return os.EX_OK
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: list[str]) -> int:
    try:
        options, words, show_help = _globals(argv)
    except Usage as error:
        from services.doveadm.usage import SYNOPSIS

        sys.stderr.write(f"doveadm: {error.client_text}\n{SYNOPSIS}\n")
        return os.EX_USAGE
    if show_help:
        from services.doveadm.usage import overview

        sys.stdout.write(overview())
        return os.EX_OK
    name, rest = _command(words)
    if not name:
        return _no_command(words)
    command = load(name)
    if "--help" in rest:
        from services.doveadm.usage import described

        sys.stdout.write(described(command))
        return os.EX_OK
    context = Context(options, command.formatter, sys.stdout, sys.stderr)
    try:
        return command.run(context, parse(command, rest))
    except Usage as error:
        sys.stderr.write(f"doveadm {name}: {error.client_text}\nusage: doveadm {command.usage()}\n")
        return os.EX_USAGE
    except RoostError as error:
        sys.stdout.flush()
        shown = str(error) if options.debug or isinstance(error, ConfigError) else error.client_text
        complain(sys.stderr, "Fatal" if isinstance(error, (Unavailable, ConfigError)) else "Error", shown)
        return next(status for kind, status in EXIT_STATUS if isinstance(error, kind))
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        if options.debug:
            raise
        complain(sys.stderr, "Panic", f"internal error: {type(error).__name__}: {error} (doveadm -D shows where)")
        return os.EX_SOFTWARE


def _globals(argv: list[str]) -> tuple[Globals, list[str], bool]:
    """The global options (up to the first word that is none), the words after them, and whether help is wanted.

    Raises Usage.
    """
    path, formatter = "", ""
    overrides: list[str] = []
    flags: set[str] = set()
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word == "--help":
            return Globals(), [], True
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in "Dhv":
                flags.add(letter)
                continue
            if letter not in "cfo":
                raise Usage(f"unknown option: -{letter}")
            value, letters = (letters or (rest.pop(0) if rest else "")), ""
            if not value:
                raise Usage(f"-{letter} needs a value")
            if letter == "c":
                path = value
            elif letter == "f":
                formatter = value
            else:
                overrides.append(value)
    made = Globals(path, tuple(overrides), formatter, "v" in flags, "D" in flags, "h" not in flags)
    return made, rest, False


def _command(words: list[str]) -> tuple[str, list[str]]:
    """The command's name and what follows it. A name of several words may be given as one argument too."""
    for count in (3, 2, 1):
        name = " ".join(words[:count])
        if len(words) >= count and name in COMMANDS:
            return name, words[count:]
    return "", words


def _no_command(words: list[str]) -> int:
    from services.doveadm.usage import group_usage, in_group, overview, unknown

    if not words:
        sys.stderr.write(overview())
        return os.EX_USAGE
    group = in_group(words[0])
    if group and (len(words) == 1 or words[1].startswith("-")):
        sys.stderr.write(group_usage(words[0], group))
    else:
        sys.stderr.write(unknown(words[:2] if group else words[:1]))
    return os.EX_USAGE


if __name__ == "__main__":
    sys.exit(main())
