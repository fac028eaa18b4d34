"""Time that 32 samples of the Sherbrooke volume take after denoising, with FA, MD and V1 of each, on two threads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from benchmarks.dti.accuracy import load
from benchmarks.harness import Target
from benchmarks.uncertainty.dti_cells import denoiser, fitted
from mvnet.linalg import sym3
from mvnet.models.dti.inference import denoise_loaded
from mvnet.models.dti.posterior.inference import volume_posterior
from mvnet.models.dti.posterior.summaries import fa_and_md, principal, summarise
from mvnet.models.posterior import load_posterior

if TYPE_CHECKING:
    from benchmarks.uncertainty.__main__ import Setup


def measure(setup: Setup) -> tuple[list[dict], list[Target]]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        volume = fitted(load(setup.root, slice(34, 38) if setup.quick else slice(None)))
        denoised = denoise_loaded(denoiser(setup.model), volume).tensors
        start = time.perf_counter()
        posterior = volume_posterior(denoiser(setup.model), load_posterior(setup.model)[0], volume, denoised, workers=2)
        laws = time.perf_counter() - start
        for tensors in posterior.sample(4 if setup.quick else 32):
            inside = tensors[:, posterior.mask]
            fa_and_md(inside), principal(sym3.log(inside, dim=0))
        samples = time.perf_counter() - start
        summarise(posterior)
        maps = time.perf_counter() - start - samples
    finally:
        torch.set_num_threads(before)
    voxels = int(posterior.mask.sum())
    rows = [{"voxels": voxels, "laws_s": laws, "laws_and_samples_s": samples, "intervals_s": maps}]
    return rows, [Target("32 samples with FA, MD and V1, seconds", samples, "<= 90", samples <= 90)]
