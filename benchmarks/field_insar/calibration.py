"""Is the quality right? Expected against realised cosine of the error, white and every correlated noise.

The gentle scene twice: its coherence goes from .15 to .95 and from 0 to .4, and is 0 in a lake. In deciles, a tenth of
the pixels each by their quality, and in tenths of the quality itself, 0 to .1 and so on, the two means may differ by
.02; a tenth of the quality counts where it holds a twentieth of the pixels, so that chance does not decide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.field_insar.methods import Setup, below, gentle, ours
from benchmarks.field_insar.noises import CORRELATED, white, white_phase
from benchmarks.harness import Target
from benchmarks.insar.scenes import coherence_map

SIDE, TENTHS, OFF, COUNTS = 1024, 10, 0.02, 0.05


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Two rows for either kind of bins of every noise, the expected and the realised cosine; the largest difference."""
    side = setup.side if setup.quick else SIDE
    rows, targets = [], []
    for name, make in ({"white": white, "white, phase only": white_phase} | CORRELATED).items():
        expected, realised = [], []
        for seed, coherence in enumerate((coherence_map(side), faint_coherence(side))):
            phase = gentle(side, seed)
            found = ours(setup, make(phase, coherence, seed))
            expected.append(found.quality.ravel())
            realised.append(np.cos(found.phase - phase).ravel())
        quality, cosine = np.concatenate(expected), np.concatenate(realised)
        for bins, inside in (("decile", deciles(quality)), ("quality", tenths(quality))):
            for kind, values in (("expected", quality), ("realised", cosine)):
                cells = {f"{k + 1}/{TENTHS}": float(values[i].mean()) if len(i) else None for k, i in enumerate(inside)}
                rows.append({"calibration": name, "bins": bins, "cos": kind, **cells})
            off = max(abs((quality - cosine)[i].mean()) for i in inside if len(i) >= COUNTS * len(quality))
            targets.append(below(f"{name}: expected off realised cosine, worst {bins}", off, OFF))
    return rows, targets


def faint_coherence(side: int) -> np.ndarray:
    """(side, side): that of `coherence_map`, .15 to .95 drawn out over 0 to .4."""
    return 0.4 * np.maximum(coherence_map(side, seed=1) - 0.15, 0) / 0.8


def deciles(quality: np.ndarray) -> list[np.ndarray]:
    """Indices into (N,) of equal numbers of pixels, from the lowest quality to the highest."""
    return np.array_split(np.argsort(quality, kind="stable"), TENTHS)


def tenths(quality: np.ndarray) -> list[np.ndarray]:
    """Indices into (N,) of the pixels of a quality up to .1, .2 and so on."""
    which = np.clip((quality * TENTHS).astype(int), 0, TENTHS - 1)
    return [np.flatnonzero(which == k) for k in range(TENTHS)]
