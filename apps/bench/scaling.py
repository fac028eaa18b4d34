"""`mvnet bench scaling`: training steps over processes, tiles over dask workers, against one of them.

Weak: every process has examples of its own, so that the time of a step should stay. Strong: the batch is shared, so
that it should fall as 1 / W. Efficiency is 1 where that holds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError
from mvnet.storage import json_text

_EXAMPLES = 4  # of a process and a step
_SIDE, _TILE = 1024, 256  # pixels of the interferogram, and of a tile
_SEED = 0


@dataclass(frozen=True)
class Row:
    """kind: "weak", "strong" or "dask". count: processes or workers. seconds: of a step, or of the interferogram."""

    kind: str
    count: int
    seconds: float
    efficiency: float


def scaling(counts: str, steps: int, *, quiet: bool, as_json: bool) -> None:
    """Measure and print.

    Args:
        counts: numbers of processes and workers, separated by commas; 1 is always measured.
        steps: timed training steps of each.
        quiet: no progress.
        as_json: one JSON object instead of the table.
    Raises:
        UserError: what is no number of processes; processes that fail.
    """
    numbers = _numbers(counts)
    jobs = [
        *(("weak", count, partial(_step_seconds, count, _EXAMPLES * count, steps)) for count in numbers),
        *(("strong", count, partial(_step_seconds, count, _EXAMPLES * max(numbers), steps)) for count in numbers),
        *(("dask", count, partial(_scene_seconds, count)) for count in numbers),
    ]
    rows: list[Row] = []
    with Console(quiet).progress("scaling") as progress:
        for done, (kind, count, measure) in enumerate(jobs):
            progress(done, len(jobs))
            seconds = measure()
            alone = seconds if count == 1 else next(row.seconds for row in rows if (row.kind, row.count) == (kind, 1))
            ideal = alone if kind == "weak" else alone / count
            rows.append(Row(kind, count, round(seconds, 4), round(ideal / seconds, 3)))
        progress(len(jobs), len(jobs))
    if as_json:
        print(json_text({"rows": [asdict(row) for row in rows]}))
        return
    for kind, what in (
        ("weak", "training, examples of their own"),
        ("strong", "training, one batch"),
        ("dask", f"an interferogram of {_SIDE}^2"),
    ):
        print(f"{kind}: {what}")
        for row in rows:
            if row.kind == kind:
                print(f"  {row.count:3} x  {row.seconds:9.3f} s  efficiency {row.efficiency:.2f}")


def _numbers(counts: str) -> list[int]:
    """1 and the numbers given, in order."""
    parts = counts.split(",")
    if not all(part.strip().isdecimal() and int(part) >= 1 for part in parts):
        raise UserError(f"--counts: found {counts!r}, expected numbers of processes such as 1,2,4")
    numbers = sorted({1, *map(int, parts)})
    if any(_EXAMPLES * max(numbers) % number for number in numbers):
        raise UserError(f"--counts: found {counts!r}, expected numbers that divide {_EXAMPLES} times the largest")
    return numbers


def _step_seconds(count: int, batch: int, steps: int) -> float:
    """Seconds of a training step on processes launched together."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
        worker = ["-m", "mvnet.apps.bench.worker", str(result), str(batch), str(steps)]
        done = subprocess.run([*launcher, *worker], capture_output=True, text=True, check=False)
        if done.returncode or not result.is_file():
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise UserError(f"--counts: found {count} processes that failed ({last}), expected them to train")
        return json.loads(result.read_text())["seconds"]


def _scene_seconds(count: int) -> float:
    """Seconds of an interferogram whose tiles are computed by dask workers on this machine."""
    import numpy as np
    from dask import config
    from distributed import Client, LocalCluster

    from mvnet.api import denoise_insar

    random = np.random.default_rng(_SEED)
    slope = np.linspace(0, 40 * np.pi, _SIDE)
    z = np.exp(1j * (slope + random.normal(0, 0.5, (_SIDE, _SIDE)))).astype(np.complex64)
    quiet = {"distributed.admin.large-graph-warning-threshold": "1GB", "logging.distributed": "error"}
    with (
        config.set(quiet),
        LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None) as cluster,  # type: ignore[arg-type]
        Client(cluster) as client,
    ):
        executor = client.get_executor(pure=False)
        denoise = partial(denoise_insar, tile=_TILE, workers=count, executor=executor)
        denoise(z[: 2 * _TILE, : count * _TILE])  # every worker has the network
        start = time.perf_counter()
        denoise(z)
        return time.perf_counter() - start
