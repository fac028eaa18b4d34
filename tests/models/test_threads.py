"""Results do not depend on the number of threads beyond rounding: another number adds in another order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from nibabel.nifti1 import Nifti1Image
from torch import Tensor

from mvnet.data_loaders.dti import load_dwi
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi
from mvnet.models.checkpoint import pretrained
from mvnet.models.dti.inference import denoise_loaded
from mvnet.models.dti.maps import TensorMaps
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.insar.inference import denoise_interferogram
from mvnet.models.insar.network import InSARDenoiser
from tests.models.insar.test_network import noisy

TOLERANCES = {"fa": 1e-5, "tensors": 1e-5, "confidence": 1e-5, "phase": 1e-4, "quality": 1e-4}
"""Largest difference that SECURITY.md states: of FA, um^2/ms, exp(-error), radians, expected cosine."""


def denoise_dti() -> dict[str, Tensor]:
    tensors, mask, s0 = simulate_brain((13, 12, 11), seed=3)
    bvals, bvecs = gradient_scheme(12, seed=3)
    dwi, _ = simulate_dwi(tensors, s0, bvals, bvecs, snr=20, generator=torch.Generator().manual_seed(3))
    image = Nifti1Image(1000 * dwi.numpy().astype(np.float32), np.diag([2.0, 2, 2, 1]))
    volume = load_dwi(image, bvals.numpy(), bvecs.numpy(), mask=mask.numpy(), bvec_frame="voxel")
    model = pretrained("dti")[0]
    assert isinstance(model, DTIDenoiser)
    found = denoise_loaded(model, volume)
    assert found.confidence is not None
    return {
        "fa": TensorMaps.of(found.tensors, volume.mask).fa,
        "tensors": found.tensors,
        "confidence": found.confidence,
    }


def denoise_insar() -> dict[str, Tensor]:
    model = pretrained("insar")[0]
    assert isinstance(model, InSARDenoiser)
    found = denoise_interferogram(model, noisy(72, 80).to(torch.complex64), block=48)
    turn = torch.polar(torch.ones_like(found.phase), found.phase)
    return {"phase": turn.real, "phase, imaginary": turn.imag, "quality": found.confidence}


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    given = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(given)


@pytest.mark.parametrize("work", [denoise_dti, denoise_insar])
def test_another_number_of_threads_is_another_rounding(work, threads) -> None:
    results = []
    for number in (1, 2):
        threads(number)
        results.append(work())
    for name, values in results[0].items():
        largest = float((values - results[1][name]).abs().max())
        assert largest <= TOLERANCES[name.split(",")[0]], name
