"""Training of continuous flows without solving them: flow matching along geodesics, and bases on manifolds.

min_xi E |xi(t, z_t) . z_t - d z_t / dt|^2,   z_t = exp_{z_0}(t log_{z_0} z_1),   t uniform, z_0 latent, z_1 data
Source: Lipman et al., Flow matching (2023); Chen and Lipman, Flow matching on general geometries (2024).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mvnet.manifolds import Manifold
from mvnet.manifolds.actions import GroupAction


def velocity(action: GroupAction, xi: Tensor, z: Tensor) -> Tensor:
    """The tangent vector xi . z = d/de exp(e xi) . z at e = 0.

    Args:
        action: how xi acts.
        xi: elements of the algebra.
        z: points.
    Returns:
        ambient tangent vectors, the shape of z.
    """
    # the derivative in direction xi is linear in a dummy cotangent u: differentiate u^T (d act) with respect to u
    with torch.enable_grad():
        w = torch.zeros_like(xi, requires_grad=True)
        moved = action.act(w, z)
        u = torch.zeros_like(moved, requires_grad=True)
        (pulled,) = torch.autograd.grad(moved, w, u, create_graph=True)
        (pushed,) = torch.autograd.grad(pulled, u, xi, create_graph=True)
    return pushed


def matching_loss(
    field: nn.Module,
    manifold: Manifold,
    action: GroupAction,
    latent: Tensor,
    data: Tensor,
    context: Tensor | None = None,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The loss of flow matching on one draw of times.

    Args:
        field: (t, z) or (t, z, context) -> xi, t of shape (B,).
        manifold: of the points.
        action: how xi acts on them.
        latent, data: points, shape (B, *point_shape); pairs are independent, or a coupling.
        context: of the batch.
        generator: source of the times; torch's global one when None.
    Returns:
        a scalar: squared velocities in the metric of the manifold.
    """
    t = torch.rand(len(data), generator=generator, dtype=data.dtype, device=data.device)
    z = manifold.geodesic(latent, data, t)
    # from the further end, where the quotient is well conditioned
    early = (t < 0.5).view(-1, *(1,) * manifold.point_ndim)
    rest, passed = (manifold.expand(s) for s in ((1 - t).clamp(min=0.5), t.clamp(min=0.5)))
    target = torch.where(early, manifold.log(z, data) / rest, -manifold.log(z, latent) / passed)
    xi = field(t, z) if context is None else field(t, z, context)
    error = velocity(action, xi, z) - target
    return manifold.inner(z, error, error).mean()


class Uniform(nn.Module):
    """The uniform distribution on a compact manifold, whose `random_point` is uniform.

    Args:
        manifold: such as `Circle()` (volume 2 pi) or `Rotations()` (8 pi^2 in the volume of axis vectors).
        volume: of it.
    """

    place: Tensor

    def __init__(self, manifold: Manifold, volume: float):
        super().__init__()
        self.manifold, self.volume = manifold, volume
        self.register_buffer("place", torch.zeros(()), persistent=False)

    def log_prob(self, z: Tensor) -> Tensor:
        """-log volume

        Args:
            z: shape (B, *point_shape).
        Returns:
            shape (B,).
        """
        return z.new_full((len(z),), -math.log(self.volume))

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points.

        Args:
            count: B.
            generator: source of the random numbers; a new one, seeded by torch's global one, when None.
        Returns:
            shape (B, *point_shape).
        """
        if generator is None:
            generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        drawn = self.manifold.random_point((count,), generator=generator, dtype=self.place.dtype)
        return drawn.to(self.place.device)
