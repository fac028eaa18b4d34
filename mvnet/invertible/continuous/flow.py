"""Continuous flows: the solution of z' = xi(t, z) . z from time 0 (latent) to time 1 (data), and its density.

d/dt log p(z(t)) = -div xi,   div xi = sum_a E_a(xi_a),

E_a the vector fields of the basis of the Lie algebra acting on z (right-trivialised), xi_a the components of the field.
They are the generators of the action: densities are with respect to a volume that the action leaves alone (Lebesgue,
Haar, the Riemannian volume of Sym+(3)). Of R^n it is the ordinary divergence.
Source: paper section 4.2.3; Chen et al., Neural ordinary differential equations (2018), the paper's reference [24];
Falorsi, Continuous normalizing flows on manifolds (2021).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.integrators import odeint
from mvnet.invertible.base import Invertible, Mapped
from mvnet.invertible.continuous.action import ProductAction
from mvnet.manifolds.actions import GroupAction, Translation

DIVERGENCES = ("exact", "hutchinson")


class Continuous(Invertible):
    """The flow of a learned field as an invertible layer; both directions are solved on the same grid of times.

    The log-determinant is that of the exact flow, to the error of the integrator. Gradients go through the steps; what
    the field closes over as a tensor receives none, except parameters: further inputs are the context.

    Args:
        field: (t, z) -> xi, or (t, z, context) -> xi of a conditional flow; z of shape (B, *shape), t a scalar.
        shape: of one point.
        action: how xi acts; addition in R^n when None.
        steps: of the integrator between the times 0 and 1.
        method: a name of `mvnet.integrators.METHODS`.
        divergence: "exact", one product for each dimension of the algebra, or "hutchinson", one in all, with random
            signs that stay the same along a trajectory.
        conditional: whether a context is needed.
    Shape:
        (B, *shape) -> the same.
    Raises:
        MvnetError: unknown divergence, or fewer than one step.

    Examples:
        >>> import torch
        >>> from mvnet.invertible import Continuous, VelocityNetwork
        >>> layer = Continuous(VelocityNetwork((2,)), (2,), steps=8)
        >>> x = torch.randn(5, 2)
        >>> torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-4)
        True
    """

    keeps_precision = False

    def __init__(
        self,
        field: nn.Module,
        shape: tuple[int, ...],
        action: GroupAction | None = None,
        steps: int = 16,
        method: str = "rkmk4",
        divergence: str = "exact",
        conditional: bool = False,
    ):
        super().__init__()
        if divergence not in DIVERGENCES or steps < 1:
            raise MvnetError(
                f"divergence, steps: found {divergence!r} and {steps}, expected exact or hutchinson and at least 1 step"
            )
        self.field, self.shape, self.steps, self.method = field, tuple(shape), steps, method
        self.divergence, self.conditional = divergence, conditional
        self.action: GroupAction = action or Translation()
        self._pair = ProductAction((self.action, self.shape), (Translation(), (1,)))

    def transport(self, x: Tensor, context: Tensor | None = None, times: Tensor | None = None) -> Tensor:
        """The trajectory without its density.

        Args:
            x: where it begins, shape (B, *shape).
            context: as in `forward`.
            times: in order; from 0, latent, to 1, data, when None.
        Returns:
            the states at the times, shape (n, B, *shape).
        """
        grid = self._times(x) if times is None else times
        extra = (context,) if self.conditional and context is not None else ()
        return odeint(self.field, x, grid, args=extra, action=self.action, method=self.method)

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        return self._solve(x, context, backwards=True)

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        return self._solve(z, context, backwards=False)

    def _times(self, x: Tensor) -> Tensor:
        return torch.linspace(0, 1, self.steps + 1, dtype=x.dtype, device=x.device)

    def _solve(self, x: Tensor, context: Tensor | None, backwards: bool) -> Mapped:
        times = self._times(x).flip(0) if backwards else self._times(x)
        state = self._pair.flatten([x, torch.zeros_like(x.reshape(len(x), -1)[:, :1])], self._pair.shapes)
        extra = (context,) if self.conditional and context is not None else ()
        if self.divergence == "hutchinson":
            size = self._pair.algebra_sizes[0]
            extra = (*extra, 2 * torch.randint(0, 2, (len(x), size), device=x.device).to(x) - 1)
        end = odeint(self._augmented, state, times, args=extra, action=self._pair, method=self.method, save="last")
        point, change = self._pair.points(end)
        return point, change.squeeze(-1)

    def _augmented(self, t: Tensor, state: Tensor, *extra: Tensor) -> Tensor:
        """xi and its divergence, (B, m + 1)."""
        z = self._pair.points(state)[0]
        signs = extra[-1] if self.divergence == "hutchinson" else None
        inputs = extra[:-1] if signs is not None else extra
        w = torch.zeros(len(z), *self._pair.algebra_shapes[0], dtype=z.dtype, device=z.device)

        def moved(w: Tensor) -> Tensor:
            return self.field(t, self.action.act(w, z), *inputs).expand(w.shape).flatten(1)

        # a graph of its own for w: `autograd.grad` would walk through that of the whole trajectory, at every step
        xi, pull = torch.func.vjp(moved, w)  # pyright: ignore[reportAssignmentType]
        if signs is not None:
            total = (pull(signs)[0].reshape(xi.shape) * signs).sum(1)
        else:
            basis = torch.eye(xi.shape[1], dtype=xi.dtype, device=xi.device)
            rows = [pull(e.repeat(len(z), 1))[0].reshape(xi.shape)[:, a] for a, e in enumerate(basis)]
            total = torch.stack(rows, 1).sum(1)
        return torch.cat((xi, total[:, None]), 1)


class VelocityNetwork(nn.Module):
    """A field on points: a network of the flattened point, the time and the context.

    Args:
        shape: of one point.
        algebra: shape of xi; that of the point when None.
        hidden: width.
        layers: number of hidden layers.
        conditions: numbers of a context (B, conditions).
    Shape:
        t scalar or (B,), z (B, *shape) -> (B, *algebra).
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        algebra: tuple[int, ...] | None = None,
        hidden: int = 64,
        layers: int = 2,
        conditions: int = 0,
    ):
        super().__init__()
        self.shape, self.algebra = tuple(shape), tuple(shape if algebra is None else algebra)
        widths = [int(torch.Size(self.shape).numel()) + 1 + conditions, *[hidden] * layers]
        parts: list[nn.Module] = []
        for a, b in pairwise(widths):
            parts += [nn.Linear(a, b), nn.SiLU()]
        self.network = nn.Sequential(*parts, nn.Linear(hidden, int(torch.Size(self.algebra).numel())))

    def forward(self, t: Tensor, z: Tensor, context: Tensor | None = None) -> Tensor:
        """xi(t, z)

        Args:
            t: time, a scalar, or one for each sample.
            z: points, shape (B, *shape).
            context: shape (B, conditions) of a conditional field.
        Returns:
            shape (B, *algebra).
        """
        flat = z.reshape(len(z), -1)
        time = torch.as_tensor(t, dtype=z.dtype, device=z.device).expand(len(z))[:, None]
        parts = [flat, time] if context is None else [flat, time, context]
        return self.network(torch.cat(parts, 1)).reshape(len(z), *self.algebra)
