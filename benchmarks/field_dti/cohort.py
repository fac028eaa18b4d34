"""A BIDS data set on workers of which one is killed in the middle: complete, and byte for byte that of one process.

Four simulated subjects, `mvnet denoise dti --bids` with its denoised DWI: once in this process, once on two workers of
a dask cluster, one of which is killed while it is at a subject.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.field_dti.methods import Setup
from benchmarks.harness import Target
from mvnet.apps.dti.cohort.run import Cohort, run_cohort
from mvnet.apps.dti.cohort.validator import errors_in
from mvnet.apps.dti.options import Options
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi

SUBJECTS, SHAPE, QUICK_SHAPE = 4, (40, 40, 24), (16, 16, 12)
_PATIENCE = 600.0  # seconds until a worker is at work


def write_data_set(root: Path, shape: tuple[int, int, int]) -> None:
    """Brains of other seeds, 12 directions, SNR 20."""
    from nibabel.nifti1 import Nifti1Image

    root.mkdir()
    description = {"Name": "simulated", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    for k in range(1, SUBJECTS + 1):
        folder = root / f"sub-{k:02d}" / "dwi"
        folder.mkdir(parents=True)
        tensors, _, s0 = simulate_brain(shape, seed=k, voxel_size=3.0)
        bvals, bvecs = gradient_scheme(12, seed=k)
        dwi, _ = simulate_dwi(tensors, s0, bvals, bvecs, snr=20, generator=torch.Generator().manual_seed(k))
        stem = folder / f"sub-{k:02d}_dwi"
        values = 1000 * dwi.numpy().astype(np.float32)
        Nifti1Image(values, np.diag([-3.0, 3.0, 3.0, 1.0])).to_filename(f"{stem}.nii.gz")
        np.savetxt(f"{stem}.bval", bvals.numpy()[None], fmt="%g")
        np.savetxt(f"{stem}.bvec", bvecs.numpy().T, fmt="%.8f")


def digests(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too -> SHA-256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def kill_at_work(cluster: Any, output: Path, killed: list[int]) -> None:
    """Kill the first worker as soon as two subjects are being done."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if len(list(output.glob(".mvnet-*"))) >= 2:
            pid = cluster.workers[0].pid
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            return
        time.sleep(0.01)


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Seconds and numbers of files of both runs, and targets."""
    import distributed

    torch.set_num_threads(1)  # as the workers have
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_data_set(place / "raw", QUICK_SHAPE if setup.quick else SHAPE)
        options = Options(Path(), place, device="cpu", dwi_output=True, report=False)
        serial = Cohort(place / "raw", place / "serial", validate=False)
        start = time.perf_counter()
        run_cohort(serial, options)
        rows = [{"run": "one process", "seconds": time.perf_counter() - start, "workers killed": 0}]
        killed: list[int] = []
        local: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
        cluster: Any = distributed.LocalCluster(**local)
        with cluster:
            output = place / "cluster"
            killer = threading.Thread(target=kill_at_work, args=(cluster, output, killed), daemon=True)
            killer.start()
            start = time.perf_counter()
            cohort = Cohort(place / "raw", output, validate=False, scheduler=cluster.scheduler_address)
            summary = run_cohort(cohort, options)
            seconds = time.perf_counter() - start
        rows.append({"run": "two workers", "seconds": seconds, "workers killed": len(killed)})
        whole, found = digests(place / "serial"), digests(place / "cluster")
        errors = errors_in(output)
        differing = sum(found.get(file) != digest for file, digest in whole.items()) + len(found.keys() - whole.keys())
    for row in rows:
        row["files"] = len(whole)
    done = summary["counts"]["done"]
    invalid = -1 if errors is None else len(errors)  # no validator
    return rows, [
        Target("cohort: errors that the BIDS validator finds", invalid, "0", errors == []),
        Target("cohort: workers killed while at work", len(killed), "1", len(killed) == 1),
        Target("cohort: subjects done", done, f"{SUBJECTS}", done == SUBJECTS),
        Target("cohort: files that differ from those of one process", differing, "0", differing == 0),
    ]
