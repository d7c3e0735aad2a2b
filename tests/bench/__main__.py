"""``python -m tests.bench [--rounds N] [--only TEXT] [--json FILE]``: run the workloads, print medians and ratios."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from tests.bench.client import Failed
from tests.bench.idle import idle_memory_kb, push_latency_ms
from tests.bench.servers import available
from tests.bench.workloads import WORKLOADS

EXTRA = {"idle connection, KB": idle_memory_kb, "push APPEND → EXISTS, ms": push_latency_ms}


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bench", description="Server CPU per operation, µs (one core).")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the servers take turns (default 3)")
    parser.add_argument("--only", default="", help="only workloads whose name contains this text")
    parser.add_argument("--json", help="also write the raw figures to this file")
    parser.add_argument("--alone", action="store_true", help="Roost only")
    options = parser.parse_args()
    kinds = available()[:1] if options.alone else available()
    # Client and server share one core: a wake-up across cores costs more than the small commands themselves.
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    figures: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as folder:
        for round_number in range(options.rounds):
            for kind in kinds if round_number % 2 == 0 else reversed(kinds):
                server = kind(Path(folder))
                server.start()
                try:
                    _one_round(server, options.only, figures)
                finally:
                    server.stop()
    _report(figures, [kind.name for kind in kinds])
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1))
    return 0


def _one_round(server, only: str, figures: dict[str, dict[str, list[float]]]) -> None:  # type: ignore[no-untyped-def]
    for name, (_, workload) in WORKLOADS.items():
        if only in name:
            try:
                operations, cpu_secs = workload(server)
                figures.setdefault(name, {}).setdefault(server.name, []).append(cpu_secs / operations * 1e6)
            except (Failed, OSError) as error:
                print(f"{server.name}: {name}: {error}", file=sys.stderr)
    for name, measure in EXTRA.items():
        if only in name:
            figures.setdefault(name, {}).setdefault(server.name, []).append(measure(server))


def _report(figures: dict[str, dict[str, list[float]]], names: list[str]) -> None:
    print(f"{'workload':<30}{'unit':<10}" + "".join(f"{name:>12}" for name in names) + f"{'ratio':>8}")
    for workload, by_server in figures.items():
        unit = WORKLOADS[workload][0] if workload in WORKLOADS else ""
        medians = [statistics.median(by_server[name]) if name in by_server else float("nan") for name in names]
        ratio = f"{medians[0] / medians[1]:8.2f}" if len(medians) > 1 and medians[1] else ""
        print(f"{workload:<30}{unit:<10}" + "".join(f"{m:>12.2f}" for m in medians) + ratio)


if __name__ == "__main__":
    sys.exit(main())
