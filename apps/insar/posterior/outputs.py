"""Samples, deviations and ambiguities of a scene, written block by block from the phase and quality that are there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from mvnet.apps.insar.outputs import AMBIGUITY, PHASE_SD, SAMPLES
from mvnet.data_loaders.insar.noise import PhaseNoise
from mvnet.models.insar.posterior import InSARPosterior, deviation, log_concentration_of, sample_window, window_law
from mvnet.models.insar.posterior.ambiguity import ambiguity_map
from mvnet.models.insar.posterior.inference import MARGIN, WindowLaw
from mvnet.models.tiling import map_tiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from mvnet.apps.common.console import Console
    from mvnet.data_loaders.insar import Interferogram, OutputSet
    from mvnet.data_loaders.insar.layers import Window

_TOGETHER = 8  # samples of a block in memory at a time
_REGION = 15  # pixels along each side of the example
_REGION_SAMPLES = 200


@dataclass(frozen=True)
class ScenePosterior:
    """The posterior of a scene whose blocks of phase and quality are written.

    weights: name and hash.  image: as read.  noise: of the input, None is white.  count, seed: of the samples.
    """

    posterior: InSARPosterior
    weights: dict[str, str]
    image: Interferogram
    noise: PhaseNoise | None
    count: int
    seed: int


class _Job(NamedTuple):
    """Samples of a block, and what is read of it."""

    window: Window
    numbers: range
    law: WindowLaw
    valid: np.ndarray


def write_samples(scene: ScenePosterior, out: OutputSet, workers: int | None, console: Console) -> dict[str, float]:
    """Write the samples and the deviation of the phase; the statistics of both.

    Args:
        scene: the posterior.
        out: its blocks are written.
        workers: computed at the same time, None is one for every thread of torch.
        console: told of the progress.
    """
    batches = [range(k, min(k + _TOGETHER, scene.count)) for k in range(0, scene.count, _TOGETHER)]
    total, pixels, done = 0.0, 0, 0
    what = "sample of the phase, correlated in space as its error is, number"
    spread = "standard deviation of the error of the denoised phase"
    with (
        out.open_raster(SAMPLES, "radian", what, count=scene.count) as write,
        out.open_raster(PHASE_SD, "radian", spread) as write_sd,
        console.progress("sampling") as progress,
    ):
        jobs = (_job(scene, out, window, numbers) for window in out.windows() for numbers in batches)
        results = map_tiles(lambda job: _draw(scene, job), jobs, workers=workers or torch.get_num_threads())
        with closing(results):
            for job, drawn in results:
                for number, values in zip(job.numbers, drawn):
                    write(values, job.window, number + 1)
                if job.numbers.start == 0:
                    sd = np.where(job.valid, deviation(job.law.log_concentration).numpy(), np.float32(np.nan))
                    write_sd(sd, job.window, 1)
                    total += float(sd[job.valid].sum(dtype=np.float64))
                    pixels += int(job.valid.sum())
                done += 1
                progress(done, len(batches) * len(out.windows()))
    return {"mean_phase_sd": float(f"{total / max(pixels, 1):.6g}")}


def write_ambiguity(
    scene: ScenePosterior,
    out: OutputSet,
    phase: np.ndarray,
    unwrapped: np.ndarray,
    valid: np.ndarray,
    unwrap: Callable[[np.ndarray], np.ndarray],
    console: Console,
) -> dict[str, float]:
    """Unwrap every sample, write how often they disagree about the ambiguity of a pixel, and the mean of that.

    Args:
        scene, out, console: as of `write_samples`.
        phase, unwrapped, valid: (H, W), the denoised phase, the same unwrapped, and where there are data.
        unwrap: what unwrapped it.
    """
    with console.progress("unwrapping samples") as progress:

        def samples() -> Iterator[np.ndarray]:
            for number in range(scene.count):
                drawn = np.empty(phase.shape, np.float32)
                for window in out.windows():
                    drawn[window] = _draw(scene, _job(scene, out, window, range(number, number + 1)))[0]
                yield drawn
                progress(number + 1, scene.count)

        found = ambiguity_map(phase, unwrapped, valid, samples(), unwrap)
    out.write_raster(AMBIGUITY, found, float("nan"))
    return {"mean_ambiguity": float(f"{np.nanmean(found):.6g}")}


def describe(scene: ScenePosterior, out: OutputSet, detail: Sequence[slice] | None = None) -> dict[str, Any]:
    """What the summary says of the posterior: weights, and the mean of a small region as an example.

    Args:
        scene, out: as of `write_samples`.
        detail: rows and columns about whose centre the region lies; None is the whole scene.
    """
    ends = [max(window[axis].stop for window in out.windows()) for axis in range(2)]
    about = [slice(0, n) for n in ends] if detail is None else detail
    spans = []
    for part, n in zip(about, ends):
        side = min(_REGION, n)
        start = min(max((part.start + part.stop - side) // 2, 0), n - side)
        spans.append(slice(start, start + side))
    window = spans[0], spans[1]
    job = _job(scene, out, window, range(_REGION_SAMPLES))
    said: dict[str, Any] = {"weights": scene.weights, "samples": scene.count, "seed": scene.seed}
    if not job.valid.any():
        return said
    sd = {}
    for name, correlated in (("sd", True), ("sd_if_independent", False)):
        drawn = sample_window(scene.posterior, job.law, job.numbers, scene.seed, correlated=correlated)
        moved = torch.angle(torch.polar(torch.ones_like(drawn), drawn - job.law.phase))
        sd[name] = float(f"{moved[:, torch.from_numpy(job.valid)].mean(1).std():.4g}")
    centre = [(part.start + part.stop) // 2 for part in window]
    return said | {"region": {"centre": centre, "pixels": int(job.valid.sum()), **sd}}


def _job(scene: ScenePosterior, out: OutputSet, window: Window, numbers: range) -> _Job:
    ends = [max(w[axis].stop for w in out.windows()) for axis in range(2)]
    outer = tuple(slice(max(p.start - MARGIN, 0), min(p.stop + MARGIN, n)) for p, n in zip(window, ends))
    place = tuple(slice(p.start - o.start, p.stop - o.start) for p, o in zip(window, outer))
    around = outer[0], outer[1]
    values, valid = out.read("values", around), out.read("mask", around) > 0
    phase = np.where(valid, np.angle(values) if np.iscomplexobj(values) else values, 0).astype(np.float32)
    quality = np.where(valid, out.read("quality", around), 0)
    logs = log_concentration_of(torch.from_numpy(quality))
    z = torch.from_numpy(scene.image.read(around, with_coherence=False).values)
    law = window_law(
        scene.posterior, z, torch.from_numpy(phase), logs, torch.from_numpy(valid), window, place, scene.noise
    )
    return _Job(window, numbers, law, valid[place])


def _draw(scene: ScenePosterior, job: _Job) -> np.ndarray:
    """(numbers, h, w), NaN where there are no data."""
    if not job.valid.any():
        return np.full((len(job.numbers), *job.valid.shape), np.nan, np.float32)
    drawn = sample_window(scene.posterior, job.law, job.numbers, scene.seed).numpy()
    return np.where(job.valid, drawn, np.float32(np.nan))
