"""White-matter bundles: tubes around smooth random curves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.data_loaders.random_fields import normal, uniform

_SAMPLES = 48


@dataclass(frozen=True)
class Bundle:
    """A tube.

    curve: (K, 3) points in mm.
    tangent: (K, 3) unit vectors along it.
    side: (3,) unit vector; the second eigenvector leans towards it.
    radius: in mm.
    anisotropy: fractional anisotropy of its tensor.
    """

    curve: Tensor
    tangent: Tensor
    side: Tensor
    radius: float
    anisotropy: float


def random_bundle(centre: Tensor, semi_axes: Tensor, radii: tuple[float, float], generator: torch.Generator) -> Bundle:
    """A cubic Bezier curve between two points of the ellipsoid, bent through its interior.

    Args:
        centre, semi_axes: (3,) mm, of the ellipsoid.
        radii: smallest and largest radius in mm.
    """
    ends = normal((2, 3), generator, centre.device)
    ends = ends / ends.norm(dim=1, keepdim=True)
    inner = 0.45 * normal((2, 3), generator, centre.device)
    p0, p3 = (0.95 * semi_axes * ends).unbind(0)
    # control points: thirds of the chord, pulled to random interior points; the pull is the curvature
    pull = uniform(0.2, 0.9, generator)
    p1 = (1 - pull) * (2 * p0 + p3) / 3 + pull * semi_axes * inner[0]
    p2 = (1 - pull) * (p0 + 2 * p3) / 3 + pull * semi_axes * inner[1]
    t = torch.linspace(0, 1, _SAMPLES, device=centre.device).unsqueeze(1)
    u = 1 - t
    curve = u**3 * p0 + 3 * u * u * t * p1 + 3 * u * t * t * p2 + t**3 * p3
    slope = u * u * (p1 - p0) + 2 * u * t * (p2 - p1) + t * t * (p3 - p2)
    side = normal((3,), generator, centre.device)
    return Bundle(
        curve=centre + curve,
        tangent=slope / slope.norm(dim=1, keepdim=True).clamp_min(1e-6),
        side=side / side.norm(),
        radius=uniform(*radii, generator),
        anisotropy=uniform(0.5, 0.85, generator),
    )


def within(bundle: Bundle, points: Tensor, margin: float) -> Tensor:
    """Flat indices (n,) of the voxels that may lie within radius + margin mm of the curve.

    Args:
        points: (X, Y, Z, 3) voxel centres in mm on a regular grid.
    """
    shape, origin = points.shape[:3], points[0, 0, 0]
    pitch = (points[-1, -1, -1] - origin) / (torch.tensor(shape, device=points.device) - 1).clamp_min(1)
    reach = bundle.radius + margin
    low = ((bundle.curve - reach - origin) / pitch).floor().long().clamp_min(0).tolist()
    high = ((bundle.curve + reach - origin) / pitch).ceil().long().clamp_min(-1).tolist()
    near = torch.zeros(shape, dtype=torch.bool, device=points.device)
    for a, b in zip(low, high, strict=True):
        near[a[0] : b[0] + 1, a[1] : b[1] + 1, a[2] : b[2] + 1] = True
    return near.flatten().nonzero()[:, 0]


def nearest(bundle: Bundle, points: Tensor) -> tuple[Tensor, Tensor]:
    """Distance in mm (N,) of points (N, 3) to the curve, and its unit tangent (N, 3) at the nearest point."""
    distance, index = torch.cdist(points, bundle.curve).min(1)
    return distance, bundle.tangent[index]


def axial_tensor(direction: Tensor, side: Tensor, md: Tensor, fa: Tensor, tilt: float = 0.12) -> Tensor:
    """Tensors with a principal direction, mean diffusivity and anisotropy.

    Eigenvalues md (1 + 2a), md (1 - a)(1 + c), md (1 - a)(1 - c) with a = FA / sqrt(3 - 2 FA^2), which is
    exact for c = 0.

    Args:
        direction: (N, 3) unit vectors e1.
        side: (3,) or (N, 3); e2 is its part orthogonal to e1.
        md, fa: (N,).
        tilt: c, the asymmetry of the two small eigenvalues.
    Returns:
        (6, N) Mandel planes, unit of md.
    """
    a = fa / (3 - 2 * fa * fa).sqrt()
    along = (side * direction).sum(-1, keepdim=True)
    second = side - along * direction
    second = second / second.norm(dim=1, keepdim=True).clamp_min(1e-6)
    third = torch.linalg.cross(direction, second)
    small = md * (1 - a)
    return sum(
        value * outer(vector)
        for value, vector in (
            (md * (1 + 2 * a), direction),
            (small * (1 + tilt), second),
            (small * (1 - tilt), third),
        )
    )  # pyright: ignore[reportReturnType]


def outer(v: Tensor) -> Tensor:
    """v v^T as Mandel planes: (N, 3) -> (6, N)."""
    x, y, z = v.unbind(-1)
    root = 2**0.5
    return torch.stack([x * x, y * y, z * z, root * y * z, root * x * z, root * x * y])
