"""Every command on a GPU gives what it gives on the CPU: `make test-gpu`, skipped where there is none.

MVNET_TEST_DEVICE names another device than "cuda".
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from mvnet.data_loaders.motion import MotionSet, save_motion
from mvnet.data_loaders.motion.editing import open_recording
from mvnet.linalg import so3
from mvnet.manifolds import SPD
from mvnet.models import pretrained
from tests.models.motion.curves import smooth_positions

DEVICE = os.environ.get("MVNET_TEST_DEVICE", "cuda")
ABSENT = DEVICE.startswith("cuda") and not torch.cuda.is_available()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(ABSENT, reason="no CUDA device")]

PLACES = {"expected": "cpu", "found": DEVICE}
KINDS = [["dti", "--simulated", 1, "--patch", 8], ["insar", "--patch", 16], ["motion", "--frames", 16]]
SHORT = ["--steps", 2, "--batch", 1, "--workers", 0, "--quiet"]


def both(run, folder: Path, *arguments: object) -> list[Path]:
    """The command on the CPU and on the device; the outputs."""
    found = []
    for name, device in PLACES.items():
        out = folder / name
        done = run(*[out if word == "OUT" else word for word in arguments], "--device", device)
        assert done.status == 0, done.err
        found.append(out)
    return found


def images(folder: Path, param: str) -> np.ndarray:
    (path,) = folder.glob(f"*_param-{param}_dwimap.nii.gz")
    return np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]


@pytest.mark.parametrize("model", ["dti", "certified"])
def test_tensors(run, scan, tmp_path, model):
    words = ["denoise", "dti", scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "-o", "OUT", "--model", model]
    outs = both(run, tmp_path, *words, "--no-report", "--quiet")
    for param, accuracy in {"FA": 1e-4, "tensor": 1e-7}.items():
        one, other = (images(out, param) for out in outs)
        np.testing.assert_allclose(one, other, rtol=0, atol=accuracy)


def test_interferograms(run, tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="needs rasterio")
    random = np.random.default_rng(0)
    ramp = np.linspace(0, 12, 96) + np.zeros((80, 1))
    phase = np.angle(np.exp(1j * (ramp + random.normal(0, 0.5, ramp.shape)))).astype(np.float32)
    profile = {"driver": "GTiff", "height": 80, "width": 96, "count": 1, "dtype": "float32"}
    with rasterio.open(tmp_path / "in.tif", "w", **profile) as file:
        file.write(phase, 1)
    outs = []
    for name, device in PLACES.items():
        outs.append(tmp_path / f"{name}.tif")
        assert run("denoise", "insar", tmp_path / "in.tif", "-o", outs[-1], "--device", device, "--quiet").status == 0
    one, other = (rasterio.open(out).read(1) for out in outs)
    assert np.abs(np.angle(np.exp(1j * (one - other)))).max() < 1e-3


def test_motions(run, tmp_path):
    path = save_motion(MotionSet([smooth_positions().numpy()]), tmp_path / "in.npz")
    outs = []
    for name, device in PLACES.items():
        outs.append(tmp_path / f"{name}.npz")
        assert run("denoise", "motion", path, "-o", outs[-1], "--device", device, "--quiet").status == 0
    one, other = (open_recording(out).curves[0].values for out in outs)
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("kind", KINDS)
def test_trainings(run, tmp_path, kind, precision):
    for out in both(run, tmp_path, "train", *kind, "-o", "OUT", *SHORT, "--precision", precision):
        (line,) = (out / "log.jsonl").read_text().splitlines()
        assert np.isfinite(json.loads(line)["loss"])


def test_kernels():
    spd, random = SPD(3), torch.Generator().manual_seed(0)
    points, u = spd.random_point((64,), generator=random), torch.randn(64, 3, generator=random)
    works = {
        "dist": lambda x, u: spd.dist(x[0], x),
        "mean": lambda x, u: spd.mean(x),
        "geodesic": lambda x, u: spd.exp(x, spd.log(x, x.roll(1, 0))),
        "rotations": lambda x, u: so3.log(so3.exp(u)),
    }
    for name, work in works.items():
        found, expected = work(points.to(DEVICE), u.to(DEVICE)).cpu(), work(points, u)
        assert (found - expected).abs().max() < 1e-4, name


@pytest.mark.parametrize("name", ["dti", "insar", "motion", "certified"])
def test_every_weight_is_on_the_device(name):
    model = pretrained(name)[0].to(DEVICE)
    assert {tensor.device.type for tensor in model.state_dict().values()} == {torch.device(DEVICE).type}
