"""Functions on R^n whose gradients make fields: antiderivatives of sigma, quadratic forms, functions of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from mvnet.fields.activations import Activation, get_activation
from mvnet.fields.energy import gradient_of
from mvnet.fields.in_time import TimeGrid, affine, check_count, check_features, draw


class Potential(Protocol):
    """A function of time and of x (..., n)."""

    def __call__(self, t: Tensor, x: Tensor, *args: Tensor) -> Tensor:
        """V(t, x)

        Args:
            t: time, a scalar tensor, or one time for each state.
            x: points (..., n).
            args: further inputs.
        Returns:
            shape (...).
        """
        ...

    def gradient(self, t: Tensor, x: Tensor, *args: Tensor) -> Tensor:
        """grad V(t, x)

        Args:
            t: time, a scalar tensor, or one time for each state.
            x: points (..., n).
            args: further inputs.
        Returns:
            shape (..., n).
        """
        ...


class RidgePotential(nn.Module):
    """V(t, x) = sum_j gamma((A(t) x + b(t))_j), gamma' = sigma: below paper eq. (16) and (19).

    grad V = A^T sigma(A x + b); V is convex for monotone sigma. Parameters `weight` (count, m, n), `bias` (count, m).

    Args:
        features: n.
        hidden: m.
        grid: in time.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: initial weights are normal with standard deviation scale / sqrt(n), initial biases with `scale`.
        generator: source of the initial values; torch's global generator when None.
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        grid: TimeGrid,
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_count("features", features)
        check_count("hidden", hidden)
        self.features, self.grid, self.sigma = features, grid, get_activation(sigma)
        self.weight = draw((grid.count, hidden, features), scale / features**0.5, generator)
        self.bias = draw((grid.count, hidden), scale, generator)

    def forward(self, t: Tensor, x: Tensor, *args: Tensor) -> Tensor:
        """sum_j gamma((A x + b)_j)

        Args:
            t: time, a scalar tensor, or one time for each state.
            x: points (..., n).
            args: not used.
        Returns:
            shape (...).
        """
        a, b = self._at(t, x)
        return self.sigma.antiderivative(affine(a, x, b)).sum(-1)

    def gradient(self, t: Tensor, x: Tensor, *args: Tensor) -> Tensor:
        """A^T sigma(A x + b)

        Args:
            t: time, a scalar tensor, or one time for each state.
            x: points (..., n).
            args: not used.
        Returns:
            shape (..., n).
        """
        a, b = self._at(t, x)
        return affine(a.mT, self.sigma(affine(a, x, b)))

    def _at(self, t: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        check_features(x, self.features)
        return self.grid.at(t, self.weight, self.bias, batch=x.ndim - 1)


class QuadraticPotential(nn.Module):
    """V(x) = |x|^2 / 2, the kinetic energy of unit masses."""

    def forward(self, t: Tensor, x: Tensor, *args: Tensor) -> Tensor:
        """|x|^2 / 2

        Args:
            t: not used.
            x: points (..., n).
            args: not used.
        Returns:
            shape (...).
        """
        return x.square().sum(-1) / 2

    def gradient(self, t: Tensor, x: Tensor, *args: Tensor) -> Tensor:
        """x

        Args:
            t: not used.
            x: points (..., n).
            args: not used.
        Returns:
            shape (..., n).
        """
        return x


class FunctionPotential(nn.Module):
    """A function of one's own, differentiated automatically.

    Args:
        function: (t, x, *args) -> one number for every point of x (..., n); a module's parameters are found.
    """

    def __init__(self, function: Callable[..., Tensor]):
        super().__init__()
        self.function = function

    def forward(self, t: Tensor, x: Tensor, *args: Tensor) -> Tensor:
        """V(t, x)

        Args:
            t: time.
            x: points (..., n).
            args: further inputs.
        Returns:
            shape (...).
        """
        return self.function(t, x, *args)

    def gradient(self, t: Tensor, x: Tensor, *args: Tensor) -> Tensor:
        """grad V(t, x)

        Args:
            t: time.
            x: points (..., n).
            args: further inputs.
        Returns:
            shape (..., n).
        """
        return gradient_of(lambda y: self.function(t, y, *args), x)


def as_potential(function: Potential | Callable[..., Tensor]) -> Potential:
    """Accept functions where potentials are expected.

    Args:
        function: a potential, or a function (t, x, *args) -> (...).
    Returns:
        a potential, a module.
    """
    return function if hasattr(function, "gradient") else FunctionPotential(function)  # type: ignore[return-value]
