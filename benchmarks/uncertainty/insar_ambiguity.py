"""The ambiguity map against the ambiguities that are wrong: Brier score and area under the curve, beside quality."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from mvnet.apps.insar.unwrap import unwrap_skimage
from mvnet.models.insar.posterior import InSARPosterior, sample
from mvnet.models.insar.posterior.ambiguity import ambiguity_map, most_frequent


def measure_ambiguity(head: InSARPosterior, cases: list[Any], count: int) -> list[dict[str, Any]]:
    """A row for every scene, unwrapped by skimage."""
    rows = []
    for case in cases:
        phase, valid = case.denoised.phase.numpy().astype(np.float32), np.ones(case.z.shape, bool)
        unwrap = partial(unwrap_skimage, valid=valid)
        found = unwrap(phase)
        samples = (s.numpy() for s in sample(head, case.z, case.denoised, count, noise=case.noise))
        disputed = ambiguity_map(phase, found, valid, samples, unwrap)
        # true ambiguity of the pixel: the turn that brings the denoised phase nearest to the truth
        turns = np.rint((found - phase) / math.tau) - np.rint((case.true.numpy() - phase) / math.tau)
        wrong = turns != most_frequent(turns.astype(np.int64), valid.astype(np.int64))
        quality = case.denoised.confidence.numpy()
        rows.append(
            {
                "ambiguity": case.name,
                "coherence": case.coherence,
                "wrong": float(wrong.mean()),
                "disputed": float(disputed.mean()),
                "Brier": float(np.square(disputed - wrong).mean()),
                "Brier of their mean": float(wrong.mean() * (1 - wrong.mean())),
                "AUROC": area(disputed, wrong),
                "AUROC of 1 - quality": area(1 - quality, wrong),
            }
        )
    return rows


def area(score: np.ndarray, event: np.ndarray) -> float | None:
    """Probability that a pixel with the event has a larger score than one without, ties by half; None without both."""
    from scipy import stats

    positive = int(event.sum())
    negative = event.size - positive
    if not positive or not negative:
        return None
    ranks = stats.rankdata(score.ravel())[event.ravel()].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))
