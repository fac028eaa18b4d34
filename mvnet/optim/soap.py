"""Adam in the eigenbases of a kernel's channels.

Shampoo preconditions a matrix by the roots of its second moments L = E[G G^T] and R = E[G^T G]. In the eigenbases of L
and R that is a division entry by entry, and Adam's moments do it better:

    G' = Q_L^T G Q_R,    v <- b2 v + (1 - b2) G'^2,    step = Q_L ( m' / (sqrt(v) + eps) ) Q_R^T

for every tap of a kernel with the bases of its channels. The bases follow L and R by one step of a QR iteration every
few steps; the moments are carried along, m' -> P m' S^T and v -> (P o P) v (S o S)^T with P = Q_L,new^T Q_L and
S = Q_R,new^T Q_R, so that a mere reordering of a basis changes nothing.

The division leaves the kernels of an equivariant layer; the step is the nearest one that the layer can hold.

Source: paper 6.2 and 6.4.2; Gupta, Koren and Singer, Shampoo (2018); Vyas et al., SOAP (2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mvnet.linalg.matrix_view import MatrixView
from mvnet.optim.matrices import FEWEST, MatrixOptimizer, apply_steps, stacked_gradients


class SOAP(MatrixOptimizer):
    """Adam in slowly moving eigenbases of the channels of every kernel; Adam's steps for vectors.

    Args:
        params: parameters or groups.
        lr: learning rate.
        views: the matrices among the parameters, as `mvnet.optim.roles.matrix_views(model)` gives them.
        beta1, beta2, eps: of Adam.
        shampoo_beta: averaging factor of L and R.
        every: steps between two changes of the bases.
        fewest: an equivariant kernel of fewer weights is treated as a vector.
        largest: a basis of more channels than that is left out.
        weight_decay: decoupled.
    Source: see the module.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 4e-3,
        *,
        views: Mapping[nn.Parameter, MatrixView] | None = None,
        beta1: float = 0.9,
        beta2: float = 0.95,
        eps: float = 1e-8,
        shampoo_beta: float = 0.95,
        every: int = 5,
        fewest: int = FEWEST,
        largest: int = 1024,
        weight_decay: float = 0.0,
    ):
        defaults = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "shampoo_beta": shampoo_beta}
        defaults |= {"every": every, "fewest": fewest, "largest": largest, "weight_decay": weight_decay}
        super().__init__(params, defaults, views)

    def advance_matrices(self, group: dict[str, Any], view: MatrixView, batch: list[nn.Parameter]) -> None:
        """One step of matrices of one kind."""
        # (layers, out, taps, in): both changes of basis are products of large matrices
        kernel = view.lift(stacked_gradients(batch)).mT.contiguous()
        # layers of one kind may be at different steps: a new one begins, one without a gradient waits
        new = [not self.state[parameter] for parameter in batch]
        if any(new):
            for parameter, k, begins in zip(batch, kernel, new):
                if begins:
                    self._begin(parameter, k, group)
            kernel = kernel[[not begins for begins in new]]
            batch = [parameter for parameter, begins in zip(batch, new) if not begins]
        if batch:
            steps = self._step(group, batch, kernel)
            apply_steps(batch, view.project(steps.mT), 1 - group["lr"] * group["weight_decay"])

    def _begin(self, parameter: nn.Parameter, kernel: Tensor, group: dict[str, Any]) -> None:
        """Moments of zero in the eigenbases of the first gradient.

        No step is taken along that gradient: in its own bases it is diagonal, and the division would turn the rounding
        errors beside the diagonal into steps.
        """
        entry = self.state[parameter]
        entry["step"] = 0
        for side, second in zip(("out", "in"), _second_moments(kernel)):
            if len(second) <= group["largest"]:
                entry[f"moment_{side}"] = (1 - group["shampoo_beta"]) * second
                entry[f"basis_{side}"] = torch.linalg.eigh(second)[1].flip(-1)
        for name in ("exp_avg", "exp_avg_sq"):
            entry[name] = torch.zeros_like(kernel, memory_format=torch.contiguous_format)

    def _step(self, group: dict[str, Any], batch: list[nn.Parameter], kernel: Tensor) -> Tensor:
        """Steps of the kernels, shape (layers, out, taps, in); the states move on."""
        b1, b2, beta, eps = (group[name] for name in ("beta1", "beta2", "shampoo_beta", "eps"))
        entry = self.state[batch[0]]
        sides = [side for side in ("out", "in") if f"basis_{side}" in entry]
        bases = [self._get(batch, f"basis_{side}") if side in sides else None for side in ("out", "in")]
        m, v = self._get(batch, "exp_avg"), self._get(batch, "exp_avg_sq")
        for parameter in batch:
            self.state[parameter]["step"] += 1
        # G' -> m', v -> m' / sqrt(v), back in the channels
        rotated = _change(kernel, bases)
        m.lerp_(rotated, 1 - b1)
        v.mul_(b2).addcmul_(rotated, rotated, value=1 - b2)
        counts = torch.tensor([float(self.state[p]["step"]) for p in batch], dtype=v.dtype, device=v.device)
        counts = counts.view(-1, 1, 1, 1)
        root = (v / (1 - b2**counts)).sqrt_().add_(eps)
        steps = _change(
            (m / root).mul_(group["lr"] / (1 - b1**counts)), [q.mT if q is not None else None for q in bases]
        )
        # L, R, and every few steps the bases
        for side, second in zip(("out", "in"), _second_moments(kernel)):
            if side in sides:
                self._get(batch, f"moment_{side}").lerp_(second, 1 - beta)
        if due := [parameter for parameter in batch if self.state[parameter]["step"] % group["every"] == 0]:
            self._turn(due, sides)
        return steps

    def _turn(self, batch: list[nn.Parameter], sides: list[str]) -> None:
        """One step of the QR iteration for every basis; the moments come along."""
        m, v = self._get(batch, "exp_avg"), self._get(batch, "exp_avg_sq")
        turns: list[Tensor | None] = [None, None]
        for number, side in enumerate(("out", "in")):
            if side in sides:
                basis, second = (
                    self._get(batch, f"basis_{side}"),
                    self._get(batch, f"moment_{side}"),
                )
                new = torch.linalg.qr(second @ basis)[0]
                turns[number] = basis.mT @ new
                basis.copy_(new)
        m.copy_(_change(m, turns))
        v.copy_(_change(v, [turn.square() if turn is not None else None for turn in turns]))


def _second_moments(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """sum over taps of G G^T and of G^T G, shapes (..., out, out) and (..., in, in)."""
    by_out, by_in = kernel.flatten(-2), kernel.flatten(-3, -2)
    return by_out @ by_out.mT, by_in.mT @ by_in


def _change(kernel: Tensor, bases: list[Tensor | None]) -> Tensor:
    """Q_L^T G Q_R for every tap; a basis of None is the one that stands."""
    out, into = bases
    shape = kernel.shape
    if out is not None:
        kernel = (out.mT @ kernel.flatten(-2)).view(shape)
    if into is not None:
        kernel = (kernel.flatten(-3, -2) @ into).view(shape)
    return kernel
