"""InSAR: intervals of pixels and of means over blocks at four coherences, steep and gentle, and the ambiguity map.

The scenes are those of `benchmarks.insar`, which no weight and no filter of the bank has seen. Samples that are drawn
pixel by pixel stand beside the correlated ones. n samples hold at most (n - 1) / (n + 1) of a nominal interval.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import Target
from benchmarks.insar.scenes import single_look, true_phase
from benchmarks.uncertainty.insar_ambiguity import measure_ambiguity
from mvnet.data_loaders.insar.noise import PhaseNoise, measure_correlation, noise_windows
from mvnet.manifolds.circle import wrap
from mvnet.models.checkpoint import pretrained
from mvnet.models.insar.inference import DenoisedInterferogram, denoise_interferogram
from mvnet.models.insar.posterior import InSARPosterior, sample
from mvnet.models.insar.posterior import inference as sampling
from mvnet.models.insar.posterior.von_mises import latent

COHERENCES = (0.3, 0.5, 0.7, 0.9)
SCENES = {"steep": 256, "gentle": 1024}
BLOCKS = (5, 15)
SAMPLES = 24
_LEVELS = {50: 0.6745, 90: 1.6449}  # half widths of the intervals of a normal variable
_PIXEL = {50: (0.45, 0.60), 90: (0.86, 0.96)}
_RATIO = (0.6, 1.25)


class Case(NamedTuple):
    """A scene, its interferogram and what the denoiser makes of it."""

    name: str
    coherence: float
    true: Tensor
    z: Tensor
    denoised: DenoisedInterferogram
    noise: PhaseNoise


def cases(quick: bool, seed: int = 0) -> list[Case]:
    """The scenes of a seed, denoised; quick: the steep ones at two coherences."""
    model: Any = pretrained("insar")[0]
    found = []
    for name, side in SCENES.items():
        if quick and name != "steep":
            continue
        phase = true_phase(side, seed)
        for coherence in COHERENCES[::2] if quick else COHERENCES:
            z = torch.from_numpy(single_look(phase, coherence, seed))
            valid = torch.ones(z.shape, dtype=torch.bool)
            windows = noise_windows((side, side))
            noise = PhaseNoise(measure_correlation((z[w], valid[w]) for w in windows))
            denoised = denoise_interferogram(model, z, noise=noise)
            found.append(Case(name, coherence, torch.from_numpy(phase), z, denoised, noise))
    return found


def measure(setup: Any) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows and targets of all scenes."""
    head: Any = pretrained("insar-posterior")[0]
    scenes = cases(setup.quick, setup.seed)
    pixels = [_pixels(case) for case in scenes]
    means = [row for case in scenes for row in _means(head, case)]
    targets = [
        _within(f"{row['scene']}, coherence {row['coherence']}: {level} % interval of a pixel holds", row[key], span)
        for row in pixels
        for level, span in _PIXEL.items()
        for key in (f"{level} % holds",)
    ]
    targets += [
        _within(
            f"{row['scene']}, coherence {row['coherence']}: {row['block']} means, realised / predicted sd",
            row["ratio"],
            _RATIO,
        )
        for row in means
    ]
    seam = _seam(head, scenes[0])
    targets.append(Target("samples in tiles and in one piece, rad", seam, "< 1e-05", seam < 1e-5))
    disputed = measure_ambiguity(head, [case for case in scenes if case.name == "steep"], 6 if setup.quick else SAMPLES)
    return pixels + means + disputed, targets


def _within(name: str, value: float, span: tuple[float, float]) -> Target:
    low, high = span
    return Target(name, value, f"{low} to {high}", low <= value <= high)


def _error(case: Case) -> Tensor:
    return wrap(case.denoised.phase.double() - case.true).float()


def _pixels(case: Case) -> dict[str, Any]:
    """Share of the pixels whose error lies in the interval of the von Mises law."""
    g = latent(case.denoised.concentration.log(), _error(case)).abs()
    shares = {f"{level} % holds": float((g <= width).float().mean()) for level, width in _LEVELS.items()}
    return {"scene": case.name, "coherence": case.coherence, **shares}


def _means(head: InSARPosterior, case: Case) -> list[dict[str, Any]]:
    """Realised over predicted deviation of the means over blocks, and how many lie within 90 % of the samples."""
    error, rows = _error(case), []
    drawn = {
        correlated: torch.stack(
            [
                torch.stack([_mean(wrap(s - case.denoised.phase), b, max(BLOCKS)) for b in BLOCKS])
                for s in sample(head, case.z, case.denoised, SAMPLES, noise=case.noise, correlated=correlated)
            ]
        )
        for correlated in (True, False)
    }
    for k, block in enumerate(BLOCKS):
        realised = _mean(error, block, max(BLOCKS))
        found: dict[str, Any] = {"scene": case.name, "coherence": case.coherence, "block": f"{block}x{block}"}
        found["realised sd"] = float(realised.square().mean().sqrt())
        for correlated, label in ((True, ""), (False, "independent: ")):
            values = drawn[correlated][:, k]
            predicted = float(values.var(0).mean().sqrt())
            low, high = (values.quantile(q, 0) for q in (0.05, 0.95))
            found[f"{label}predicted sd"] = predicted
            found[f"{label}ratio"] = found["realised sd"] / predicted
            found[f"{label}90 % holds"] = float(((realised >= low) & (realised <= high)).float().mean())
        rows.append(found)
    return rows


def _mean(values: Tensor, block: int, stride: int) -> Tensor:
    """Means of blocks about the centres of a grid that all sizes share."""
    skip = (stride - block) // 2
    return F.avg_pool2d(values[None, None, skip:, skip:], block, stride)[0, 0][
        : values.shape[0] // stride, : values.shape[1] // stride
    ]


def _seam(head: InSARPosterior, case: Case) -> float:
    whole = next(sample(head, case.z, case.denoised, 1, noise=case.noise))
    kept, sampling._BLOCK = sampling._BLOCK, 100  # the size of a tile of the library
    try:
        parts = next(sample(head, case.z, case.denoised, 1, noise=case.noise))
    finally:
        sampling._BLOCK = kept
    return float(np.abs(wrap(parts - whole).numpy()).max())
