"""Samples of the posterior of a denoised phase: in windows of any size that fit together, or of a whole scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.insar.noise import PhaseNoise
from mvnet.errors import MvnetError
from mvnet.manifolds.circle import wrap
from mvnet.models.insar.inference import DenoisedInterferogram
from mvnet.models.insar.posterior.inputs import REACH, fringe_frequency, log_gain
from mvnet.models.insar.posterior.network import InSARPosterior
from mvnet.models.insar.posterior.von_mises import quantile
from mvnet.models.position_noise import position_noise
from mvnet.models.tiling import aligned_tiles

MARGIN = REACH
"""Pixels around a window that its samples depend on."""

_BLOCK = 1024
_TOGETHER = 8  # samples in memory at a time


class WindowLaw(NamedTuple):
    """The posterior in a window of a scene.

    phase: (h, w) radians, the centre.
    log_concentration: (h, w), log kappa.
    coefficients: (R, h, w), c / |c| of `InSARPosterior`.
    rows, columns: where it lies in the scene.
    """

    phase: Tensor
    log_concentration: Tensor
    coefficients: Tensor
    rows: slice
    columns: slice


def window_law(
    posterior: InSARPosterior,
    z: Tensor,
    phase: Tensor,
    log_concentration: Tensor,
    valid: Tensor,
    window: Sequence[slice],
    place: Sequence[slice],
    noise: PhaseNoise | None = None,
) -> WindowLaw:
    """The posterior in a window.

    Args:
        posterior: fitted to the denoiser.
        z: (h', w') complex, as read, of the window and `MARGIN` pixels around it, fewer at the edges of the scene.
        phase: (h', w') radians, denoised.
        log_concentration: (h', w'), log kappa.
        valid: (h', w') bool.
        window: rows and columns of the scene.
        place: where the window lies in the arrays.
        noise: of the input of the denoiser; None is white.
    Returns:
        the law of the window.
    """
    rows, columns = place
    correlation = 0.0 if noise is None else float(noise.correlation[:, 0].mean())
    seen = torch.where(valid, phase, 0)
    frequency = fringe_frequency(seen, valid)[rows, columns]
    gain = log_gain(z, seen, log_concentration, valid)[rows, columns]
    logs = log_concentration[rows, columns]
    coefficients = posterior.place(logs, frequency, gain, correlation)
    return WindowLaw(phase[rows, columns], logs, coefficients, window[0], window[1])


def sample_window(
    posterior: InSARPosterior, law: WindowLaw, numbers: Sequence[int], seed: int, *, correlated: bool = True
) -> Tensor:
    """Samples in a window, functions of the seed, their numbers and the place of the window alone.

    Args:
        posterior: as of `window_law`.
        law: of the window.
        numbers: of the samples, from 0.
        seed: of all samples.
        correlated: whether neighbours err together; without it every pixel is drawn by itself.
    Returns:
        (len(numbers), h, w) float32, radians in (-pi, pi].
    """
    out = torch.empty(len(numbers), *law.phase.shape)
    margin = posterior.margin if correlated else 0
    around = [slice(part.start - margin, part.stop + margin) for part in (law.rows, law.columns)]
    for k, number in enumerate(numbers):
        field = position_noise(around, seed, number)
        if correlated:
            field = (law.coefficients * posterior.correlate(field)).sum(0)
        out[k] = wrap(law.phase.float() + quantile(law.log_concentration, field))
    return out


@torch.no_grad()
def sample(
    posterior: InSARPosterior,
    z: Tensor,
    denoised: DenoisedInterferogram,
    count: int,
    seed: int = 0,
    *,
    noise: PhaseNoise | None = None,
    correlated: bool = True,
) -> Iterator[Tensor]:
    """Phases that could as well be the truth, correlated in space as the error of the denoiser is.

    Every pixel of every sample is von Mises about the denoised phase; sample k is a function of the seed and k.

    Args:
        posterior: `mvnet.models.pretrained("insar-posterior")`.
        z: (H, W) complex, the interferogram.
        denoised: of `mvnet.models.denoise_interferogram`, with strength 1.
        count: number of samples.
        seed: of all samples.
        noise: of the interferogram; None is white.
        correlated: without it every pixel is drawn by itself.
    Yields:
        (H, W) float32, radians in (-pi, pi]; NaN where the concentration is 0.
    Raises:
        MvnetError: shapes that differ, a count below 1, or values that are not finite.
    """
    phase, concentration, _ = denoised
    if phase.ndim != 2 or phase.shape != concentration.shape or phase.shape != z.shape or not z.is_complex():
        shapes = ", ".join(str(tuple(x.shape)) for x in (z, phase, concentration))
        raise MvnetError(f"z, phase, concentration: found shapes {shapes}, expected (H, W), one for all, z complex")
    if count < 1:
        raise MvnetError(f"count: found {count}, expected a positive number")
    valid = concentration != 0
    if not (phase[valid].isfinite().all() and concentration[valid].isfinite().all()):
        raise MvnetError("denoised: found values that are not finite, expected finite ones")
    tiles = list(aligned_tiles(phase.shape, _BLOCK, MARGIN, 1))
    logs = torch.where(valid, concentration, 1).clamp_min(1e-9).log()
    for start in range(0, count, _TOGETHER):
        numbers = range(start, min(start + _TOGETHER, count))
        drawn = torch.empty(len(numbers), *phase.shape)
        for outer, inner, place in tiles:
            law = window_law(posterior, z[outer], phase[outer], logs[outer], valid[outer], inner, place, noise)
            drawn[:, *inner] = sample_window(posterior, law, numbers, seed, correlated=correlated)
        yield from drawn.masked_fill_(~valid, torch.nan)
