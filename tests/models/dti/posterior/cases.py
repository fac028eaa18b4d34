"""A small denoiser, its untrained posterior with a law far from normal, and a small simulated scan."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from nibabel.nifti1 import Nifti1Image

from mvnet.data_loaders.dti import load_dwi
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.models.dti.inference import denoise_loaded
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.posterior.inference import VolumePosterior, volume_posterior
from mvnet.models.dti.posterior.network import DTIPosterior

FIELDS = {"faces": 1, "trivial": 2}


@cache
def denoiser() -> DTIDenoiser:
    random = torch.Generator().manual_seed(0)
    model = DTIDenoiser(FIELDS, {"faces": 1}, convolutions=(1,), generator=random)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=random))
    return model.eval().requires_grad_(False)


def posterior_head(*, covariance: str = "full", tails: bool = True, scale: float = 3.0) -> DTIPosterior:
    random = torch.Generator().manual_seed(1)
    head = DTIPosterior(
        FIELDS, {"trivial": 4, "faces": 1, "flags": 1}, covariance=covariance, tails=tails, generator=random
    )
    with torch.no_grad():
        head.law.weight.mul_(scale)
        if tails:
            head.radial.raw.copy_(0.2 * torch.randn(head.radial.raw.shape, generator=random))
            assert head.radial.mix is not None
            head.radial.mix.copy_(0.2 * torch.randn(head.radial.mix.shape, generator=random))
        reach = torch.arange(-3.0, 4.0)
        taps = (-(reach[:, None, None].square() + reach[None, :, None].square() + reach.square())).exp()
        head.taps.copy_(taps / taps.norm())
    return head.eval()


@cache
def scan(directions: int = 12) -> DTIVolume:
    tensors, mask, s0 = simulate_brain((13, 12, 11), seed=3)
    bvals, bvecs = gradient_scheme(directions, seed=3)
    dwi, _ = simulate_dwi(tensors, s0, bvals, bvecs, snr=20, generator=torch.Generator().manual_seed(3))
    image = Nifti1Image(1000 * dwi.numpy().astype(np.float32), np.diag([2.0, 2, 2, 1]))
    return load_dwi(image, bvals.numpy(), bvecs.numpy(), mask=mask.numpy(), bvec_frame="voxel")


@cache
def denoised() -> torch.Tensor:
    return denoise_loaded(denoiser(), scan()).tensors


def posterior(**how) -> VolumePosterior:
    return volume_posterior(denoiser(), posterior_head(), scan(), denoised(), **how)
