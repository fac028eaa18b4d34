"""A scene larger than memory should be: `python -m benchmarks.insar.huge_scene [--size N] [--quick] [--json FILE|-]`.

A simulated single-look scene, one block repeated over size x size pixels, is written window by window as a tiled
BigTIFF (complex64: 3.2 GB at 20000 x 20000) and goes through `mvnet denoise insar`. Measured are the time and the peak
memory of that process and its children: the larger of what the system reports for one process and of the sum of their
resident sets, sampled. Of `--size 4096` the time has a target too, from the file to the file on two free cores.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Benchmark, Target

SIZE, QUICK_SIZE, TILE = 20_000, 2_000, 1024
MEMORY = 2.0  # GiB
DENSE, SECONDS = 4096, 60.0
_STRIP, _PERIOD = 512, 1024  # rows of a window, a multiple of the tiles of the file; side of the block repeated
_SAMPLED = 0.2  # seconds between two looks at the memory


def simulated_block(seed: int = 100) -> np.ndarray:
    """(1024, 1024) complex64, one look of a random scene of coherence .2 to .95."""
    from mvnet.data_loaders.insar.simulation import simulate_pair, simulate_scene

    scene = simulate_scene((_PERIOD, _PERIOD), seed, coherence=(0.2, 0.95), water_share=0)
    generator = torch.Generator().manual_seed(seed)
    return simulate_pair(scene.phase, scene.coherence, generator=generator).interferogram.numpy()


def write_scene(path: Path, size: int, filled: float = 1.0) -> int:
    """Write the scene, `filled` of its rows; the others stay holes in a sparse file, without data. Returns its pixels
    with data."""
    import rasterio
    from rasterio.windows import Window

    block, rows = simulated_block(), round(filled * size)
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "complex64", "nodata": 0}
    profile |= {"tiled": True, "blockxsize": _STRIP, "blockysize": _STRIP, "bigtiff": "YES", "sparse_ok": True}
    columns = np.arange(size) % _PERIOD
    with rasterio.open(path, "w", **profile) as file:
        for top in range(0, rows, _STRIP):
            height = min(_STRIP, rows - top)
            lines = block[np.arange(top, top + height) % _PERIOD]
            file.write(lines[:, columns], 1, window=Window.from_slices((top, top + height), (0, size)))
    return rows * size


def watched(command: list[str]) -> tuple[str, float, float]:
    """Run a command to its end.

    Returns:
        standard output, seconds, peak memory of the process and its children in GiB.
    Raises:
        subprocess.CalledProcessError: it failed; its messages are on standard error.
    """
    import psutil

    start, most = time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output)
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            resident = 0
            try:
                for member in [tree, *tree.children(recursive=True)]:
                    resident += member.memory_info().rss
            except psutil.NoSuchProcess:  # ended meanwhile
                pass
            most = max(most, resident)
            time.sleep(_SAMPLED)
        seconds = time.perf_counter() - start
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, text)
    one = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # KiB on Linux
    return text, seconds, max(most, one) / 2**30


def denoised_share(path: Path, size: int) -> float:
    """Share of the pixels of the result that hold a phase; read window by window."""
    import rasterio
    from rasterio.windows import Window

    with rasterio.open(path) as file:
        if file.shape != (size, size):
            raise ValueError(f"{path.name}: found shape {file.shape}, expected {(size, size)}")
        good = 0
        for top in range(0, size, _STRIP):
            part = file.read(1, window=Window.from_slices((top, min(top + _STRIP, size)), (0, size)))
            good += int((np.isfinite(part) & (part != file.nodata) & (np.abs(part) <= np.pi + 1e-6)).sum())
    return good / size**2


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, help=f"rows and columns (default {SIZE}, {QUICK_SIZE} with --quick)")
    parser.add_argument("--filled", type=float, default=1.0, metavar="SHARE", help="of the rows that hold data")
    parser.add_argument("--model", metavar="FILE", help="checkpoint to use instead of the shipped weights")
    parser.add_argument("--workers", type=int, help="tiles computed at the same time")
    parser.add_argument("--folder", metavar="DIR", help="where there is room for the files, ten times those of a phase")


def main() -> None:
    benchmark = Benchmark("huge_scene", __doc__, add_options=add_options)
    options = benchmark.options
    size = options.size or (QUICK_SIZE if benchmark.quick else SIZE)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        source, result = Path(folder) / "scene.tif", Path(folder) / "out.tif"
        start = time.perf_counter()
        data = write_scene(source, size, options.filled)
        written = time.perf_counter() - start
        command = [sys.executable, "-m", "mvnet.apps.main", "denoise", "insar", str(source), "-o", str(result)]
        command += ["--tile", str(TILE), "--json", "--quiet"]
        for name in ("model", "workers"):
            value = getattr(options, name)
            command += [] if value is None else [f"--{name}", str(value)]
        text, seconds, memory = watched(command)
        share = denoised_share(result, size)
    summary: dict[str, Any] = json.loads(text)
    rows = [
        {
            "scene": f"{size} x {size}",
            "data, Mpx": data / 1e6,
            "writing it, s": written,
            "mvnet denoise insar, s": seconds,
            "Mpx/s": data / seconds / 1e6,
            "peak memory, GiB": memory,
            "pixels with a phase": share,
        }
    ]
    targets = [
        Target(f"{size} x {size}: peak memory, GiB", memory, f"< {MEMORY:g}", memory < MEMORY),
        Target("pixels with a phase, over those with data", share * size**2 / data, "== 1", share * size**2 == data),
    ]
    if size == DENSE and options.filled == 1:
        targets.append(Target(f"{size} x {size}: seconds", seconds, f"<= {SECONDS:g}", seconds <= SECONDS))
    benchmark.report(rows, targets, data=summary)


if __name__ == "__main__":
    main()
