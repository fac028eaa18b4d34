"""How often do samples of a phase disagree about the ambiguity of a pixel, once each of them is unwrapped?

    m_n = round((u_n - phi - wrap(phi_n - phi)) / 2 pi),        share of n with m_n - m_0 - o_n != 0

u_n is the unwrapped sample phi_n, m_0 the ambiguity of the denoised phase phi itself, and o_n, the one whole number
that an unwrapping is free to choose, the most frequent m_n - m_0 of a connected part of the scene.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from mvnet.errors import MvnetError

_TURN = 2 * math.pi


def ambiguity_map(
    phase: np.ndarray,
    unwrapped: np.ndarray,
    valid: np.ndarray,
    samples: Iterable[np.ndarray],
    unwrap: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """The share of samples whose ambiguity differs from that of the denoised phase.

    Args:
        phase: (H, W) radians, denoised.
        unwrapped: (H, W) radians, the same unwrapped.
        valid: (H, W) bool.
        samples: (H, W) each, wrapped; at least one.
        unwrap: (H, W) wrapped -> (H, W) unwrapped, radians.
    Returns:
        (H, W) float32 in [0, 1], NaN where not valid.
    Raises:
        MvnetError: no sample.
    """
    from scipy import ndimage

    parts = np.zeros(valid.shape, np.int32)
    ndimage.label(valid, output=parts)
    first = np.rint((unwrapped - phase) / _TURN)
    count, disagree = 0, np.zeros(phase.shape, np.int32)
    for drawn in samples:
        drawn = np.where(valid, drawn, 0)
        moved = np.angle(np.exp(1j * (drawn - phase)))
        found = np.rint((unwrap(drawn) - phase - moved) / _TURN) - first
        disagree += found != most_frequent(np.where(valid, found, 0).astype(np.int64), parts)
        count += 1
    if not count:
        raise MvnetError("samples: found none, expected at least one")
    return np.where(valid, disagree / np.float32(count), np.nan).astype(np.float32)


def most_frequent(values: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """The most frequent value of the part that a pixel belongs to.

    Args:
        values: (H, W) whole numbers.
        parts: (H, W) labels, 0 for none.
    Returns:
        (H, W), 0 where there is no part.
    """
    low = int(values.min())
    span = int(values.max()) - low + 1
    pairs, counts = np.unique(parts.astype(np.int64).ravel() * span + (values.ravel() - low), return_counts=True)
    label, order = pairs // span, np.lexsort((counts, pairs // span))
    modes = np.zeros(int(parts.max()) + 1, np.int64)
    modes[label[order]] = pairs[order] % span + low  # the last of every label has the largest count
    modes[0] = 0
    return modes[parts]
