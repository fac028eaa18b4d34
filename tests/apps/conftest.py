"""Small inputs for the command line: a simulated DWI, a tensor image, weights of an untrained network."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nibabel
import numpy as np
import pytest
import torch

from mvnet.apps import main
from mvnet.apps.common.errors import STOPPING
from mvnet.data_loaders.dti import load_dwi, save_tensors
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi
from mvnet.models.checkpoint import save_checkpoint
from mvnet.models.dti.network import DTIDenoiser
from tests.apps.browser import chromium

SHAPE = (11, 12, 10)


class Scan(NamedTuple):
    """Files of a DWI, its mask, and the tensors fitted to it."""

    dwi: Path
    bval: Path
    bvec: Path
    mask: Path
    tensors: Path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, for one file of tests: while it is there, asyncio takes its loop for running."""
    with chromium() as found:
        yield found


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """Weights of an untrained, small network."""
    path = tmp_path_factory.mktemp("weights") / "tiny"
    generator = torch.Generator().manual_seed(0)
    model = DTIDenoiser(fields={"faces": 1, "trivial": 2}, hidden={"faces": 1}, convolutions=(1,))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
    save_checkpoint(path, model, {})
    return path


@pytest.fixture(scope="session")
def scan(tmp_path_factory) -> Scan:
    """A simulated brain: 12 directions, SNR 20, oblique affine; the tensor image is what `load_dwi` fits."""
    folder = tmp_path_factory.mktemp("scan")
    tensors, mask, s0 = simulate_brain(SHAPE, seed=3)
    bvals, bvecs = gradient_scheme(12, seed=3)
    dwi, _ = simulate_dwi(tensors, s0, bvals, bvecs, snr=20, generator=torch.Generator().manual_seed(3))
    c, s = np.cos(0.2), np.sin(0.2)
    affine = np.array([[-2 * c, 2 * s, 0, 5], [2 * s, 2 * c, 0, -7], [0, 0, 2.5, 3], [0, 0, 0, 1]])
    paths = Scan(*(folder / f"sub-01_{end}" for end in ("dwi.nii.gz", "b.bval", "b.bvec", "mask.nii.gz", "dti.nii.gz")))
    nibabel.save(nibabel.Nifti1Image(1000 * dwi.numpy().astype(np.float32), affine), paths.dwi)
    nibabel.save(nibabel.Nifti1Image(mask.numpy().astype(np.uint8), affine), paths.mask)
    np.savetxt(paths.bval, bvals.numpy()[None])
    np.savetxt(paths.bvec, bvecs.numpy().T)
    volume = load_dwi(paths.dwi, paths.bval, paths.bvec, mask=paths.mask, bvec_frame="voxel")
    save_tensors(volume, volume.tensors, paths.tensors)
    return paths


@pytest.fixture(scope="session")
def circle_model():
    """A small denoiser of interferograms with random weights, float32."""
    from tests.models.insar.test_network import small_model

    return small_model(torch.float32, windows=(6, 0), kernels=((3, 1),))


@pytest.fixture(scope="session")
def circle_checkpoint(circle_model, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "circle"
    save_checkpoint(path, circle_model, {})
    return path


@pytest.fixture
def filtered(run, circle_checkpoint) -> Callable[..., Result]:
    """`mvnet denoise insar` with the small network on the CPU."""

    def call(*arguments: object) -> Result:
        return run("denoise", "insar", *arguments, "--model", circle_checkpoint, "--device", "cpu")

    return call


@pytest.fixture
def run(capfd) -> Callable[..., Result]:
    """Runs the command line inside this process: run("denoise", "dti", ...) -> status, stdout, stderr."""

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        status = main.run([str(a) for a in arguments])
        captured = capfd.readouterr()
        return Result(status, captured.out, captured.err)

    return call


@pytest.fixture
def denoise(run, checkpoint) -> Callable[..., Result]:
    """`mvnet denoise dti` with the untrained network and no page unless asked for."""

    def call(*arguments: object, report: bool = False) -> Result:
        page = "--report" if report else "--no-report"
        return run("denoise", "dti", *arguments, "--checkpoint", checkpoint, "--device", "cpu", page)

    return call


@pytest.fixture
def listening() -> Iterator[None]:
    """The usual answer to Ctrl-C and to stop signals, also where the tests were started with them ignored."""
    usual = {signal.SIGINT: signal.default_int_handler} | dict.fromkeys(STOPPING, signal.SIG_DFL)
    previous = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)
