"""Which volumes of a DWI are fitted, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

B0_THRESHOLD = 50.0
"""s/mm^2: a volume below it counts as not weighted."""


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit; the defaults decide from the data, and say in a message what they decided.

    b0_threshold: s/mm^2; a volume with a smaller b-value counts as not weighted.
    shells: b-values in s/mm^2 of the shells to fit, each within 10 % or 50 s/mm^2; None fits b <= 1500 where that
        leaves six directions or more, everything else otherwise.
    bmax: largest b-value to fit, s/mm^2.
    all_shells: fit every volume, whatever its b-value.
    skip_volumes: numbers of volumes to leave out, the first is 0.
    noise: standard deviation of the signal noise, a number or a map (file or array (X, Y, Z)) in image units; None
        estimates it.
    robust: find outlier volumes and slices by their residuals and give them less weight.
    rician: take the bias of magnitude images into account.
    fix_bvecs: use the axes in which fibres are clearly most coherent, instead of only naming them.
    """

    b0_threshold: float = B0_THRESHOLD
    shells: tuple[float, ...] | None = None
    bmax: float | None = None
    all_shells: bool = False
    skip_volumes: tuple[int, ...] = ()
    noise: float | str | Path | np.ndarray | Tensor | None = None
    robust: bool = True
    rician: bool = True
    fix_bvecs: bool = False
