"""``doveconf``: print the effective configuration (docs/man/doveconf.1.md). Starts fast: no asyncio, no socket.

Exit status: 0 done · 64 wrong use · 89 the configuration, or a name asked for, is wrong (as in Dovecot).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from roost.errors import ConfigError
from roost.settings import DEFAULT_PATH, Config, load, registry
from roost.settings.connections import Connection
from roost.settings.dump import Section, Shown, Which, collect, show
from roost.settings.fields import LISTS
from roost.settings.places import meant
from roost.settings.schema import LIST_FILTERS, NAMED_FILTERS
from roost.settings.tree import Path
from roost.settings.variables import expand
from roost.settings.written import as_conf, as_toml, plain

EX_USAGE = 64
EX_CONFIG = 89
FILTER_KEYS = ("protocol", "local", "local_name", "remote", "service")

DESCRIPTION = """Print the effective configuration of Roost: without NAMEs, the settings whose value differs from the
default."""
EPILOG = """NAME is a setting (mail_home), a section (service, service/imap) or a path (service/imap/process_limit); a
slash inside a name is written \\s. Exit status: 0 done, 64 wrong use, 89 the configuration is wrong."""


class Parser(argparse.ArgumentParser):
    """argparse with the exit status of sysexits.h."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EX_USAGE, f"doveconf: {message}\n")


def parser() -> argparse.ArgumentParser:
    """The command line, complete."""
    made = Parser(prog="doveconf", description=DESCRIPTION, epilog=EPILOG, add_help=False)
    add = made.add_argument
    add("-c", dest="path", metavar="FILE", default=DEFAULT_PATH, help="main file (default: %(default)s)")
    which = made.add_mutually_exclusive_group()
    which.add_argument("-n", action="store_true", help="settings that differ from the default, each with its file:line")
    which.add_argument("-a", action="store_true", help="all settings")
    which.add_argument("-N", action="store_true", help="settings set in the files, even if equal to the default")
    which.add_argument("-d", action="store_true", help="the defaults; no file is read")
    add("-P", action="store_true", help="show passwords and other secrets")
    add("-h", action="store_true", help="print only the value of one setting")
    add(
        "-x",
        action="store_true",
        help="put in what $SET:, $ENV: and <file stand for; with NAMEs also %%{system:…} and such",
    )
    add(
        "-f",
        dest="facts",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help=f"apply the filters for this connection; KEY is one of {', '.join(FILTER_KEYS)}; may be repeated",
    )
    add("-o", dest="overrides", metavar="PATH=VALUE", action="append", default=[], help="override a setting")
    add(
        "-F",
        dest="form",
        choices=("conf", "toml"),
        default="conf",
        help="language of the output (default: conf; Dovecot's -F is another thing)",
    )
    add("-w", action="store_true", help="no warnings about the configuration")
    add("--help", action="help", help="show this text")
    add("names", metavar="NAME", nargs="*", help="what to print; see below")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status."""
    options = parser().parse_args(argv)
    try:
        config = load("" if options.d else options.path, options.overrides)
        if not options.w:
            for warning in config.warnings:
                print(f"doveconf: Warning: {warning}", file=sys.stderr)
        lines = list(_output(config, options))
    except ConfigError as error:
        print(f"doveconf: Fatal: {error}", file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            print(f"doveconf: Error: {note}", file=sys.stderr)
        return EX_CONFIG
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _output(config: Config, options: argparse.Namespace) -> Iterator[str]:
    connection, service = _connection(options.facts)
    if options.h and len(options.names) != 1:
        raise ConfigError("Multiple settings matched with -h parameter" if options.names else "-h needs a NAME")
    if options.names:
        yield from _named(config, options, connection, service)
        return
    which = Which.ALL if options.a or options.d else Which.EXPLICIT if options.N else Which.NON_DEFAULT
    root = collect(config, which, expanded=options.x or options.form == "toml", connection=connection)
    if not options.d:
        yield from _header(config)
    yield from _written(root, options)


def _written(root: Section, options: argparse.Namespace) -> Iterable[str]:
    if options.form == "toml":
        return as_toml(root, secrets=options.P).rstrip("\n").split("\n")
    return as_conf(root, secrets=options.P, origins=options.n)


def _header(config: Config) -> Iterator[str]:
    system = os.uname()
    yield f"# {expand('%{dovecot:version}', {})}: {config.path}"
    yield f"# OS: {system.sysname} {system.release} {system.machine}"
    yield f"# Hostname: {system.nodename}"


def _named(config: Config, options: argparse.Namespace, connection: Connection | None, service: str) -> Iterator[str]:
    expanded = options.x or options.form == "toml" or options.h
    around: Path = (("service", service),) if service else ()
    root = Section()
    for name in options.names:
        path, key = _resolved(name)
        if not key:
            _copy_section(config, root, path, expanded, connection)
            if options.h:
                raise ConfigError("Multiple settings matched with -h parameter")
            continue
        spec, _, _ = meant(path, key)
        if spec is None:
            near = registry.similar_setting(key, [f"{kind}_" for kind, _ in path])
            raise ConfigError(f"Unknown setting or section: {name}" + (f" (Did you mean {near}?)" if near else ""))
        if path and path[-1][1]:
            _check_exists(config, path, name)
        found = show(
            config, spec, path or around, expanded=expanded, connection=connection, name=name.rpartition("/")[2]
        )
        if options.x and spec.type not in LISTS:
            found = _with_system_variables(found)
        if options.h:
            yield plain(found, secrets=options.P)
            return
        section = root
        for kind, element in path:
            section = section.inner(kind, element)
        section.settings.append(found)
    yield from _written(root, options)


def _with_system_variables(found: Shown) -> Shown:
    """``-x NAME``: also the variables that mean the same everywhere."""
    try:
        text = expand(found.text, {})
    except ConfigError:
        return found
    return Shown(found.name, found.spec, text, text, text, found.origin) if text != found.text else found


def _resolved(name: str) -> tuple[Path, str]:
    """``service/imap/process_limit`` → the path and the key; the key "" for a section."""
    parts = [part.replace("\\s", "/") for part in name.strip("/").split("/")]
    path: Path = ()
    while parts and (parts[0] in LIST_FILTERS or parts[0] in NAMED_FILTERS):
        kind = parts.pop(0)
        element = parts.pop(0) if kind in LIST_FILTERS and parts else ""
        path = (*path, (kind, element))
    if len(parts) > 1:
        raise ConfigError(f"Unknown setting or section: {name}")
    return path, parts[0] if parts else ""


def _copy_section(config: Config, root: Section, path: Path, expanded: bool, connection: Connection | None) -> None:
    """Put everything of one section, or of all sections of a kind, into ``root``."""
    whole = collect(config, Which.ALL, expanded=expanded, connection=connection or Connection())
    kind, name = path[-1]
    if kind in NAMED_FILTERS:
        root.settings += [shown for shown in whole.settings if shown.spec.key.startswith(kind + "_")]
        return
    _check_exists(config, path if name else path[:-1], "/".join(part for pair in path for part in pair if part))
    for outer_kind, outer_name in path[:-1]:
        whole, root = whole.inner(outer_kind, outer_name), root.inner(outer_kind, outer_name)
    root.sections += [each for each in whole.sections if each.kind == kind and name in ("", each.name)]


def _check_exists(config: Config, path: Path, name: str) -> None:
    if path and all(block.path[: len(path)] != path for block in config.tree.blocks):
        known = sorted({block.path[-1][1] for block in config.tree.blocks if block.path[-1][0] == path[-1][0]})
        raise ConfigError(f"Unknown setting or section: {name} (there are: {', '.join(known) or 'none'})")


def _connection(facts: Iterable[str]) -> tuple[Connection | None, str]:
    """``-f`` parameters. Raises ConfigError."""
    given: dict[str, str] = {}
    for fact in facts:
        key, equals, value = fact.partition("=")
        if not equals:
            raise ConfigError("-f parameters must be in key=value format")
        if key not in FILTER_KEYS:
            raise ConfigError(f"-f {key}: Unknown filter key (use one of: {', '.join(FILTER_KEYS)})")
        given[key] = value
    service = given.pop("service", "")
    if not facts:
        return None, ""
    return (
        Connection(given.get("protocol", ""), given.get("local"), given.get("local_name"), given.get("remote")),
        service,
    )


if __name__ == "__main__":
    sys.exit(main())
