"""Time and memory of `mvnet denoise dti` on a whole scan of 128 x 128 x 78 voxels and 65 volumes, files to files."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.dti.accuracy import load
from benchmarks.harness import Target
from mvnet.apps.demo import peers as compare

EVERYTHING = ("--maps", "all", "--dwi-output")
"""Options for the files beside those that are always written."""


def run(root: Path, model: str | None) -> dict:
    """The summary of one process that writes every output there is."""
    folder = root / "dti" / "invivo_sherbrooke_1p8mm"
    program = [sys.executable, "-m", "mvnet.apps.main", "denoise", "dti"]
    files = [folder / "dwi.nii.gz", "--bval", folder / "dwi.bval", "--bvec", folder / "dwi.bvec"]
    chosen = [*EVERYTHING, *(["--checkpoint", model] if model else [])]
    with tempfile.TemporaryDirectory() as out:
        command = [*program, *map(str, files), "-o", out, "--json", "--quiet", *chosen]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measure(root: Path, model: str | None = None) -> tuple[list[dict], list[Target]]:
    """The whole scan, and mppca on six slices of it."""
    start = time.perf_counter()
    summary = run(root, model)
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    voxels, network = summary["counts"]["voxels"], summary["timings"]["denoise"]
    slab = load(root, slice(36, 42))
    start = time.perf_counter()
    compare.dipy_mppca(slab.dwi, slab.bvals, slab.bvecs, slab.mask, 0.0)
    peer = time.perf_counter() - start
    inside = int(slab.mask.sum())
    rows = [
        {"speed": name, "voxels": n, "seconds": s, "voxels_per_second": n / s}
        for name, n, s in (
            ("mvnet denoise dti: read, fit, denoise, write", voxels, seconds),
            ("    of which the network", voxels, network),
            ("DIPY mppca, without the fit", inside, peer),
        )
    ]
    return rows, [
        Target("128x128x78, every output: seconds", seconds, "< 60", seconds < 60),
        Target("128x128x78, every output: peak memory, GiB", memory, "< 3", memory < 3),
    ]
