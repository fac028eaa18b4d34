"""Single maps of a tensor volume; several of the same volume are one `mvnet.models.dti.maps.TensorMaps`."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mvnet.models.dti.maps import TensorMaps


def fa_map(planes: Tensor, mask: Tensor) -> Tensor:
    """Fractional anisotropy in the mask, 0 outside: (6, X, Y, Z) Mandel planes -> (X, Y, Z)."""
    return TensorMaps.of(planes, mask).fa


def md_map(planes: Tensor, mask: Tensor) -> Tensor:
    """Mean diffusivity in the mask, in the unit of the planes, 0 outside: (6, X, Y, Z) -> (X, Y, Z)."""
    return TensorMaps.of(planes, mask).md


def colour_fa(planes: Tensor, mask: Tensor, affine: np.ndarray) -> Tensor:
    """FA times |v1| in scanner axes, as `TensorMaps.colour_fa`: (6, X, Y, Z) -> (X, Y, Z, 3)."""
    return TensorMaps.of(planes, mask).colour_fa(affine)
