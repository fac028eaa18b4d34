"""Operator norms of linear layers, from below and from above, and Lipschitz constants of networks.

| name      | what                                                        | side  | cost                              |
|-----------|-------------------------------------------------------------|-------|-----------------------------------|
| power     | power iteration on the operator, warm from call to call     | below | two convolutions an iteration     |
| frequency | largest singular value of K^(w) on a grid, times a constant | above | svd of n^d small matrices         |
| mixed     | (max column sum x max row sum)^(1/2) of absolute values     | above | none                              |

Source: paper sections 4.1.2, equation (47), and 4.3.2; Gouk et al., Regularisation of neural networks by enforcing
Lipschitz continuity (2021); Ehlich and Zeller (1964) for the constant of `frequency`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import GroupConv
from mvnet.errors import MvnetError
from mvnet.invertible.base import wide

_CONVOLUTION = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def mixed_bound(kernel: Tensor) -> Tensor:
    """(|K|_1 |K|_inf)^(1/2) >= |K|_2, by Riesz and Thorin: norms are sums of absolute values over taps and channels.

    Args:
        kernel: shape (out, in), or (out, in, *taps) of a convolution of stride 1 on any grid.
    Returns:
        a scalar, differentiable.
    """
    weights = wide(kernel).abs().flatten(2).sum(2) if kernel.ndim > 2 else wide(kernel).abs()
    return (weights.sum(0).max() * weights.sum(1).max()).sqrt()


def frequency_bound(kernel: Tensor, points: int = 8) -> Tensor:
    """Upper bound of the norm of a convolution of stride 1, with zero or periodic padding, on any grid.

    For every u and v, u* K^(w) v is a trigonometric polynomial of degree m = (taps - 1) / 2 on each axis, and on n
    points an axis it comes within cos(pi m / n) of its maximum:
        |K| <= sup_w |K^(w)| <= max on the grid / cos(pi m / n)^d

    Args:
        kernel: shape (out, in), or (out, in, *taps).
        points: n on each axis, as a multiple of the taps.
    Returns:
        a scalar, differentiable; the norm itself for a matrix.
    Source: Ehlich and Zeller, Schwankung von Polynomen zwischen Gitterpunkten (1964).
    """
    kernel = wide(kernel)
    if kernel.ndim == 2:
        return torch.linalg.matrix_norm(kernel, 2)
    axes, sizes = tuple(range(2, kernel.ndim)), [points * n if n > 1 else 1 for n in kernel.shape[2:]]
    # conjugate frequencies have equal singular values: half a grid is enough
    transfer = torch.fft.rfftn(kernel, sizes, axes).movedim((0, 1), (-2, -1))
    largest = torch.linalg.svdvals(transfer)[..., 0].max()
    gaps = [math.cos(math.pi * (taps - 1) / 2 / n) for taps, n in zip(kernel.shape[2:], sizes, strict=True)]
    return largest / math.prod(gaps)


def power_iteration(
    kernel: Tensor, sizes: tuple[int, ...], start: Tensor | None = None, iterations: int = 1, padding: int | None = None
) -> tuple[Tensor, Tensor]:
    """Lower bound |A v|, |v| = 1, of the norm of a linear layer: v <- A^T A v / |A^T A v|, on the operator itself.

    Args:
        kernel: shape (out, in), or (out, in, *taps).
        sizes: lengths of the grid; () for a matrix.
        start: v of an earlier call; random when None or of another shape.
        iterations: how many.
        padding: zeros on every side; keeps the size when None.
    Returns:
        the bound, differentiable in the kernel, and v of shape (1, in, *sizes).
    """
    kernel = wide(kernel)
    d = kernel.ndim - 2
    pad = (kernel.shape[-1] - 1) // 2 if padding is None else padding

    def forward(v: Tensor) -> Tensor:
        return _CONVOLUTION[d](v, kernel, padding=pad) if d else v @ kernel.mT

    def adjoint(u: Tensor) -> Tensor:
        return _TRANSPOSED[d](u, kernel, padding=pad) if d else u @ kernel

    shape = (1, kernel.shape[1], *sizes)
    with torch.no_grad():
        if start is None or start.shape != shape:
            generator = torch.Generator().manual_seed(0)
            start = torch.randn(shape, generator=generator, dtype=torch.float64)
        v = start.to(kernel)
        for _ in range(iterations):
            v = adjoint(forward(v))
            v = v / v.norm().clamp(min=1e-30)
    return forward(v).norm(), v


ACTIVATIONS: dict[type[nn.Module], float] = {
    nn.Identity: 1.0,
    nn.ReLU: 1.0,
    nn.LeakyReLU: 1.0,
    nn.ELU: 1.0,
    nn.CELU: 1.0,
    nn.Softplus: 1.0,
    nn.Tanh: 1.0,
    nn.Sigmoid: 0.25,
    nn.SiLU: 1.0999,
    nn.GELU: 1.1290,
    nn.Flatten: 1.0,
}
"""Largest slopes."""


def lipschitz_bound(module: nn.Module) -> float | None:
    """Upper bound of the Lipschitz constant of a network: the product of those of its parts.

    Args:
        module: a linear layer, a convolution of stride 1, an activation of `ACTIVATIONS`, a module with a method
            `lipschitz_bound` of its own, or a Sequential of these.
    Returns:
        the bound; None where a part is not known.
    """
    own: Callable[[], float] | None = getattr(module, "lipschitz_bound", None)
    if own is not None:
        return own()
    if isinstance(module, nn.Sequential):
        product = 1.0
        for part in module:
            bound = lipschitz_bound(part)
            if bound is None:
                return None
            product *= bound
        return product
    kernel = linear_kernel(module)
    if kernel is not None:
        return float(frequency_bound(kernel.detach()))
    return next((slope for kind, slope in ACTIVATIONS.items() if type(module) is kind), None)


def linear_kernel(module: nn.Module) -> Tensor | None:
    """The matrix or kernel of a linear layer.

    Args:
        module: any module.
    Returns:
        shape (out, in) or (out, in, *taps); None for other modules, and for convolutions with strides, dilation or
        groups.
    """
    if isinstance(module, nn.Linear):
        return module.weight
    if isinstance(module, GroupConv):
        return module.kernel_and_bias()[0]
    if isinstance(module, CONVOLUTIONS):
        plain = module.groups == 1 and set(module.stride) | set(module.dilation) == {1}
        return module.weight if plain else None
    return None


def check_budget(c: float) -> float:
    """A Lipschitz constant that a contraction may have.

    Args:
        c: the constant.
    Returns:
        the same.
    Raises:
        MvnetError: c is not in (0, 1).
    """
    if not 0 < c < 1:
        raise MvnetError(f"contraction: found {c}, expected a number in (0, 1)")
    return c
