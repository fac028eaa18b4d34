"""Steerable kernels off the grid: sampled circular harmonics for any group of the plane.

Rotations by 45 or 22.5 degrees do not map taps onto taps. The kernel is therefore a function of the plane,

    k(r, theta) = sum over rings R and frequencies m of  exp(-(r - R)^2 / (2 s^2)) (A cos(m theta) + B sin(m theta)),

and the functions b(x) beside the coefficients K transform as b(g x) = T(g) b(x), with T(g) the rotation by m alpha. The
constraint k(g x) = rho_2(g) k(x) rho_1(g)^-1 then says that K is a fixed vector of rho_2 (x) rho_1 (x) T, frequency by
frequency, and sampling b at the taps gives the kernel. Elements that map taps onto taps are exact; the others are as
good as the sampling, which is why a ring is limited to the frequencies that it resolves.
Source: paper section 5.1; Worrall et al., Harmonic networks (2017); Weiler and Cesa (2019), section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from mvnet.equivariant.conv import GroupConv
from mvnet.equivariant.expansion import KernelExpansion, normalise_variance
from mvnet.equivariant.field_type import FieldType
from mvnet.equivariant.groups import Group
from mvnet.equivariant.representations import Regular, Representation, fixed_vectors, kronecker
from mvnet.errors import MvnetError


class Harmonic(Representation):
    """The pair cos(m theta), sin(m theta): rotated by m alpha under theta -> theta + alpha; reflected with the angle.

    Frequency 0 is the single 1. Also a type of field: the irreps of SO(2) and O(2), restricted to the group.

    Args:
        group: a group of the plane.
        frequency: m, not negative.
    Raises:
        MvnetError: when the group is one of space, or the frequency negative.
    """

    def __init__(self, group: Group, frequency: int):
        if group.dim != 2:
            raise MvnetError(f"group: found {group.name} in dimension {group.dim}, expected a group of the plane")
        if frequency < 0:
            raise MvnetError(f"frequency: found {frequency}, expected at least 0")
        if frequency == 0:
            matrices = torch.ones(group.order, 1, 1, dtype=torch.float64)
        else:
            alpha = frequency * torch.atan2(group.matrices[:, 1, 0], group.matrices[:, 0, 0])
            c, s, det = alpha.cos(), alpha.sin(), torch.linalg.det(group.matrices).round()
            matrices = torch.stack([c, -s * det, s, c * det], -1).view(-1, 2, 2)
        super().__init__(f"harmonic{frequency}", group, matrices)
        self.frequency = frequency


@dataclass(frozen=True)
class Ring:
    """Kernel functions around one radius: exp(-(r - radius)^2 / (2 width^2)) with the frequencies 0, ..., frequency.

    Args:
        radius, width: in pixels.
        frequency: the largest m; 0 at radius 0, where an angle has no meaning.
    Raises:
        MvnetError: when a number is out of range.
    """

    radius: float
    width: float
    frequency: int

    def __post_init__(self):
        if self.radius < 0 or self.width <= 0 or self.frequency < 0:
            raise MvnetError(f"ring: found {self}, expected radius >= 0, width > 0, frequency >= 0")
        if self.radius == 0 and self.frequency:
            raise MvnetError(f"ring: found frequency {self.frequency} at radius 0, expected 0")


def default_rings(size: int) -> tuple[Ring, ...]:
    """Radii 0, 1, ..., (size - 1) / 2 of width 0.55, the outermost drawn in by 0.4 from size 5 on.

    Band-limit m <= R: at most one radian per pixel along the ring. Twice as many frequencies can be distinguished on
    the grid, but the equivariance error of rotations off the grid is then ten times larger.

    Args:
        size: taps along each axis, odd.
    Returns:
        the rings, from the centre outwards.
    Raises:
        MvnetError: when the size is even or not positive.
    Source: Weiler and Cesa (2019), section 2, for rings and band limits.
    """
    if size < 1 or size % 2 == 0:
        raise MvnetError(f"size: found {size}, expected a positive odd number")
    half = (size - 1) // 2
    radii = [float(r) for r in range(half + 1)]
    if half > 1:
        radii[-1] -= 0.4
    return tuple(Ring(r, 0.55, int(r)) for r in radii)


def sample_harmonics(ring: Ring, frequency: int, size: int) -> Tensor:
    """The functions of one ring and frequency at the taps.

    Args:
        ring: radius and width.
        frequency: m.
        size: taps along each axis.
    Returns:
        shape (1 or 2, size^2), float64, of mean square norm 1.
    """
    # taps -> r, theta -> exp(-(r - R)^2 / (2 s^2)) -> times cos(m theta), sin(m theta)
    line = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    taps = torch.cartesian_prod(line, line)
    radius, theta = taps.norm(dim=1), torch.atan2(taps[:, 1], taps[:, 0])
    profile = torch.exp(-((radius - ring.radius) ** 2) / (2 * ring.width**2))
    if frequency == 0:
        functions = profile[None]
    else:
        profile = torch.where(radius > 0, profile, 0.0)
        functions = profile * torch.stack([(frequency * theta).cos(), (frequency * theta).sin()])
    return functions / functions.square().sum(1).mean().sqrt()


def coefficients(rho_out: Representation, rho_in: Representation, frequency: int) -> Tensor:
    """Coefficients K of the kernels of one frequency: the fixed vectors of rho_out (x) rho_in (x) T_m.

    For a regular rho_in no null space is needed: the column of the identity is free and the others follow by
    k(x)[:, g] = rho_out(g) k(g^-1 x)[:, e].

    Args:
        rho_out, rho_in: representations of one group of the plane.
        frequency: m.
    Returns:
        shape (count, out, in, 1 or 2), float64.
    """
    turn = Harmonic(rho_out.group, frequency)
    shape = (-1, rho_out.size, rho_in.size, turn.size)
    if isinstance(rho_in, Regular):
        # free entries of column e, frequency functions -> those of column g, by rho_out(g) (x) T(g)
        columns = kronecker(rho_out.matrices, turn.matrices).unflatten(1, (rho_out.size, turn.size))
        return columns.permute(3, 1, 0, 2) / rho_in.size**0.5
    # average over the group -> its fixed vectors
    average = kronecker(kronecker(rho_out.matrices, rho_in.matrices), turn.matrices).mean(0)
    return fixed_vectors(average).view(shape)


@lru_cache(maxsize=256)
def harmonic_basis(rho_out: Representation, rho_in: Representation, size: int, rings: tuple[Ring, ...]) -> Tensor:
    """Basis of the kernels from rho_in to rho_out; entries of unit mean variance.

    Args:
        rho_out, rho_in: representations of one group of the plane.
        size: taps along each axis.
        rings: kernel functions.
    Returns:
        shape (count, out, in, size^2), float64; rings, then frequencies, in order.
    """
    free: dict[int, Tensor] = {}
    basis = []
    for ring in rings:
        for m in range(ring.frequency + 1):
            if m not in free:
                free[m] = coefficients(rho_out, rho_in, m)
            # K, b at the taps -> K b(x)
            basis.append(free[m] @ sample_harmonics(ring, m, size))
    return normalise_variance(torch.cat(basis))


class HarmonicConv(GroupConv):
    """Equivariant convolution of the plane, also under rotations that do not map the grid onto itself.

    Args:
        fields_in, fields_out: types of one group of the plane.
        size: odd number of taps along each axis; 5 and more for accuracy off the grid.
        rings: kernel functions; `default_rings(size)` when None.
        padding, bias, gain, generator: as of `GroupConv`.
    Shape:
        (B, fields_in.channels, n, m) -> (B, fields_out.channels, n, m), with the padding that keeps the size.

    Examples:
        >>> import torch
        >>> from mvnet.equivariant import HarmonicConv, field_type, group
        >>> eighths = group("C8")  # rotations by 45 degrees
        >>> scalars, features = field_type(eighths, {"trivial": 1}), field_type(eighths, {"regular": 2})
        >>> HarmonicConv(scalars, features, size=5)(torch.randn(1, 1, 12, 12)).shape
        torch.Size([1, 16, 12, 12])
    """

    def __init__(
        self,
        fields_in: FieldType,
        fields_out: FieldType,
        size: int = 5,
        padding: int | None = None,
        bias: bool = True,
        gain: float = 2.0,
        rings: Sequence[Ring] | None = None,
        *,
        generator: torch.Generator | None = None,
    ):
        self.rings = default_rings(size) if rings is None else tuple(rings)
        super().__init__(fields_in, fields_out, size, padding, bias, gain, generator=generator)

    def _expansion(self, size: int) -> KernelExpansion:
        return KernelExpansion(
            self.fields_in, self.fields_out, size, partial(harmonic_basis, size=size, rings=self.rings)
        )
