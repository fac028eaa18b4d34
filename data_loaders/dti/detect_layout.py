"""Detection of the component order and the unit of a tensor file that does not declare them.

Order. Read in a wrong order, a diagonal entry is really an off-diagonal one, and the 2x2 minors fail: hardly any tensor
stays positive definite. The order that keeps most tensors positive definite wins. When two orders do equally well, the
one with the smoother trace does: the mean diffusivity of tissue is nearly constant, its off-diagonal parts are not.

Unit. The median mean diffusivity of tissue is about 0.8 um^2/ms; the unit that brings the file closest to it wins.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from mvnet.data_loaders.dti.layouts import LAYOUTS, UNITS, TensorLayout
from mvnet.data_loaders.errors import DataError

TISSUE_MD = 0.8  # um^2/ms
_SAMPLE = 50_000
_CLEAR = 0.1  # difference in the positive fraction that decides without looking further


def positive_definite(planes: Tensor) -> Tensor:
    """Sylvester's criterion: (6, *) Mandel planes -> (*) bool; false for non-finite tensors."""
    xx, yy, zz = planes[:3]
    yz, xz, xy = planes[3:] / 2**0.5
    minor = xx * yy - xy * xy
    determinant = zz * minor - xx * yz * yz - yy * xz * xz + 2 * xy * xz * yz
    return (xx > 0) & (minor > 0) & (determinant > 0)


def detect_order(stored: np.ndarray, ndim: int, intent: int) -> tuple[TensorLayout, list[str]]:
    """The layout of a tensor array.

    Args:
        stored: (X, Y, Z, 6).
        ndim: dimensions of the file, 4 or 5.
        intent: NIfTI intent code; 1005 means SYMMATRIX.
    Returns:
        layout, and messages on what was detected, and from what.
    """
    if ndim == 5:
        why = "5-D with intent SYMMATRIX" if intent == 1005 else "5-D, although the intent is not SYMMATRIX"
        layout = LAYOUTS["symmatrix"]
        return layout, [f"order {layout.name} ({layout.symbols}) deduced: {why}"]

    sample = _sample(stored)
    scores = {name: _score(sample, x) for name, x in LAYOUTS.items() if x.ndim == 4}
    first, second = sorted(scores, key=lambda name: scores[name][0], reverse=True)[:2]
    gap = scores[first][0] - scores[second][0]
    if gap < _CLEAR and scores[second][1] < scores[first][1]:
        first, second = second, first
    layout = LAYOUTS[first]
    shares = ", ".join(f"{name} {100 * score:.1f} %" for name, (score, _) in scores.items())
    messages = [f"order {first} ({layout.symbols}) deduced: positive tensors {shares}"]
    if gap < _CLEAR:
        messages.append(f"warning: order is ambiguous between {first} and {second}; give it explicitly")
    return layout, messages


def _sample(stored: np.ndarray) -> np.ndarray:
    """At most 50,000 finite, non-zero tensors (n, 6), scaled to order 1."""
    flat = stored.reshape(-1, 6)
    flat = flat[np.isfinite(flat).all(1) & (flat != 0).any(1)]
    if len(flat) == 0:
        raise DataError("tensors: found no voxel that is finite and not zero, expected some")
    flat = flat[:: max(1, len(flat) // _SAMPLE)].astype(np.float64)
    return flat / np.median(np.abs(flat).max(1))


def _score(sample: np.ndarray, layout: TensorLayout) -> tuple[float, float]:
    """Share of positive definite tensors; spread of the trace over its median, small when plausible."""
    planes = layout.to_mandel(sample[:, None, None, :])[:, :, 0, 0]
    trace = planes[:3].sum(0)
    low, middle, high = torch.quantile(trace, torch.tensor([0.25, 0.5, 0.75])).tolist()
    spread = (high - low) / middle if middle > 0 else math.inf
    return positive_definite(planes).float().mean().item(), spread


def detect_unit(median_md: float) -> tuple[str, list[str]]:
    """The unit in which the stored median mean diffusivity is that of tissue, and messages."""
    unit = min(UNITS, key=lambda u: abs(math.log(median_md * UNITS[u] / TISSUE_MD)))
    md = median_md * UNITS[unit]
    messages = [f"unit {unit} deduced: median mean diffusivity {median_md:.3g} as stored, {md:.2f} um^2/ms"]
    if not 0.3 <= md <= 3:
        messages.append(f"warning: median mean diffusivity {md:.2g} um^2/ms is unusual for tissue; give the unit")
    return unit, messages
