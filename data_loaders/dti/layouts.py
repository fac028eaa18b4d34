"""Orders of the six tensor components in files, and diffusivity units.

Inside, a tensor is six Mandel planes `xx, yy, zz, sqrt2*yz, sqrt2*xz, sqrt2*xy` in um^2/ms (= 1e-3 mm^2/s).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mvnet.data_loaders.errors import DataError

if TYPE_CHECKING:  # the command line reads the names below at its start, without numpy and torch
    import numpy as np
    from torch import Tensor

UPPER_ROWS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # xx xy xz yy yz zz
DIAGONAL_FIRST = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # xx yy zz xy xz yz
LOWER_ROWS = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))  # xx xy yy xz yz zz

UNITS = {"mm2/s": 1e3, "um2/ms": 1.0, "um2/s": 1e-3, "m2/s": 1e9}
"""Unit name -> factor from that unit to um^2/ms."""

FRAMES = ("voxel", "fsl", "world")
"""Axes that components and b-vectors refer to, see `mvnet.data_loaders.dti.frames`."""


@dataclass(frozen=True)
class TensorLayout:
    """How one tool stores a tensor volume.

    components: (row, column) of the six stored components, in file order.
    ndim: 4 for (X, Y, Z, 6), 5 for (X, Y, Z, 1, 6).
    unit: what the tool writes, a key of `UNITS`.
    frame: axes its components refer to: "voxel", "fsl" (b-vector axes of FSL) or "world" (scanner).
    """

    name: str
    components: tuple[tuple[int, int], ...]
    ndim: int
    unit: str
    frame: str

    @property
    def symbols(self) -> str:
        """Component names in file order, such as 'xx xy xz yy yz zz'."""
        return " ".join("xyz"[i] + "xyz"[j] for i, j in self.components)

    def to_mandel(self, stored: np.ndarray) -> Tensor:
        """(X, Y, Z, 6) as stored -> (6, X, Y, Z) float32 Mandel planes, in the unit of the file."""
        import numpy as np
        import torch

        from mvnet.linalg.sym3 import MANDEL

        planes = [stored[..., self.components.index(ij)] * _weight(ij) for ij in MANDEL]
        return torch.from_numpy(np.stack(planes).astype(np.float32, copy=False))

    def from_mandel(self, planes: Tensor) -> np.ndarray:
        """(6, X, Y, Z) Mandel planes -> float32 array of this layout, (X, Y, Z, 6) or (X, Y, Z, 1, 6)."""
        import numpy as np

        from mvnet.linalg.sym3 import MANDEL

        p = planes.detach().cpu().float().numpy()
        stored = np.stack([p[MANDEL.index(ij)] / _weight(ij) for ij in self.components], axis=-1)
        return stored if self.ndim == 4 else stored[..., None, :]


def _weight(ij: tuple[int, int]) -> np.float32:
    """Mandel component over matrix entry: 1 on the diagonal, sqrt 2 off it."""
    import numpy as np

    return np.float32(1.0 if ij[0] == ij[1] else 2**0.5)


LAYOUTS = {
    layout.name: layout
    for layout in (
        TensorLayout("fsl", UPPER_ROWS, 4, "mm2/s", "fsl"),
        TensorLayout("mrtrix", DIAGONAL_FIRST, 4, "mm2/s", "world"),
        TensorLayout("dipy", LOWER_ROWS, 4, "mm2/s", "voxel"),
        TensorLayout("symmatrix", LOWER_ROWS, 5, "mm2/s", "voxel"),
        TensorLayout("dti-tk", LOWER_ROWS, 5, "um2/ms", "voxel"),
    )
}
"""Every layout read and written. A new one is one line here; 4-D ones join the detection by themselves."""


def find_layout(order: str) -> TensorLayout:
    """The layout called `order`; DataError naming the choices otherwise."""
    if order not in LAYOUTS:
        raise DataError(f"order: found {order!r}, expected one of {', '.join(LAYOUTS)}")
    return LAYOUTS[order]


def unit_factor(unit: str) -> float:
    """Factor from `unit` to um^2/ms; DataError naming the choices otherwise."""
    if unit not in UNITS:
        raise DataError(f"unit: found {unit!r}, expected one of {', '.join(UNITS)}")
    return UNITS[unit]
