"""Networks of a prescribed Lipschitz constant: by normalisation (47), or by construction.

Source: paper sections 4.1.2 and 4.3.2; Wang and Manchester, Direct parameterization of Lipschitz-bounded deep networks
(2023), for the sandwich layer.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.invertible.base import wide
from mvnet.invertible.lipschitz.bounds import (
    check_budget,
    frequency_bound,
    linear_kernel,
    lipschitz_bound,
    mixed_bound,
    power_iteration,
)

NORMS = ("power", "frequency", "mixed")
_FUNCTION = {0: F.linear, 1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_ITERATIONS = {True: 1, False: 50}  # a warm start needs one of them a step


class Normalised(nn.Module):
    """A linear layer scaled down to a norm: theta min(1, c / |A|).                       paper (47)

    Args:
        layer: nn.Linear, or a convolution of stride 1 with zero padding.
        c: largest norm.
        norm: how |A| is bounded: "power" (from below, in training one iteration a call from where the last one ended),
            "frequency" or "mixed" (from above; the constant is then certain).
    Shape:
        that of the layer -> that of the layer.
    Raises:
        MvnetError: unknown norm, or another layer.
    """

    vector: Tensor

    def __init__(self, layer: nn.Module, c: float, norm: str = "frequency"):
        super().__init__()
        if norm not in NORMS:
            raise MvnetError(f"norm: found {norm!r}, expected one of {', '.join(NORMS)}")
        kernel = linear_kernel(layer)
        if kernel is None:
            raise MvnetError(f"layer: found a {type(layer).__name__}, expected a linear layer or a plain convolution")
        self.layer, self.c, self.norm = layer, c, norm
        self.register_buffer("vector", torch.zeros(1, kernel.shape[1], *(1,) * (kernel.ndim - 2)), persistent=False)

    def bound(self, kernel: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """|A| as this layer bounds it.

        Args:
            kernel: of the layer.
            sizes: lengths of the grid.
        Returns:
            a scalar.
        """
        if self.norm == "mixed":
            return mixed_bound(kernel)
        if self.norm == "frequency":
            return frequency_bound(kernel)
        warm = self.vector if bool(self.vector.any()) else None
        cold = warm is None or warm.shape[2:] != sizes
        value, vector = power_iteration(kernel, sizes, warm, _ITERATIONS[self.training and not cold])
        if self.training:
            self.vector = vector.to(self.vector)
        return value

    def kernel(self, sizes: tuple[int, ...] = ()) -> Tensor:
        """The normalised kernel.

        Args:
            sizes: lengths of the grid.
        Returns:
            shape (out, in, *taps).
        """
        kernel = linear_kernel(self.layer)
        assert kernel is not None
        return kernel * (self.c / self.bound(kernel, sizes)).clamp(max=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the normalised layer.

        Args:
            x: in the layout of the layer.
        Returns:
            in the layout of the layer.
        """
        kernel, bias = self.kernel(tuple(x.shape[2:]) if not isinstance(self.layer, nn.Linear) else ()), self.layer.bias
        if kernel.ndim == 2:
            return F.linear(x, kernel, bias)  # pyright: ignore[reportArgumentType]
        return _FUNCTION[kernel.ndim - 2](x, kernel, bias, padding=self.layer.padding)  # pyright: ignore

    def lipschitz_bound(self) -> float:
        """c where it is certain; for "power" an upper bound of the norm that the scaled kernel really has."""
        if self.norm != "power":
            return self.c
        sizes = tuple(self.vector.shape[2:])
        return float(frequency_bound(self.kernel(sizes if len(sizes) else ()).detach()))


class Sandwich(nn.Module):
    """sqrt 2 A^T e^p s(sqrt 2 e^-p B x + b) with A A^T + B B^T = 1: 1-Lipschitz for every value of its parameters.

    s is the softplus, of slopes in (0, 1). With Z = X - X^T + Y^T Y,
        A^T = (1 + Z)^-1 (1 - Z),    B^T = -2 Y (1 + Z)^-1.

    Args:
        ins, outs: numbers of features.
        generator: source of the initial parameters; torch's global one when None.
    Shape:
        (..., ins) -> (..., outs).
    Source: Wang and Manchester (2023), equations (8) and (11).
    """

    def __init__(self, ins: int, outs: int, *, generator: torch.Generator | None = None):
        super().__init__()
        self.free = nn.Parameter(torch.randn(ins + outs, outs, generator=generator) / (ins + outs) ** 0.5)
        self.log_scale = nn.Parameter(torch.zeros(outs))
        self.bias = nn.Parameter(torch.zeros(outs))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer.

        Args:
            x: shape (..., ins).
        Returns:
            shape (..., outs).
        """
        a, b = cayley_pair(self.free)
        scale = self.log_scale.exp()
        hidden = F.softplus(2**0.5 * (x @ b.mT) / scale + self.bias)
        return 2**0.5 * (hidden * scale) @ a

    def lipschitz_bound(self) -> float:
        """1"""
        return 1.0


class CayleyLinear(nn.Module):
    """x B^T + b with B B^T <= 1 from the Cayley transform: a last layer after `Sandwich`es.

    Args:
        ins, outs: numbers of features.
        generator: source of the initial parameters; torch's global one when None.
    Shape:
        (..., ins) -> (..., outs).
    """

    def __init__(self, ins: int, outs: int, *, generator: torch.Generator | None = None):
        super().__init__()
        self.free = nn.Parameter(torch.randn(ins + outs, outs, generator=generator) / (ins + outs) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(outs))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer.

        Args:
            x: shape (..., ins).
        Returns:
            shape (..., outs).
        """
        return x @ cayley_pair(self.free)[1].mT + self.bias

    def lipschitz_bound(self) -> float:
        """1"""
        return 1.0


def cayley_pair(free: Tensor) -> tuple[Tensor, Tensor]:
    """A (m, m) and B (m, n) with A A^T + B B^T = 1, from any matrix.

    Args:
        free: shape (m + n, m): X above Y.
    Returns:
        A and B.
    """
    free = wide(free)
    m = free.shape[1]
    x, y = free[:m], free[m:]
    eye = torch.eye(m, dtype=free.dtype, device=free.device)
    z = x - x.mT + y.mT @ y
    inverse = torch.linalg.inv(eye + z)
    return (inverse @ (eye - z)).mT, (-2 * y @ inverse).mT


class Contraction(nn.Module):
    """c times a network whose Lipschitz constant is at most 1.

    Args:
        network: with a bound known to `lipschitz_bound`, checked when it is used for a density.
        c: in (0, 1).
    Shape:
        that of the network -> that of the network.
    Raises:
        MvnetError: c is not in (0, 1).
    """

    def __init__(self, network: nn.Module, c: float):
        super().__init__()
        self.network, self.c = network, check_budget(c)

    def forward(self, x: Tensor) -> Tensor:
        """c f(x)

        Args:
            x: in the layout of the network.
        Returns:
            in the layout of the network.
        """
        return self.c * self.network(x)

    def lipschitz_bound(self) -> float | None:
        """c times the bound of the network; None where that is not known."""
        bound = lipschitz_bound(self.network)
        return None if bound is None else self.c * bound


class LipSwish(nn.Module):
    """x sigmoid(e^b x) / 1.1: smooth, 1-Lipschitz, and its second derivative does not vanish where the first is 1.

    Shape:
        (...) -> the same.
    Source: Chen et al., Residual flows for invertible generative modeling (2019).
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_beta = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """x sigmoid(e^b x) / 1.1

        Args:
            x: any shape.
        Returns:
            same shape.
        """
        return x * torch.sigmoid(self.log_beta.exp() * x) / 1.1

    def lipschitz_bound(self) -> float:
        """1"""
        return 1.0


def contraction(
    features: int, hidden: int, layers: int, c: float, kind: str = "power", *, generator: torch.Generator | None = None
) -> Contraction:
    """A network on R^n of Lipschitz constant c, for `Residual`.

    Args:
        features: n.
        hidden: width.
        layers: number of hidden layers.
        c: in (0, 1).
        kind: "sandwich" (by construction), or a name of `NORMS` (by normalisation).
        generator: source of the sandwich layers' parameters; torch's global one when None.
    Returns:
        the network.
    Raises:
        MvnetError: unknown kind, or c not in (0, 1).
    """
    if kind == "sandwich":
        widths = [features, *[hidden] * layers]
        parts: list[nn.Module] = [Sandwich(a, b, generator=generator) for a, b in pairwise(widths)]
        return Contraction(nn.Sequential(*parts, CayleyLinear(hidden, features, generator=generator)), c)
    widths = [features, *[hidden] * layers, features]
    parts = []
    for a, b in pairwise(widths):
        parts += [LipSwish(), Normalised(nn.Linear(a, b), 1.0, kind)]
    return Contraction(nn.Sequential(*parts[1:]), c)
