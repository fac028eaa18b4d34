"""The vector field of a residual network, z' = sigma(A(t) z + b(t)) (paper eq. (8))."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mvnet.fields.activations import Activation, get_activation
from mvnet.fields.base import VectorField
from mvnet.fields.bounds import largest_growth, spectral_norm
from mvnet.fields.in_time import TimeGrid, affine, check_count, check_features, draw


class LayerField(VectorField):
    """f(t, z) = sigma(A(t) z + b(t)): paper eq. (8). Explicit Euler with K steps of T/K is the ResNet (6).

    The parameters `weight` (count, d, d) and `bias` (count, d) hold a whole network; see `TimeGrid`.

    Args:
        features: d.
        intervals: K, the number of layers.
        duration: T.
        kind: "constant" or "linear" in time.
        sigma: a name of `ACTIVATIONS`, or an `Activation`.
        scale: initial weights are normal with standard deviation scale / sqrt(d), initial biases 0.
        generator: source of the initial weights; torch's global generator when None.

    Examples:
        >>> import torch
        >>> from mvnet.fields import LayerField
        >>> from mvnet.integrators import odeint
        >>> network = LayerField(2, intervals=20, duration=5.0, generator=torch.Generator().manual_seed(0))
        >>> odeint(network, torch.ones(7, 2), network.grid.times(), method="lie_euler").shape
        torch.Size([21, 7, 2])
    """

    def __init__(
        self,
        features: int,
        *,
        intervals: int = 1,
        duration: float = 1.0,
        kind: str = "constant",
        sigma: str | Activation = "tanh",
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        check_count("features", features)
        self.features, self.sigma = features, get_activation(sigma)
        self.grid = TimeGrid(intervals, duration, kind)
        self.weight = draw((self.grid.count, features, features), scale / features**0.5, generator)
        self.bias = nn.Parameter(torch.zeros(self.grid.count, features, device=self.weight.device))

    def matrix(self, weight: Tensor) -> Tensor:
        """A, from its parameters.

        Args:
            weight: values of `weight`, (..., d, d).
        Returns:
            A, the same shape.
        """
        return weight

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """sigma(A(t) z + b(t))

        Args:
            t: time, a scalar tensor, or one time for each state.
            z: states (..., d).
        Returns:
            shape (..., d).
        """
        check_features(z, self.features)
        weight, b = self.grid.at(t, self.weight, self.bias, batch=z.ndim - 1)
        return self.sigma(affine(self.matrix(weight), z, b))

    def one_sided_bound(self) -> Tensor:
        """sup lambda_max(sym(D A(t))) over t and diagonal D with entries in the range of sigma': below paper eq. (14).

        Returns:
            nu, exact up to 12 features and an upper bound above: see `mvnet.fields.bounds`. (It is convex in A, so what
            lies between two values needs no look.)
        """
        return largest_growth(None, self.matrix(self.weight), self.sigma.slopes)

    def lipschitz_bound(self) -> Tensor:
        """L_sigma max |A(t)|: two solutions part by exp(L T) at most, paper eq. (13).

        Returns:
            L, a scalar.
        """
        return max(map(abs, self.sigma.slopes)) * spectral_norm(self.matrix(self.weight)).amax()
