"""Scans of simulated brains in a simulated scanner, to train with.

usage: python -m benchmarks.field_dti.make_scans FOLDER [--count 60] [--first 1000] [--minutes 30]

Every brain is scanned at two noise levels by a protocol of its own: two files scan_NNNN.npz with noisy, clean
(X, Y, Z, M), mask, bvals, bvecs, spacing (mm) and snr. The seeds of benchmarks are below 100. One core, a minute a
brain; brains that are there are not scanned again.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import torch

from mvnet.data_loaders.dti.simulation.scanner import ScannedBrain, Scanner, scan_brain
from mvnet.data_loaders.dti.simulation.schemes import gradient_scheme

FIRST = 1000
IMAGES = 2800  # slices x volumes x coils, where that leaves enough slices
SLICES = (8, 16)


def random_scans(seed: int) -> tuple[float, tuple[ScannedBrain, ...]]:
    """Side of a voxel in mm, and two scans of a brain by a random protocol."""
    random = np.random.default_rng(seed)

    def log_uniform(low: float, high: float) -> float:
        return low * (high / low) ** random.random()

    coils = int(random.choice([4, 4, 5, 6, 8, 12, 16]))
    directions = round(log_uniform(12, 64 if coils <= 6 else 30))
    bvals, bvecs = gradient_scheme(directions, random.uniform(700, 1300), int(random.integers(1, 5)), seed)
    if random.random() < 0.25:
        more_b, more_g = gradient_scheme(max(12, directions // 2), random.uniform(1700, 2500), 1, seed + 1)
        bvals, bvecs = torch.cat([bvals, more_b[1:]]), torch.cat([bvecs, more_g[1:]])
    voxel = random.uniform(1.5, 3.0)
    slices = int(np.clip(IMAGES // (coils * len(bvals)), *SLICES))
    width, height = (int(n) for n in random.choice([40, 44, 48], 2))
    shape = (width, height, slices)
    scanner = Scanner(
        coils=coils,
        accel=int(random.integers(1, 4)),
        partial_fourier=random.uniform(0.7, 1.0),
        te_ms=random.uniform(65, 105),
        diffusivity=random.uniform(0.85, 1.15),
        dispersion=None if random.random() < 0.5 else log_uniform(5, 40),
        receive_bias=random.uniform(-0.3, 0.3),
    )
    levels = (log_uniform(28, 100), log_uniform(8, 28))
    return voxel, scan_brain(seed, shape, voxel, bvals, bvecs, snr=levels, scanner=scanner)


def save(path: Path, scan: ScannedBrain, voxel: float) -> None:
    """All of a file, or none of it."""
    partial = path.with_suffix(".part.npz")
    np.savez(
        partial,
        noisy=scan.dwi,
        clean=scan.clean,
        mask=scan.mask,
        bvals=scan.bvals.astype(np.float32),
        bvecs=scan.bvecs.astype(np.float32),
        spacing=np.full(3, voxel, dtype=np.float32),
        snr=np.float32(scan.snr),
    )
    os.replace(partial, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=60, help="files, two a brain")
    parser.add_argument("--first", type=int, default=FIRST, help="seed of the first brain")
    parser.add_argument("--minutes", type=float, default=30.0, help="no brain is begun later")
    options = parser.parse_args()
    import trxscan

    trxscan.set_threads(1)
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    for seed in range(options.first, options.first + options.count // 2):
        paths = [options.folder / f"scan_{2 * seed + level}.npz" for level in range(2)]
        if all(path.is_file() for path in paths):
            continue
        if time.monotonic() - start > 60 * options.minutes:
            break
        began = time.monotonic()
        voxel, scans = random_scans(seed)
        for path, scan in zip(paths, scans, strict=True):
            save(path, scan, voxel)
        what = f"{scans[0].dwi.shape}, SNR {scans[0].snr:.0f} and {scans[1].snr:.0f}"
        print(f"seed {seed}: {what}, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
