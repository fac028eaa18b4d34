"""Learned time steps z_{k+1} = z_k + h_k f(z_k, theta_k), h_k >= 0 with sum T. Paper (38), (39).

The regulariser (39) is the indicator of a simplex, its proximal map the projection. A step that becomes exactly 0 makes
its layer the identity: the layer can be dropped, so the depth is learned.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mvnet.errors import MvnetError
from mvnet.fields import TimeGrid, VectorField
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


class RescaledField(VectorField):
    """(h_k K / T) f(t, z) on the k-th of K equal intervals: a field whose k-th step is h_k long.

    Explicit Euler on the K intervals is (38), z_{k+1} = z_k + h_k f(t_k, z_k); any other method takes it as well.
    The flow of f at another speed: it contracts where that of f does, and keeps the same first integrals and volume.

    Args:
        field: f with parameters constant on the K intervals of its `grid`, such as `LayerField`.
        steps: h, K of them, with the same sum T.
    Raises:
        MvnetError: a field without such a grid, or a grid that differs from the steps in number, sum or kind.
    """

    def __init__(self, field: VectorField, steps: SimplexSteps):
        super().__init__()
        grid = getattr(field, "grid", None)
        expected = TimeGrid(len(steps.raw), steps.total)
        if grid != expected:
            raise MvnetError(f"field: found the grid {grid}, expected {expected}")
        self.field, self.steps, self.grid = field, steps, expected

    def forward(self, t: Tensor, z: Tensor, *args: Tensor) -> Tensor:
        """(h_k K / T) f(t, z)

        Args:
            t: time, a scalar tensor, or one time for each sample.
            z: states (..., d).
            args: further inputs of the field.
        Returns:
            shape (..., d).
        """
        (speed,) = self.grid.at(t, self.steps() * (self.grid.intervals / self.grid.duration))
        if t.ndim:
            speed = speed.reshape(-1, *(1,) * (z.ndim - 1))
        return speed * self.field(t, z, *args)

    def one_sided_bound(self) -> Tensor | None:
        """max over k of h_k K / T times the bound of the field.

        Returns:
            nu, a scalar; None where the field knows none.
        """
        bound = self.field.one_sided_bound()
        speeds = self.steps() * (self.grid.intervals / self.grid.duration)
        return None if bound is None else torch.maximum(bound * speeds.max(), bound * speeds.min())

    def without_idle_layers(self) -> RescaledField:
        """The same map with fewer layers, for methods that evaluate the field inside its intervals only.

        Returns:
            a copy whose steps, and parameters with one value for each layer, are those of the active layers.
        """
        kept = torch.tensor(self.steps.active_layers(), device=self.steps.raw.device)
        field: Any = copy.deepcopy(self.field)
        for name, parameter in list(field.named_parameters()):
            if len(parameter) == self.grid.count:
                owner, _, attribute = name.rpartition(".")
                chosen = nn.Parameter(parameter.detach()[kept], requires_grad=parameter.requires_grad)
                setattr(field.get_submodule(owner), attribute, chosen)
        field.grid = TimeGrid(len(kept), self.steps.total)
        steps = SimplexSteps(len(kept), self.steps.total, dtype=self.steps.raw.dtype, device=self.steps.raw.device)
        with torch.no_grad():
            steps.raw.copy_(self.steps.raw[kept])
        return RescaledField(field, steps)
