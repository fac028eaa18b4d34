"""A brain-like field of diffusion tensors: crossing bundles, folded cortex, deep grey matter, CSF."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.dti.simulation.bundles import Bundle, axial_tensor, nearest, random_bundle, within
from mvnet.data_loaders.random_fields import normal, smooth_field, uniform
from mvnet.linalg import sym3
from mvnet.metrics import REFERENCE_DIFFUSIVITY


class Brain(NamedTuple):
    """tensors (6, X, Y, Z) Mandel um^2/ms; mask (X, Y, Z) bool; s0 (X, Y, Z), white matter near 1."""

    tensors: Tensor
    mask: Tensor
    s0: Tensor


@dataclass(frozen=True)
class Tissue:
    """Mean diffusivity in um^2/ms, fractional anisotropy where it has no bundle, and T2-weighted signal."""

    diffusivity: float
    anisotropy: float
    signal: float


WHITE = Tissue(REFERENCE_DIFFUSIVITY, 0.30, 1.0)
GREY = Tissue(0.82, 0.12, 1.4)
WATER = Tissue(2.9, 0.03, 3.2)
_ADULT = 65.0 * 80.0 * 60.0  # mm^3, product of the semi-axes


@dataclass(frozen=True)
class Anatomy:
    """Where a brain has which tissue, and its bundles; N voxels in C order.

    shape: voxels, X Y Z = N; voxel_size: mm.
    points: (N, 3) mm, centred on the field of view.
    inside: (N,) bool.
    radial: (N, 3) unit vectors, outwards.
    white, grey, water: (N,) volume fractions, sum 1.
    md_variation, fa_variation (1, N), bias (3, N), twist (3, N): smooth random fields of variance 1.
    bundles: each with the weight of its fibres, in [0.4, 1].
    """

    shape: tuple[int, int, int]
    voxel_size: float
    points: Tensor
    inside: Tensor
    radial: Tensor
    white: Tensor
    grey: Tensor
    water: Tensor
    md_variation: Tensor
    fa_variation: Tensor
    bias: Tensor
    twist: Tensor
    bundles: tuple[tuple[Bundle, float], ...]

    def fibres(self) -> Iterator[tuple[Bundle, Tensor, Tensor, Tensor]]:
        """Of every bundle, the voxels (n,) it may touch, its weights (n,) there and unit directions (n, 3)."""
        grid = self.points.unflatten(0, self.shape)
        for bundle, density in self.bundles:
            here = within(bundle, grid, margin=3 * self.voxel_size)
            distance, direction = nearest(bundle, self.points[here])
            weight = torch.sigmoid((bundle.radius - distance) / (0.4 * self.voxel_size)) * density
            yield bundle, here, weight, _unit(direction + 0.05 * self.twist.T[here])


def simulate_anatomy(
    shape: tuple[int, int, int],
    generator: torch.Generator,
    voxel_size: float = 2.0,
    semi_axes: tuple[float, float, float] | None = None,
    n_bundles: int | None = None,
    radii: tuple[float, float] = (2.5, 9.0),
    device: torch.device | str = "cpu",
) -> Anatomy:
    """The random brain of `simulate_brain` before it has tensors; arguments as there."""
    device = torch.device(device)
    points = _grid(shape, voxel_size, device)  # (N, 3) mm, centred on the field of view
    half_view = torch.tensor(shape, device=device) * voxel_size / 2
    axes = 0.92 * half_view if semi_axes is None else torch.tensor(semi_axes, device=device)
    room = (axes - half_view).clamp_min(0) * 0.9
    centre = room * torch.tensor([uniform(-1, 1, generator) for _ in range(3)], device=device)

    def smooth(channels: int, mm: float) -> Tensor:
        return smooth_field(channels, shape, mm / voxel_size, generator, device).flatten(1)

    depth, radial = _depth(points, centre, axes, smooth(1, 30.0)[0])
    white, grey, water = _fractions(points, centre, axes, depth, smooth(2, 9.0), voxel_size, generator)
    md_variation, fa_variation, bias, twist = smooth(8, 14.0).split([1, 1, 3, 3])
    if n_bundles is None:
        n_bundles = max(8, round(36 * (axes.prod().item() / _ADULT) ** (2 / 3)))
    bundles = [(random_bundle(centre, axes, radii, generator), uniform(0.4, 1.0, generator)) for _ in range(n_bundles)]
    return Anatomy(
        shape, voxel_size, points, depth > 0, radial, white, grey, water,
        md_variation, fa_variation, bias, twist, tuple(bundles),
    )  # fmt: skip


def simulate_brain(
    shape: tuple[int, int, int] = (48, 48, 48),
    seed: int = 0,
    voxel_size: float = 2.0,
    semi_axes: tuple[float, float, float] | None = None,
    n_bundles: int | None = None,
    radii: tuple[float, float] = (2.5, 9.0),
    texture: float = 0.05,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Brain:
    """A random brain-like tensor field, the same for the same seed.

    Tissues and crossing bundles share a voxel by their volume fractions: D = sum_i w_i D_i, the slope at b =
    0 of the mixed signal sum_i w_i exp(-b g^T D_i g).

    Args:
        shape: voxels.
        seed: of everything; not used when a generator is given.
        voxel_size: mm. Structures keep their size in mm.
        semi_axes: of the brain in mm, (65, 80, 60) for an adult; when it exceeds the field of view a random
            part of the brain is seen. None fits the brain into the field of view.
        n_bundles: number of tubes; None grows it with the square of the brain's size, 36 in an adult.
        radii: of the tubes, mm.
        texture: relative random variation from voxel to voxel (correlated over two) of the tensor components.
        generator: source of all random numbers; must not be shared by threads.
        device: where to compute; the random numbers are drawn on the generator's device.
    """
    device = torch.device(device)
    generator = torch.Generator().manual_seed(seed) if generator is None else generator
    anatomy = simulate_anatomy(shape, generator, voxel_size, semi_axes, n_bundles, radii, device)

    def smooth(channels: int, mm: float) -> Tensor:
        return smooth_field(channels, shape, mm / voxel_size, generator, device).flatten(1)

    # bundles, each as wide as its fraction; what they leave of white matter is a weak background
    weights, sums = torch.zeros_like(anatomy.white), torch.zeros(6, len(anatomy.white), device=device)
    md_white = WHITE.diffusivity * (1 + 0.05 * anatomy.md_variation[0])
    fa_variation = anatomy.fa_variation[0]
    for bundle, here, w, along in anatomy.fibres():
        fa = (bundle.anisotropy * (1 + 0.07 * fa_variation[here])).clamp(0.05, 0.92)
        sums[:, here] += w * axial_tensor(along, bundle.side, md_white[here], fa)
        weights[here] += w
    background = axial_tensor(
        _unit(anatomy.twist.T),
        normal((3,), generator, device),
        md_white,
        (WHITE.anisotropy * (1 + 0.4 * fa_variation)).clamp(0.06, 0.6),
    )
    in_white = (sums + 0.15 * background) / (weights + 0.15)
    in_grey = axial_tensor(
        _unit(anatomy.radial + 0.5 * anatomy.bias.T),
        normal((3,), generator, device),
        GREY.diffusivity * (1 + 0.06 * anatomy.md_variation[0]),
        (GREY.anisotropy * (1 + 0.3 * fa_variation)).clamp(0.02, 0.3),
    )
    isotropic = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], device=device).unsqueeze(1)
    white, grey, water = anatomy.white, anatomy.grey, anatomy.water
    tensors = white * in_white + grey * in_grey + water * (WATER.diffusivity * isotropic)
    tensors = _add_texture(tensors, texture * smooth(6, 2.0 * voxel_size))

    mask = anatomy.inside
    s0 = white * WHITE.signal + grey * GREY.signal + water * WATER.signal
    s0 = s0 * (0.12 * anatomy.bias[0] + 0.04 * smooth(1, 2.0 * voxel_size)[0]).exp() * mask
    tensors = torch.where(mask, tensors, REFERENCE_DIFFUSIVITY * isotropic)
    return Brain(tensors.unflatten(1, shape), mask.unflatten(0, shape), s0.unflatten(0, shape))


def _grid(shape: tuple[int, int, int], voxel_size: float, device: torch.device) -> Tensor:
    axes = [(torch.arange(n, device=device) - (n - 1) / 2) * voxel_size for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, 2)


def _depth(points: Tensor, centre: Tensor, axes: Tensor, lumps: Tensor) -> tuple[Tensor, Tensor]:
    """Depth in mm under a lumpy ellipsoid, (N,), and its outward direction, (N, 3)."""
    scaled = (points - centre) / axes
    r = scaled.norm(dim=1)
    return (1 + 0.05 * lumps - r) * axes.min(), _unit(scaled / axes)


def _fractions(
    points: Tensor,
    centre: Tensor,
    axes: Tensor,
    depth: Tensor,
    folds: Tensor,
    voxel_size: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Volume fractions of white matter, grey matter and water, each (N,), sum 1."""

    def inside(signed_mm: Tensor) -> Tensor:
        return torch.sigmoid(signed_mm / (0.35 * voxel_size))

    def blob(at: tuple[float, float, float], size: tuple[float, float, float]) -> Tensor:
        """An ellipsoid placed relative to the brain; half-widths in mm, at most a quarter of it."""
        widths = torch.minimum(torch.tensor(size, device=axes.device), 0.25 * axes)
        offset = (points - centre - axes * torch.tensor(at, device=axes.device)) / widths
        return inside((1 - offset.norm(dim=1)) * widths.min() + folds[1])

    # sulci dip where the fold field is high; the cortex is a ribbon of 3 mm under the folded surface
    folded = depth - 1.0 - 5.0 * folds[0].clamp(-0.2, 1.5)
    below_surface, below_cortex = inside(folded), inside(folded - uniform(2.5, 4.0, generator))
    ventricles, nuclei = torch.zeros_like(depth), torch.zeros_like(depth)
    for sign in (-1.0, 1.0):
        ventricles = torch.maximum(ventricles, blob((0.12 * sign, 0.05, 0.1), (5.0, 20.0, 7.0)))
        nuclei = torch.maximum(nuclei, blob((0.2 * sign, -0.05, -0.12), (9.0, 13.0, 9.0)))
    water = 1 - below_surface * (1 - ventricles)
    grey = (1 - water) * (1 - below_cortex * (1 - nuclei))
    return 1 - water - grey, grey, water


def _add_texture(tensors: Tensor, strain: Tensor) -> Tensor:
    """A D A with A = I + E / 2, E of Mandel components `strain`: positive definite always."""
    factor = 0.5 * strain
    factor[:3] += 1
    return sym3.congruence(factor, tensors, dim=0)


def _unit(v: Tensor) -> Tensor:
    return v / v.norm(dim=-1, keepdim=True).clamp_min(1e-6)
