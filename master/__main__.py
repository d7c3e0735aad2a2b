"""``roost``: start the master, or talk to the one that runs. See docs/man/roost.1.md.

    roost [-c FILE] [-F] [-o KEY=VALUE]…              start; leaves the terminal unless -F
    roost [-c FILE] [-o KEY=VALUE]… reload|stop|status
    roost [-c FILE] -n|-a                             the configuration, as doveconf shows it

Exit codes are those of sysexits(3): 64 usage, 69 not running, 70 internal error, 75 try later, 78 configuration.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from master import commands, run
from master.rooms import Rooms
from roost.errors import ConfigError, RoostError, Unavailable
from roost.settings import DEFAULT_PATH, load
from roost.settings.schema import MasterSettings

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (ConfigError, os.EX_CONFIG),
    (Unavailable, os.EX_UNAVAILABLE),
    (RoostError, os.EX_DATAERR),
    (PermissionError, os.EX_NOPERM),
    (OSError, os.EX_OSERR),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(os.EX_USAGE, f"roost: {message}\n")


def main(argv: Sequence[str] | None = None, rooms: Rooms | None = None) -> int:
    """The command. ``rooms`` is the table of programs, for embedders. Returns the exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.version:
        print(run.version())
        return os.EX_OK
    path = os.path.abspath(arguments.config)
    try:
        if arguments.non_defaults or arguments.all:
            _become_doveconf(path, "-a" if arguments.all else "-n")
        if arguments.command:
            return commands.COMMANDS[arguments.command](_base_dir(path, arguments.override, arguments.command))
        return run.run(run.Options(path, arguments.override, arguments.foreground), rooms or Rooms())
    except (RoostError, OSError) as error:
        print(commands.explain(error), file=sys.stderr)
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except KeyboardInterrupt:
        return 130
    except Exception:
        traceback.print_exc()
        return os.EX_SOFTWARE


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="roost", description="The master of a Roost mail server.", allow_abbrev=False)
    parser.add_argument("-c", dest="config", metavar="FILE", default=DEFAULT_PATH, help=f"default {DEFAULT_PATH}")
    parser.add_argument("-F", dest="foreground", action="store_true", help="stay in the foreground")
    parser.add_argument(
        "-o", dest="override", metavar="KEY=VALUE", action="append", default=[], help="override a setting"
    )
    parser.add_argument("-n", dest="non_defaults", action="store_true", help="show the settings that are not defaults")
    parser.add_argument("-a", dest="all", action="store_true", help="show all settings")
    parser.add_argument("--version", action="store_true", help="show the version")
    parser.add_argument(
        "command", nargs="?", choices=sorted(commands.COMMANDS), help="speak to the master that runs; none: start it"
    )
    return parser


def _base_dir(path: str, overrides: Sequence[str], command: str) -> Path:
    try:
        return Path(load(path, overrides).section(MasterSettings).base_dir)
    except ConfigError:
        signal_name = {"stop": "TERM", "reload": "HUP"}.get(command)
        if signal_name is not None:
            print(
                f"roost: the running master is found by base_dir; kill -{signal_name} its PID works too",
                file=sys.stderr,
            )
        raise


def _become_doveconf(path: str, option: str) -> NoReturn:
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-I", "-m", "roost.settings.doveconf", "-c", path, option])


if __name__ == "__main__":
    sys.exit(main())
