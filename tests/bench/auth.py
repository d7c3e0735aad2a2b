"""CPU per authentication: ``python -m tests.bench.auth [--rounds N] [--only TEXT]``. The whole process tree, µs.

Lines of the auth client protocol on the sockets of a real server's auth process; Debian's Dovecot beside it where it is
installed. "many": 64 requests are sent in one piece, then their answers are read. "one": one request at a time.
Every answer must be OK.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.bench import auth_lines as lines
from tests.bench.auth_servers import AuthServer, DovecotAuth, RoostAuth
from tests.bench.client import Failed
from tests.bench.servers import available

KIT = Path(__file__).resolve().parents[1]
FLIGHT = 64
TOTAL = 6000
Kind = type[AuthServer]


@dataclass(frozen=True, slots=True)
class Row:
    """``variant``: of the configuration. ``login``: on the socket for login rooms, in their words."""

    name: str
    variant: str
    exchange: Callable[[int], lines.Exchange]
    login: bool = False
    dovecot: bool = False
    total: int = TOTAL


ROWS = (
    Row("PLAIN, passwd-file, short way", "passwd-file", lines.plain("u"), login=True),
    Row("PLAIN, passwd-file", "passwd-file", lines.plain("u"), dovecot=True),
    Row("PLAIN, passwd-file, SSHA512", "passwd-file", lines.plain("h"), dovecot=True),
    Row("SCRAM-SHA-256, passwd-file", "passwd-file", lines.scram("s"), dovecot=True, total=3000),
    Row("PLAIN, sqlite", "sqlite", lines.plain("u")),
    Row("PLAIN, sqlite, cached", "sqlite-cached", lines.plain("u")),
    Row("OAUTHBEARER, local JWT, HS256", "jwt", lines.bearer("HS256"), total=3000),
    Row("OAUTHBEARER, local JWT, RS256", "jwt", lines.bearer("RS256"), total=3000),
    Row("PLAIN, Lua in auth", "lua-inside", lines.plain("u"), dovecot=True, total=3000),
    Row("PLAIN, Lua in auth-worker", "lua-worker", lines.plain("u"), dovecot=True, total=3000),
)
Figures = dict[tuple[str, str], dict[str, list[float]]]


def measure(server: AuthServer, row: Row, flight: int) -> float:
    """CPU µs of one authentication."""
    client = lines.Client(server.socket(login=row.login), login=row.login)
    try:
        run(client, row, flight, min(row.total, 1000))  # names are learned, caches filled, workers started
        before = server.meter.cpu_secs()
        run(client, row, flight, row.total)
        return (server.meter.cpu_secs() - before) / row.total * 1e6
    finally:
        client.close()


def run(client: lines.Client, row: Row, flight: int, total: int) -> None:
    done = 0
    while done < total:
        count = min(flight, total - done)
        client.batch([row.exchange((done + number) % lines.USERS + 1) for number in range(count)])
        done += count


def one_round(folder: Path, kinds: list[Kind], rows: list[Row], figures: Figures) -> None:
    for variant in dict.fromkeys(row.variant for row in rows):
        for kind in kinds:
            chosen = [row for row in rows if row.variant == variant and (kind is RoostAuth or row.dovecot)]
            if not chosen or not kind.can(variant):
                continue
            server = kind(folder, variant)
            server.start()
            try:
                for row in chosen:
                    for label, flight in (("many", FLIGHT), ("one", 1)):
                        by_server = figures.setdefault((row.name, label), {})
                        try:
                            by_server.setdefault(server.name, []).append(measure(server, row, flight))
                        except (Failed, OSError) as error:
                            print(f"{server.name}: {row.name}: {error}\n{server.last_words()}", file=sys.stderr)
            finally:
                server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.auth", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="only rows whose name contains this text")
    parser.add_argument("--alone", action="store_true", help="Roost only")
    options = parser.parse_args()
    sys.path.insert(0, str(KIT))  # tokens are made by the tests' kit
    kinds: list[Kind] = [RoostAuth] if options.alone or len(available()) == 1 else [RoostAuth, DovecotAuth]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # as the other figures are taken
    figures: Figures = {}
    rows = [row for row in ROWS if options.only in row.name]
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as folder:
        for number in range(options.rounds):
            one_round(Path(folder), kinds if number % 2 == 0 else kinds[::-1], rows, figures)
    print(f"{'authentication':<36}{'at once':<8}" + "".join(f"{kind.name:>10}" for kind in kinds) + f"{'ratio':>8}")
    for (name, label), by_server in figures.items():
        medians = [statistics.median(by_server[kind.name]) if by_server.get(kind.name) else None for kind in kinds]
        cells = "".join(f"{'' if one is None else f'{one:.1f}':>10}" for one in medians)
        ratio = f"{medians[0] / medians[1]:8.2f}" if len(medians) > 1 and medians[0] and medians[1] else ""
        print(f"{name:<36}{label:<8}{cells}{ratio}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
