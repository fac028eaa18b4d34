"""Every benchmark in quick form: one Markdown page, and the numbers for `python -m benchmarks.compare`.

usage: python -m benchmarks.run_all [NAME ...] [-o FOLDER] [--full] [--repeat N] [--timeout SECONDS]

Writes FOLDER/benchmarks.md and FOLDER/benchmarks.json. One that fails, or takes too long, is named; the others go on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.harness import machine
from mvnet.storage import json_text, write_atomically

NAMES = (
    "kernels", "frechet_mean", "equivariant", "curves", "integrators", "figure1", "control", "invertible", "optim",
    "image.figure3", "dti", "dti.amplification", "field_dti", "uncertainty", "insar", "field_insar", "activity",
    "field_motion", "faults",
)  # fmt: skip
"""Modules with `--quick` and `--json FILE`."""

PACKAGES = ("torch", "numpy", "scipy", "geoopt", "geomstats", "pymanopt", "torchdiffeq", "zuko", "dipy", "aeon")
"""Whose versions the page names."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run_all", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default all")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks-out"), help="folder (benchmarks-out)")
    parser.add_argument("--full", action="store_true", help="not in quick form: hours")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each, for the noise of its numbers (1)")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds after which one is given up (3600)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in NAMES]:
        parser.error(f"found {unknown[0]}, expected some of {', '.join(NAMES)}")
    options.output.mkdir(parents=True, exist_ok=True)
    results = []
    for name in options.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        results.append(measure(name, options.full, options.repeat, options.timeout))
        content = {"machine": machine(), "versions": versions(), "quick": not options.full, "results": results}
        write_atomically(options.output / "benchmarks.json", (json_text(content, indent=2) + "\n").encode())
        write_atomically(options.output / "benchmarks.md", page(content).encode())


def measure(name: str, full: bool, repeat: int, timeout: float) -> dict[str, Any]:
    """Seconds and bars of one benchmark: of every bar its values in all runs; or why there are none."""
    found: dict[str, dict[str, Any]] = {}
    start = time.perf_counter()
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "result.json")
            command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(file), *([] if full else ["--quick"])]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
            except subprocess.TimeoutExpired:
                return {"name": name, "error": f"more than {timeout:g} s", "bars": []}
            if done.returncode or not file.is_file():
                lines = done.stderr.strip().splitlines() or ["no word"]
                return {"name": name, "error": lines[-1], "bars": []}
            for bar in json.loads(file.read_text())["bars"]:
                entry = found.setdefault(bar["name"], {"name": bar["name"], "bar": bar["bar"], "values": []})
                entry["values"].append(bar["value"])
                entry["holds"] = bar["holds"] and entry.get("holds", True)
    return {"name": name, "seconds": round((time.perf_counter() - start) / repeat, 1), "bars": list(found.values())}


def versions() -> dict[str, str]:
    """Of the packages that are installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def page(content: dict[str, Any]) -> str:
    """The Markdown page."""
    form = "quick form" if content["quick"] else "full form"
    libraries = ", ".join(f"{package} {version}" for package, version in content["versions"].items())
    lines = ["# Benchmarks", "", f"{content['machine']}; {form}; {libraries}.", ""]
    for result in content["results"]:
        if "error" in result:
            lines += [f"## {result['name']}", "", f"not measured: {result['error']}", ""]
            continue
        met = sum(bool(bar["holds"]) for bar in result["bars"])
        lines += [f"## {result['name']}: {met} of {len(result['bars'])} met, {result['seconds']:g} s", ""]
        lines += ["| | value | target | |", "|---|---|---|---|"]
        for bar in result["bars"]:
            outcome = "met" if bar["holds"] else "**missed**"
            lines.append(f"| {_cell(bar['name'])} | {_values(bar['values'])} | {_cell(bar['bar'])} | {outcome} |")
        lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _values(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    low, high = min(known), max(known)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


if __name__ == "__main__":
    main()
