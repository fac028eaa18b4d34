"""A parameter as the matrix that it stands for.

A layer may hold a linear map K in fewer numbers w than K has entries: K = E w. An optimiser that acts on matrices needs
three maps between the two, linear, batched over leading dims:

    expand   w -> E w                      values
    lift     g -> E (E^T E)^-1 g           gradients: of all G with E^T G = g, the smallest
    project  D -> (E^T E)^-1 E^T D         steps: the w whose E w is nearest to D

so that project(expand(w)) = w, sum(lift(g) * expand(w)) = sum(g * w), and expand(project(.)) is the orthogonal
projection onto the maps that the layer can hold.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class MatrixView:
    """The maps between a parameter w and its kernel K, of shape (out, in, taps).

    Args:
        shape: of the kernel; taps is 1 for a plain matrix, and the matrix of the layer is (out, in taps).
        expand, lift, project: as in the module's table, (..., *w.shape) <-> (..., *shape).
        key: equal for views whose three maps are the same, so that their parameters can be treated as one batch.
        label: the kind of layer in words, for tables.
        tied: whether K has more entries than w.
    """

    shape: tuple[int, int, int]
    expand: Callable[[Tensor], Tensor]
    lift: Callable[[Tensor], Tensor]
    project: Callable[[Tensor], Tensor]
    key: Hashable
    label: str
    tied: bool = False


def plain_view(shape: tuple[int, ...], label: str) -> MatrixView:
    """The view of a weight that is its kernel, such as that of a linear layer.

    Args:
        shape: of the weight, (out, in, *taps).
        label: the kind of layer in words.
    Returns:
        a view whose maps only change the shape.
    """
    out, into, *taps = shape
    count = 1
    for tap in taps:
        count *= tap
    kernel = (out, into, count)

    def flatten(w: Tensor) -> Tensor:
        return w.reshape(*w.shape[: w.ndim - len(shape)], *kernel)

    def restore(k: Tensor) -> Tensor:
        return k.reshape(*k.shape[: k.ndim - 3], *shape)

    return MatrixView(kernel, flatten, flatten, restore, ("plain", *shape), label)
