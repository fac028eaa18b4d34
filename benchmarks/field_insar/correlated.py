"""Correlated noise on the gentle scene, 512 x 512 pixels, coherence .3, .5 and .7: ours below every peer in every cell.

The noises are those of `noises.CORRELATED`: images oversampled 1.5 and 2 times, geocoding by bilinear interpolation
from a grid twice as coarse, a boxcar of 3 x 3 and a Gaussian of 1 pixel kept at the full grid, and a Goldstein filter
of exponent .5 that went before.
"""

from __future__ import annotations

from typing import Any

from benchmarks.field_insar.methods import Setup, ahead, compare, gentle, noisy_case
from benchmarks.field_insar.noises import CORRELATED
from benchmarks.harness import Target

COHERENCES = (0.3, 0.5, 0.7)


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """A row and a target for every noise and coherence."""
    phase = gentle(setup.side)
    rows = [
        compare(setup, noisy_case(setup, noise, phase, coherence, f"{coherence:g}"))
        for noise in CORRELATED.items()
        for coherence in (COHERENCES[1:2] if setup.quick else COHERENCES)
    ]
    return rows, ahead(rows)
