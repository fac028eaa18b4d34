"""Damaged files: seeded mutants of small valid inputs of every kind, read whole.

A case is read, or refused in one line; no traceback, crash, hang, lack of memory, or silent garbage. A finding is
printed with its kind and seed, from which `--kind KIND --seed SEED` rebuilds it; `--keep FOLDER` keeps its files.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.faults.case import OUTCOMES, Bench
from benchmarks.faults.kinds import KINDS
from benchmarks.faults.setup import Setup
from benchmarks.faults.workers import Result, run
from benchmarks.harness import Target

FULL, QUICK = 100_000, 2000
"""Cases of all kinds together; of a kind whose `share` is 1, with --quick."""
_BAD = [name for name in OUTCOMES if name not in ("ok", "clear")]
_LONGEST = 120  # characters of a finding in the table


def seeds_of(setup: Setup) -> dict[str, range]:
    """Which seeds of which kinds are tried."""
    if setup.kind and setup.cases:
        return {setup.kind: range(setup.cases)}
    unit = setup.cases or (QUICK if setup.quick else FULL / sum(kind.share for kind in KINDS.values()))
    names = [setup.kind] if setup.kind else list(KINDS)
    return {name: range(1 + round(unit * KINDS[name].share)) for name in names}


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """A row a kind, and that there are no bad outcomes."""
    if setup.seed is not None:
        rebuild(setup)
        return [], []
    seeds = seeds_of(setup)
    counts = {name: Counter() for name in seeds}
    found: list[Result] = []
    start = time.perf_counter()
    for result in run(KINDS, seeds, setup.jobs):
        counts[result.kind][result.outcome.kind] += 1
        if result.outcome.kind in _BAD:
            found.append(result)
            print(*result[:3], *result.outcome, file=sys.stderr, flush=True)
    rows = [
        {"kind": name, "cases": count.total(), **{outcome: count[outcome] for outcome in OUTCOMES}}
        for name, count in counts.items()
    ]
    rows += describe(found)
    bad = Counter(result.outcome.kind for result in found)
    targets = [Target(f"damaged files: {name}", bad[name], "0", not bad[name]) for name in _BAD]
    cases, wanted = sum(count.total() for count in counts.values()), sum(map(len, seeds.values()))
    targets.append(Target("damaged files: cases", cases, f">= {wanted}", cases >= wanted))
    targets.append(Target("damaged files: cases a second", cases / (time.perf_counter() - start), "no target", True))
    return rows, targets


def describe(found: list[Result]) -> list[dict[str, Any]]:
    """The findings, those at the same place of a kind once."""
    lines: dict[tuple[str, str, str], list[Result]] = {}
    for result in sorted(found, key=lambda result: (result.kind, result.seed)):
        where = " ".join(result.outcome.line.split()[:2])
        lines.setdefault((result.kind, result.outcome.kind, where), []).append(result)
    return [
        {
            "finding": kind,
            "outcome": outcome,
            "times": len(results),
            "seed": results[0].seed,
            "file": results[0].file,
            "line": results[0].outcome.line[:_LONGEST],
        }
        for (kind, outcome, _), results in lines.items()
    ]


def rebuild(setup: Setup) -> None:
    """Build the case of a kind and a seed again, in this process, and print what comes of it."""
    assert setup.seed is not None
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(setup.kind, KINDS[setup.kind], Path(folder))
        file, outcome = bench.try_seed(setup.seed, keep=setup.keep)
    print(f"{setup.kind} {setup.seed} {file}: {outcome.kind} {outcome.line}")
