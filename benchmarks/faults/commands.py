"""Whole commands on small inputs, to be stopped at any time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

Files = dict[str, bytes]
_SECONDS = re.compile(rb'"(?:seconds|timings)": (?:[0-9.e+-]+|null|\{[^}]*\})')


@dataclass(frozen=True)
class Whole:
    """A command.

    make: its inputs, into a folder.
    arguments: (inputs, folder of the results).
    load: imports what it will need.
    kept: patterns of names that a run that was stopped may leave beside no results.
    """

    make: Callable[[Path], object]
    arguments: Callable[[Path, Path], list[str]]
    load: Callable[[], object]
    kept: tuple[str, ...] = ()


class Scene:
    """Inputs and results of a command below a folder."""

    def __init__(self, folder: Path, command: Whole):
        self.inputs, self.out, self._command = folder / "inputs", folder / "results", command
        self.inputs.mkdir()
        command.make(self.inputs)
        self.clear()

    def clear(self) -> None:
        """Remove the results."""
        if self.out.exists():
            shutil.rmtree(self.out)
        self.out.mkdir()

    def arguments(self) -> list[str]:
        """The command line."""
        return self._command.arguments(self.inputs, self.out)

    def work(self) -> None:
        """Import what the command needs, once for all processes."""
        self._command.load()

    def is_all_or_nothing(self, whole: Files) -> bool:
        """Whether all results are there after the next start, or none."""
        from mvnet.storage import recover

        for folder in (self.out, *(path for path in self.out.iterdir() if path.is_dir())):
            recover(folder)
        results = {path for path in whole if not self._is_kept(path)}
        there = {path for path in normalised(self.out) if not self._is_kept(path)}
        return there in (set(), results)

    def _is_kept(self, path: str) -> bool:
        return any(fnmatch(part, pattern) for part in path.split("/") for pattern in self._command.kept)


def normalised(folder: Path) -> Files:
    """Every file below a folder, hidden ones too, without the seconds that JSON and pages hold; a log is only there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes() if path.suffix not in (".jsonl", ".html") else b""
            found[path.relative_to(folder).as_posix()] = (
                _SECONDS.sub(b"", content) if path.suffix == ".json" else content
            )
    return found


def _scan(folder: Path) -> None:
    import nibabel
    import torch

    from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi

    tensors, mask, s0 = simulate_brain((12, 12, 8), seed=3)
    bvals, bvecs = gradient_scheme(12, seed=3)
    dwi, _ = simulate_dwi(tensors, s0, bvals, bvecs, snr=20, generator=torch.Generator().manual_seed(3))
    nibabel.save(nibabel.Nifti1Image(1000 * dwi.numpy().astype(np.float32), np.eye(4)), folder / "dwi.nii.gz")
    nibabel.save(nibabel.Nifti1Image(mask.numpy().astype(np.uint8), np.eye(4)), folder / "mask.nii.gz")
    np.savetxt(folder / "dwi.bval", bvals.numpy()[None])
    np.savetxt(folder / "dwi.bvec", bvecs.numpy().T)
    _network(folder, "DTIDenoiser")


def _network(folder: Path, name: str) -> None:
    import torch

    from benchmarks.faults.inputs.checkpoints import NETWORKS
    from mvnet.models.checkpoint import save_checkpoint

    torch.manual_seed(0)
    save_checkpoint(folder / "net", NETWORKS[name](), {})


def _interferogram(folder: Path) -> None:
    from mvnet.data_loaders.insar.rasters import gdal

    random = np.random.default_rng(0)
    y, x = np.mgrid[:150, :200]
    z = np.exp(1j * (0.05 * x + 0.1 * y)) + 0.5 * (random.normal(size=x.shape) + 1j * random.normal(size=x.shape))
    with gdal().open(folder / "i.tif", "w", driver="GTiff", height=150, width=200, count=1, dtype="complex64") as file:
        file.write(z.astype(np.complex64), 1)
    _network(folder, "InSARDenoiser")


def _motions(folder: Path) -> None:
    from mvnet.data_loaders.motion import MotionSet, save_motion

    random = np.random.default_rng(0)
    rest = random.normal(size=(6, 3))
    sequences = []
    for number in range(12):
        path = 0.05 * random.normal(size=(15, 6, 3)).cumsum(0)
        path[:, 3 if number % 2 else 5, 2] += np.linspace(0, 2, 15)
        sequences.append(rest + path)
    labels, subjects = np.arange(12) % 2, np.arange(12) // 4
    parent = np.array([-1, 0, 1, 2, 1, 4])
    save_motion(MotionSet(tuple(sequences), labels=labels, classes=("a", "b"), subjects=subjects, parent=parent),
                folder / "motions.npz")  # fmt: skip


def _denoise_dti(inputs: Path, out: Path) -> list[str]:
    scan = ["--bval", inputs / "dwi.bval", "--bvec", inputs / "dwi.bvec", "--mask", inputs / "mask.nii.gz"]
    how = ["--checkpoint", inputs / "net", "--device", "cpu", "--no-report"]
    return [str(word) for word in ("denoise", "dti", inputs / "dwi.nii.gz", *scan, *how, "-o", out / "maps")]


def _denoise_insar(inputs: Path, out: Path) -> list[str]:
    how = ["--model", inputs / "net", "--device", "cpu", "--tile", 64, "--workers", 1, "--coherence", "none"]
    return [str(word) for word in ("denoise", "insar", inputs / "i.tif", *how, "-o", out / "o.tif")]


def _train_dti(inputs: Path, out: Path) -> list[str]:
    size = ["--steps", 6, "--simulated", 0, "--patch", 8, "--batch", 1, "--workers", 0, "--device", "cpu"]
    size += ["--network", "certified"]
    scan = ["--dwi", inputs / "dwi.nii.gz", "--bval", inputs / "dwi.bval", "--bvec", inputs / "dwi.bvec"]
    return [str(word) for word in ("train", "dti", *scan, *size, "-o", out / "run")]


def _train_activity(inputs: Path, out: Path) -> list[str]:
    return [str(word) for word in ("train", "activity", "--data", inputs / "motions.npz", "-o", out / "run")]


@cache
def _load(*names: str) -> None:
    import importlib

    for name in names:
        importlib.import_module(name)


def _loading(*names: str) -> Callable[[], Any]:
    return lambda: _load(*names)


COMMANDS = {
    "denoise dti": Whole(_scan, _denoise_dti, _loading("mvnet.apps.dti.denoise", "mvnet.api", "nibabel")),
    "denoise insar": Whole(
        _interferogram, _denoise_insar, _loading("mvnet.apps.insar.denoise", "mvnet.api", "rasterio"), (".*.partial",)
    ),
    "train dti": Whole(
        _scan,
        _train_dti,
        _loading("mvnet.apps.dti.train", "mvnet.api", "torch._dynamo"),
        (".training.lock", "checkpoint*", "log.jsonl"),
    ),
    "train activity": Whole(_motions, _train_activity, _loading("mvnet.apps.activity.runs", "sklearn.linear_model")),
}
"""By name; a new one is one line."""
