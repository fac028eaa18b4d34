"""Fields with weights that damp, and the two-matrix model (paper section 2.1.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.fields.activations import Activation, get_activation
from mvnet.fields.base import VectorField
from mvnet.fields.bounds import growth_in_time
from mvnet.fields.in_time import TimeGrid, affine, check_count, check_features, draw
from mvnet.fields.layer import LayerField


class DampedSkewField(LayerField):
    """f(t, z) = sigma(A z + b) with A(t) = S(t) - S(t)^T - gamma I: paper section 2.1.1.

    The linear flow z' = A z + b with gamma = 0 keeps the distance of two solutions (the paper says, the norm of one:
    that asks for b = 0). With a nonlinear sigma, nu may be positive for every gamma: `one_sided_bound` tells.

    Args:
        features: d.
        damping: gamma >= 0.
        intervals, duration, kind, sigma, scale, generator: as in `LayerField`; `weight` holds S.
    """

    def __init__(
        self,
        features: int,
        *,
        damping: float = 0.1,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(
            features,
            intervals=intervals,
            duration=duration,
            kind=kind,
            sigma=sigma,
            scale=scale,
            generator=generator,
        )
        if damping < 0:
            raise MvnetError(f"damping: found {damping}, expected a number of at least 0")
        self.damping = damping

    def matrix(self, weight: Tensor) -> Tensor:
        """S - S^T - gamma I"""
        identity = torch.eye(self.features, dtype=weight.dtype, device=weight.device)
        return weight - weight.mT - self.damping * identity


class TwoMatrixField(VectorField):
    """f(t, z) = -A2(t) sigma(A1(t) z + b1(t)) + b2(t): paper eq. (15).

    The ResNet of the source ends every layer with a ReLU. With steps that shrink it solves the differential inclusion
    z' - f(t, z) in -N(z), N the normal cone of {z >= 0}: its step is `resolvent(z + h f(t, z))`, and the resolvent of
    a normal cone is the projection, which brings no two points further apart.

    Args:
        features: d.
        hidden: rows of A1, d when None.
        positive: whether the entries of A2 are kept positive, as softplus of its parameters.
        intervals, duration, kind: in time; see `TimeGrid`.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: initial weights are normal with standard deviation scale over the root of their number of columns.
        generator: source of the initial values; torch's global generator when None.
    Source: Zhang, Schaeffer, Forward stability of ResNet and its variants, J. Math. Imaging Vis. 62 (2020).
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: int | None = None,
        positive: bool = False,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "relu",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        hidden = features if hidden is None else hidden
        check_count("features", features)
        check_count("hidden", hidden)
        self.features, self.positive, self.sigma = features, positive, get_activation(sigma)
        self.grid = TimeGrid(intervals, duration, kind)
        count = self.grid.count
        self.inner_weight = draw((count, hidden, features), scale / features**0.5, generator)
        self.outer_weight = draw((count, features, hidden), scale / hidden**0.5, generator)
        self.inner_bias = draw((count, hidden), scale, generator)
        self.outer_bias = nn.Parameter(torch.zeros(count, features, device=self.inner_weight.device))

    def outer_matrix(self) -> Tensor:
        """A2 at the values of the grid.

        Returns:
            shape (count, d, m).
        """
        return F.softplus(self.outer_weight) if self.positive else self.outer_weight

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """-A2 sigma(A1 z + b1) + b2

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: states (..., d).
        Returns:
            shape (..., d).
        """
        check_features(z, self.features)
        parameters = (self.inner_weight, self.outer_matrix(), self.inner_bias, self.outer_bias)
        a1, a2, b1, b2 = self.grid.at(t, *parameters, batch=z.ndim - 1)
        return b2 - affine(a2, self.sigma(affine(a1, z, b1)))

    def resolvent(self, z: Tensor) -> Tensor:
        """max(z, 0), the projection to {z >= 0}: what follows a step of the inclusion, of any size.

        Args:
            z: states.
        Returns:
            the same shape.
        """
        return F.relu(z)

    def one_sided_bound(self) -> Tensor:
        """sup lambda_max(sym(-A2 D A1)); see `mvnet.fields.bounds`. It holds for the inclusion too: N is monotone."""
        linear = self.grid.kind == "linear"
        return growth_in_time(-self.outer_matrix(), self.inner_weight, self.sigma.slopes, linear)
