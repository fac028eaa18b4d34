"""Layers of SPDNet, on SPD matrices of any size such as covariances: affine-equivariant steps between Sym+(n).

| layer          | map                                             | from -> to                     |
|----------------|-------------------------------------------------|--------------------------------|
| `BiMap`        | W^T X W, W in St(n, m)                          | Sym+(n) -> Sym+(m)             |
| `ReEig`        | U max(L, e) U^T with X = U L U^T                | Sym+(n) -> Sym+(n)             |
| `SPDBatchNorm` | B # (G^-1/2 X G^-1/2)^(s / d), G the batch mean | Sym+(n) -> Sym+(n)             |
| `LogEig`       | vec(log X)                                      | Sym+(n) -> R^(n (n + 1) / 2)   |

Gradients are finite at repeated eigenvalues. W is a `ManifoldParameter`: the optimisers of `mvnet.optim.riemannian`
keep it orthonormal.

Source: Huang and Van Gool, A Riemannian network for SPD matrix learning, AAAI (2017); Brooks, Schwander, Barbaresco,
Schneider, Cord, Riemannian batch normalization for SPD neural networks, NeurIPS (2019); Kobler, Hirayama, Zhao,
Kawanabe, SPD domain-specific batch normalization, NeurIPS (2022), for the dispersion d.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.manifolds.parameter import ManifoldParameter
from mvnet.manifolds.spd import SPD, rectify
from mvnet.manifolds.stiefel import Stiefel


class BiMap(nn.Module):
    """W^T X W with a learned W of orthonormal columns: fewer dimensions, full rank.

    Args:
        n: size of the matrices that come in.
        m: size of those that go out, at most n.
        generator: source of the initial weight; torch's global generator when None.
    Shape:
        (..., n, n) -> (..., m, m).
    Raises:
        MvnetError: m above n.

    Examples:
        >>> import torch
        >>> from mvnet.nn import BiMap
        >>> x = torch.eye(8).expand(5, 8, 8)
        >>> BiMap(8, 4)(x).shape
        torch.Size([5, 4, 4])
    """

    def __init__(self, n: int, m: int, *, generator: torch.Generator | None = None):
        super().__init__()
        if not 1 <= m <= n:
            raise MvnetError(f"m: found {m}, expected 1 to n = {n}")
        frames = Stiefel(n, m)
        self.weight = ManifoldParameter(frames.project(torch.randn(n, m, generator=generator)), frames)

    def forward(self, x: Tensor) -> Tensor:
        """W^T X W.

        Args:
            x: shape (..., n, n), SPD.
        Returns:
            shape (..., m, m), SPD.
        """
        return self.weight.mT @ x @ self.weight


class ReEig(nn.Module):
    """Eigenvalues below a floor are lifted to it: the nonlinearity of SPDNet.

    Args:
        floor: of the eigenvalues, in the unit of the matrices.
    Shape:
        (..., n, n) -> the same.
    Raises:
        MvnetError: a floor that is not positive.

    Examples:
        >>> import torch
        >>> from mvnet.nn import ReEig
        >>> ReEig(0.5)(torch.diag(torch.tensor([2.0, 0.1]))).diagonal()
        tensor([2.0000, 0.5000])
    """

    def __init__(self, floor: float = 1e-4):
        super().__init__()
        if not 0 < floor < math.inf:
            raise MvnetError(f"floor: found {floor}, expected a positive number")
        self.floor = floor

    def forward(self, x: Tensor) -> Tensor:
        """U max(L, floor) U^T.

        Args:
            x: shape (..., n, n), symmetric.
        Returns:
            the same shape, SPD.
        """
        return rectify(x, self.floor)


class LogEig(nn.Module):
    """The logarithm as a vector whose norm is the log-Euclidean distance to the identity.

    Shape:
        (..., n, n) -> (..., n (n + 1) / 2).

    Examples:
        >>> import torch
        >>> from mvnet.nn import LogEig
        >>> LogEig()(torch.eye(3).expand(5, 3, 3)).shape
        torch.Size([5, 6])
    """

    def forward(self, x: Tensor) -> Tensor:
        """The upper triangle of log X, row by row, off-diagonal entries times sqrt(2).

        Args:
            x: shape (..., n, n), SPD.
        Returns:
            shape (..., n (n + 1) / 2).
        """
        n = x.shape[-1]
        i, j = torch.triu_indices(n, n, device=x.device)
        log = SPD(n).log(torch.eye(n, dtype=x.dtype, device=x.device).expand_as(x), x)
        return log[..., i, j] * torch.where(i == j, 1.0, math.sqrt(2)).to(x)


class SPDBatchNorm(nn.Module):
    """Move the Frechet mean of a batch to a learned matrix and its dispersion to a learned number.

        X -> B^1/2 (G^-1/2 X G^-1/2)^(s / d) B^1/2,        d^2 = mean of dist(X, G)^2

    G and d are those of the batch in training and running ones in evaluation, where G moves along geodesics.

    Args:
        n: size of the matrices.
        momentum: share of a batch in the running mean and dispersion.
        eps: added to the dispersion.
    Shape:
        (..., n, n) -> the same.

    Examples:
        >>> import torch
        >>> from mvnet.manifolds import SPD
        >>> from mvnet.nn import SPDBatchNorm
        >>> x = SPD(4).random_point((16,), generator=torch.Generator().manual_seed(0))
        >>> SPDBatchNorm(4)(x).shape
        torch.Size([16, 4, 4])
    """

    running_mean: Tensor
    running_dispersion: Tensor

    def __init__(self, n: int, momentum: float = 0.1, eps: float = 1e-5):
        super().__init__()
        self.manifold, self.momentum, self.eps = SPD(n), momentum, eps
        self.bias = ManifoldParameter(torch.eye(n), self.manifold)
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("running_mean", torch.eye(n))
        self.register_buffer("running_dispersion", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """The formula of the class.

        Args:
            x: shape (..., n, n), SPD.
        Returns:
            the same shape, SPD.
        """
        mean, dispersion = self.running_mean, self.running_dispersion
        if self.training:
            points = x.reshape(-1, *self.manifold.point_shape)
            mean = self.manifold.mean(points)
            dispersion = self.manifold.squared_dist(points, mean).mean().sqrt()
            self._follow(mean.detach(), dispersion.detach())
        centred = self._congruence(self._power(mean, -0.5), x)
        scaled = self._power(centred, self.scale / (dispersion + self.eps))
        return self._congruence(self._power(self.bias, 0.5), scaled)

    @torch.no_grad()
    def _follow(self, mean: Tensor, dispersion: Tensor) -> None:
        """The running mean along the geodesic to that of a batch."""
        self.running_mean.copy_(self.manifold.geodesic(self.running_mean, mean, self.momentum))
        self.running_dispersion.lerp_(dispersion, self.momentum)

    def _power(self, x: Tensor, exponent: Tensor | float) -> Tensor:
        identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device).expand_as(x)
        return self.manifold.geodesic(identity, x, exponent)

    @staticmethod
    def _congruence(a: Tensor, x: Tensor) -> Tensor:
        moved = a @ x @ a
        return (moved + moved.mT) / 2
