"""A stack on two dask workers, one of which is killed: `python -m benchmarks.insar.stack_run [--quick]`.

Simulated pairs in the layout of dolphin go through `mvnet denoise insar`, one after another in one process, and again
on a cluster of two workers; one worker is killed when a fifth of the pairs is done. Both results must hold every pair,
and be the same, value by value.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Benchmark, Target

PAIRS, SIDE = 20, 512
QUICK_PAIRS, QUICK_SIDE = 6, 96


def write_stack(folder: Path, number: int, side: int) -> None:
    """Simulated pairs of one look, coherence .3 to .9, as `interferograms/DATE1_DATE2.int.tif`."""
    from mvnet.data_loaders.insar.rasters import gdal
    from mvnet.data_loaders.insar.simulation import simulate_pair, simulate_scene

    (folder / "interferograms").mkdir(parents=True)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "tiled": True}
    for k in range(number):
        scene = simulate_scene((side, side), k, coherence=(0.3, 0.9), water_share=0)
        z = simulate_pair(scene.phase, scene.coherence, seed=k).interferogram.numpy()
        name = f"202001{k + 1:02d}_202002{k + 1:02d}.int"
        for end, values in (("tif", z), ("cor.tif", scene.coherence.numpy())):
            with gdal().open(folder / f"interferograms/{name}.{end}", "w", dtype=values.dtype.name, **profile) as file:
                file.write(values, 1)


def denoise(folder: Path, output: Path, *options: str) -> dict[str, Any]:
    """The summary of `mvnet denoise insar`."""
    command = [sys.executable, "-m", "mvnet.apps.main", "denoise", "insar", str(folder), "-o", str(output)]
    done = subprocess.run([*command, "--device", "cpu", "--json", "-q", *options], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def denoise_with_a_loss(folder: Path, output: Path, after: int) -> tuple[dict[str, Any], int]:
    """The summary of a run on two workers, one of which is killed after `after` pairs; and the pairs left then."""
    from distributed import LocalCluster

    left: list[int] = []
    local: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with LocalCluster(n_workers=2, **local) as started:
        cluster: Any = started
        victim = cluster.workers[0].pid
        total = len(list((folder / "interferograms").glob("*.int.tif")))

        def kill() -> None:
            while (done := len(list(output.glob(".mvnet/*.json")))) < after:
                time.sleep(0.02)
            os.kill(victim, signal.SIGKILL)
            left.append(total - done)

        watcher = threading.Thread(target=kill, daemon=True)
        watcher.start()
        summary = denoise(folder, output, "--scheduler", cluster.scheduler_address)
        watcher.join()
    return summary, left[0]


def differences(one: Path, other: Path) -> list[float]:
    """Largest difference of every file of two results, inf where one has it alone."""
    from mvnet.data_loaders.insar.rasters import gdal

    names = {path.relative_to(folder) for folder in (one, other) for path in (folder / "interferograms").glob("*.tif")}
    found = []
    for name in sorted(names):
        if not ((one / name).is_file() and (other / name).is_file()):
            found.append(float("inf"))
            continue
        with gdal().open(one / name) as first, gdal().open(other / name) as second:
            values = np.nan_to_num(first.read(1)) - np.nan_to_num(second.read(1))
        found.append(float(np.abs(values).max()))
    return found


def main() -> None:
    bench = Benchmark("insar.stack_run", __doc__)
    number, side = (QUICK_PAIRS, QUICK_SIDE) if bench.quick else (PAIRS, SIDE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stack(folder / "stack", number, side)
        serial = denoise(folder / "stack", folder / "serial")
        spread, left = denoise_with_a_loss(folder / "stack", folder / "spread", max(1, number // 5))
        apart = differences(folder / "serial", folder / "spread")
    rows = [
        {"run": text, "failed": summary["counts"]["failed"], "seconds": summary["timings"]["total"]}
        for text, summary in (("one process", serial), ("two workers, one killed", spread))
    ]
    whole = spread["counts"]["done"] + spread["counts"]["skipped"]  # by a worker that was killed before it said so
    targets = [
        Target("pairs done on two workers", whole, f"= {number}", whole == number),
        Target("pairs left when one was killed", left, "> 0", left > 0),
        Target("files of both results", len(apart), f"= {2 * number}", len(apart) == 2 * number),
        Target("largest difference", max(apart), "= 0", max(apart) == 0),
    ]
    bench.report(rows, targets)
    if all(target.met for target in targets) and bench.options.json != "-":
        print(f"PASS: {number} pairs complete and identical, {left} of them done after a worker was killed")


if __name__ == "__main__":
    main()
