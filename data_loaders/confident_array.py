"""An array that carries how far it can be trusted."""

from __future__ import annotations

from typing import Any

import numpy as np


class ConfidentArray(np.ndarray):
    """A numpy array with an attribute `confidence`, in [0, 1]; arrays computed from it have None there.

    Args:
        values: the array.
        confidence: one number for each voxel or pixel, or None.
    """

    confidence: np.ndarray | None

    def __new__(cls, values: np.ndarray, confidence: np.ndarray | None) -> ConfidentArray:
        array = np.asarray(values).view(cls)
        array.confidence = confidence
        return array

    def __array_finalize__(self, other: Any) -> None:
        self.confidence = None
