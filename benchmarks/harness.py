"""What every benchmark shares: its options, its table, its targets, its JSON.

A benchmark runs as `python -m benchmarks.NAME [--quick] [--json FILE|-]`. Its JSON holds the machine, `rows` (one
measurement each) and its targets as `bars: [{name, value, bar, holds}]`. A target that is missed is reported, not an
error.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mvnet.storage import json_text, write_atomically


@dataclass(frozen=True)
class Target:
    """A name, the value measured, the target in words ("< 0.7"), and whether it is met."""

    name: str
    value: float
    target: str
    met: bool

    def to_json(self) -> dict[str, Any]:
        """Under the keys that readers of the JSON know."""
        return {"name": self.name, "value": self.value, "bar": self.target, "holds": self.met}


class Benchmark:
    """Options and report of one benchmark.

    Args:
        name: of the module.
        description: for --help; its first line heads the report.
        arguments: the command line; that of the process when None.
        add_options: adds options of its own to the parser; they are read from `options`.
    """

    def __init__(
        self,
        name: str,
        description: str | None,
        arguments: Sequence[str] | None = None,
        add_options: Callable[[argparse.ArgumentParser], object] | None = None,
    ):
        parser = argparse.ArgumentParser(
            prog=f"python -m benchmarks.{name}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--quick", action="store_true", help="fewer repeats on smaller inputs")
        parser.add_argument("--json", metavar="FILE", help="also write the result as JSON; - prints it alone")
        if add_options is not None:
            add_options(parser)
        self.options = options = parser.parse_args(arguments)
        self.name, self.quick, self._json = name, bool(options.quick), options.json

    def report(self, rows: list[dict[str, Any]], targets: Sequence[Target], data: Any = None) -> None:
        """Print the table and the targets, and write the JSON, `data` included, where --json asked for it."""
        result = {
            "benchmark": self.name,
            "machine": machine(),
            "quick": self.quick,
            "rows": rows,
            "bars": [target.to_json() for target in targets],
            **({} if data is None else {"data": data}),
        }
        text = json_text(result, indent=2, default=float) + "\n"
        if self._json == "-":
            sys.stdout.write(text)
            return
        print(f"{self.name} on {machine()}\n")
        for group in _groups(rows):
            print(_table(group), end="\n\n")
        for target in targets:
            outcome = "met" if target.met else "MISSED"
            print(f"{outcome:6}  {target.name}: {_cell(target.value)}  (target {target.target})")
        if self._json:
            write_atomically(Path(self._json), text.encode())


def machine() -> str:
    """Processor, threads and versions in one line."""
    import torch

    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor}, {torch.get_num_threads()} threads{gpu}, torch {torch.__version__}"


def add_parts(parser: argparse.ArgumentParser, parts: Sequence[str]) -> None:
    """The argument `parts`: names of some parts, none for all (which `choices` would refuse)."""

    def part(name: str) -> str:
        if name not in parts:
            raise argparse.ArgumentTypeError(f"found {name}, expected some of {', '.join(parts)}")
        return name

    parser.add_argument("parts", nargs="*", type=part, metavar="PART", help=f"of {', '.join(parts)}; default all")


def measure_parts(package: str, parts: Sequence[str], setup: Any) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows and targets of modules of a package, by their `measure(setup)`; one that lacks a library is left out."""
    rows, targets = [], []
    for part in parts:
        print(f"{part} ...", file=sys.stderr, flush=True)
        try:
            its_rows, its_targets = import_module(f"{package}.{part}").measure(setup)
        except ModuleNotFoundError as error:
            print(f"{part}: left out, needs {error.name}", file=sys.stderr)
            continue
        rows += its_rows
        targets += its_targets
    return rows, targets


def _groups(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Consecutive rows with the same columns."""
    groups: list[list[dict[str, Any]]] = []
    for row in rows:
        if groups and groups[-1][0].keys() == row.keys():
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _table(rows: list[dict[str, Any]]) -> str:
    """Columns aligned, numbers to the right."""
    columns = list(rows[0])
    cells = [columns, *([_cell(row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    left = [isinstance(rows[0][c], str) for c in columns]
    return "\n".join(
        "  ".join(cell.ljust(w) if to_left else cell.rjust(w) for cell, w, to_left in zip(line, widths, left))
        for line in cells
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.3e}"
    return str(value)
