"""Learned time steps z_{k+1} = z_k + h_k f(z_k, theta_k), h_k >= 0 with sum T. Paper (38), (39).

The regulariser (39) is the indicator of a simplex, its proximal map the projection. A step that becomes exactly 0 makes
its layer the identity: the layer can be dropped, so the depth is learned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mvnet.errors import MvnetError
from mvnet.optim.proximal import Simplex, add_proximal_step, project_simplex


class SimplexSteps(nn.Module):
    """K time steps on the simplex {h >= 0, sum h = T}, equal at first.

    The gradient is taken with respect to the steps themselves and the optimiser's step is projected afterwards
    (proximal gradient), so a step of 0 still sees its gradient and may grow again. Call `project_()` after every step
    of the optimiser, or `attach` it once.

    Args:
        count: K, at least 1.
        total: T, positive.
        dtype, device: of the steps.
    Raises:
        MvnetError: count below 1, or a total that is not positive.
    """

    def __init__(
        self,
        count: int,
        total: float = 1.0,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ):
        super().__init__()
        if count < 1:
            raise MvnetError(f"count: found {count}, expected at least 1")
        if not total > 0:
            raise MvnetError(f"total: found {total}, expected a positive number")
        self.total = float(total)
        self.raw = nn.Parameter(torch.full((count,), total / count, dtype=dtype, device=device))

    def forward(self) -> Tensor:
        """The steps.

        Returns:
            h, shape (K,), on the simplex if `project_()` followed the last change of the parameter.
        """
        return self.raw

    @torch.no_grad()
    def project_(self) -> None:
        """h <- the nearest point of the simplex."""
        self.raw.copy_(project_simplex(self.raw, self.total))

    def attach(self, optimizer: torch.optim.Optimizer) -> RemovableHandle:
        """Let every step of an optimiser end with the projection.

        Args:
            optimizer: one that has the steps among its parameters.
        Returns:
            a handle; its `remove()` ends it.
        """
        return add_proximal_step(optimizer, self.raw, Simplex(self.total))

    def idle_layers(self) -> list[int]:
        """Layers that do nothing.

        Returns:
            every k with h_k = 0, increasing.
        """
        return (self.raw.detach() == 0).nonzero().flatten().tolist()

    def active_layers(self) -> list[int]:
        """Layers that remain when the idle ones are dropped.

        Returns:
            every k with h_k > 0, increasing.
        """
        return (self.raw.detach() > 0).nonzero().flatten().tolist()
