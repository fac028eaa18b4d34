"""A two-layer ReLU network as a measure on neurons.

    Phi(mu, x) = int f(theta, x) dmu(theta),    f(theta, x) = c max(a . x + b, 0),    theta = (a, b, c)

represented by particles: mu = sum_j w_j delta_theta_j, with w_j = 1/J the network (61).
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError


class ReLUMeasure(nn.Module):
    """The network (61), or several of them side by side.

    Args:
        a: inner weights, shape (..., J, M).
        b: inner biases, shape (..., J).
        c: outer weights, shape (..., J).
    Raises:
        MvnetError: shapes that do not fit.
    Source: paper (61), (63); Chizat and Bach (2018).
    """

    def __init__(self, a: Tensor, b: Tensor, c: Tensor):
        super().__init__()
        if a.ndim < 2 or not a.shape[:-1] == b.shape == c.shape:
            found = ", ".join(str(tuple(x.shape)) for x in (a, b, c))
            raise MvnetError(f"a, b, c: found shapes {found}, expected (..., J, M), (..., J), (..., J)")
        self.a, self.b, self.c = nn.Parameter(a), nn.Parameter(b), nn.Parameter(c)
        self.weight = nn.Parameter(torch.full_like(b, 1 / b.shape[-1]))

    @classmethod
    def random(
        cls,
        neurons: int,
        inputs: int,
        *,
        size: float = 1.0,
        batch: tuple[int, ...] = (),
        dtype: torch.dtype = torch.float32,
        generator: torch.Generator | None = None,
    ) -> Self:
        """Neurons drawn on the cone c^2 = |a|^2 + b^2, the support that Theorem 6.1 asks for.

        Directions of (a, b) are uniform on the sphere, the signs of c are even: E Phi = 0.

        Args:
            neurons: J.
            inputs: M.
            size: |c|.
            batch: shape of networks side by side.
            dtype: of the parameters.
            generator: of random numbers.
        Returns:
            the network.
        """
        inner = torch.randn(*batch, neurons, inputs + 1, dtype=dtype, generator=generator)
        inner = size * inner / inner.norm(dim=-1, keepdim=True)
        signs = 2.0 * torch.randint(2, (*batch, neurons), generator=generator) - 1
        return cls(inner[..., :-1].clone(), inner[..., -1].clone(), size * signs.to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Phi(mu, x).

        Args:
            x: shape (N, M).
        Returns:
            shape (..., N).
        """
        # (..., J, M) (M, N) + (..., J, 1) -> (..., J, N)
        hidden = (self.a @ x.T + self.b.unsqueeze(-1)).relu()
        return ((self.weight * self.c).unsqueeze(-2) @ hidden).squeeze(-2)

    @property
    def invariant(self) -> Tensor:
        """c^2 - |a|^2 - b^2 of every neuron, shape (..., J): constant along (62) without regulariser."""
        return self.c.square() - self.a.square().sum(-1) - self.b.square()

    @property
    def size(self) -> Tensor:
        """|theta|^2 of every neuron, shape (..., J); its integral times lambda is the regulariser of (63)."""
        return self.c.square() + self.a.square().sum(-1) + self.b.square()

    @property
    def variation(self) -> Tensor:
        """int |c| |(a, b)| dmu, shape (...): the variation norm, half of the integral of `size` on the cone."""
        inner = (self.a.square().sum(-1) + self.b.square()).sqrt()
        return (self.weight * self.c.abs() * inner).sum(-1)
