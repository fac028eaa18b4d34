"""What a trained network guarantees, measured on seeded random data: `mvnet verify`.

DTI: every output tensor is positive definite, and turning a volume (voxels, tensors and the shape of a voxel) turns the
result, for every symmetry of the cube (paper section 5.3.3 asks for this measure). On voxels of unequal sides the
symmetries are those of the box, and the shape of a voxel stays as it is.

InSAR: adding a constant to the phase, conjugation and the symmetries of the square do to the result what they do to the
interferogram; tiles leave no seam.

Motions: turning the world, every rotation R to g R, leaves the scores of a Lie-group network as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mvnet.equivariant import FieldType, Group, Sym2, Trivial, equivariance_error, field_type, group, voxel_group
from mvnet.errors import MvnetError
from mvnet.linalg import so3, sym3
from mvnet.manifolds.circle import wrap
from mvnet.metrics import REFERENCE_DIFFUSIVITY
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.dti.inputs import feature_planes
from mvnet.models.dti.network import SCALARS, DTIDenoiser
from mvnet.models.insar.inference import denoise_interferogram
from mvnet.models.insar.inputs import interferogram_planes, scalar_planes
from mvnet.models.insar.network import InSARDenoiser

LIMITS = {torch.float64: 1e-12, torch.float32: 1e-5}
"""Relative equivariance error that counts as exact."""

_SIDE = 10
_ANGLES = 8
_TURNS, _FRAMES = 8, 40
_SPACINGS = ((1.0, 1.0, 1.0), (1.0, 1.0, 2.5), (1.0, 1.5, 2.5))


@dataclass(frozen=True)
class Guarantee:
    """A measured property: `holds` when `value` keeps within `limit` (below it, or above where `lower` is set)."""

    name: str
    value: float
    limit: float
    lower: bool = False

    @property
    def holds(self) -> bool:
        return self.value > self.limit if self.lower else self.value < self.limit


def verify(model: nn.Module, seed: int = 0) -> list[Guarantee]:
    """Measure what a model of a known architecture guarantees.

    Args:
        model: as `load_checkpoint` returns it; stays as it is.
        seed: of the random data.
    Raises:
        ValueError: when nothing is known about the architecture.
    """
    for architecture, measure in MEASURES.items():
        if isinstance(model, architecture):
            return measure(model, seed)
    known = sorted(architecture.__name__ for architecture in MEASURES)
    raise MvnetError(f"model: found {type(model).__name__}, expected one of {known}")


def verify_dti(model: DTIDenoiser, seed: int) -> list[Guarantee]:
    """Positivity, and the equivariance error for cubic, tetragonal and orthorhombic voxels in both precisions."""
    found: list[Guarantee] = []
    given = next(model.parameters()).dtype
    smallest = float("inf")
    for dtype, limit in LIMITS.items():
        model.to(dtype)
        for spacing in _SPACINGS:
            symmetry = voxel_group(spacing)
            x = random_volume(seed, spacing, dtype)

            def network(planes: Tensor) -> Tensor:
                return model(planes[:, :6], planes[:, 6:]).tensors

            error = equivariance_error(network, symmetry, x, input_type(symmetry), field_type(symmetry, {"sym2": 1}))
            sides = ":".join(f"{s:g}" for s in spacing)
            precision = str(dtype).removeprefix("torch.")
            name = f"equivariance error, {symmetry.name} ({symmetry.order} elements), voxels {sides}, {precision}"
            found.append(Guarantee(name, error.largest, limit))
            with torch.no_grad():
                smallest = min(smallest, float(sym3.eigvals(network(x)).min()))
    model.to(given)
    return [Guarantee("smallest eigenvalue of an output tensor", smallest, 0.0, lower=True), *found]


def input_type(symmetry: Group) -> FieldType:
    """Of the tensors, the scalar planes and the shape of a voxel, in this order."""
    return FieldType((1, Sym2(symmetry)), (len(SCALARS), Trivial(symmetry)), (1, Sym2(symmetry)))


def random_volume(seed: int, spacing: tuple[float, ...], dtype: torch.dtype) -> Tensor:
    """(1, 17, n, n, n): random tensors around typical tissue, random maps, a mask without symmetry."""
    random = torch.Generator().manual_seed(seed)
    shape = (_SIDE,) * 3
    tensors = REFERENCE_DIFFUSIVITY * sym3.exp(0.3 * torch.randn(1, 6, *shape, generator=random, dtype=torch.float64))
    mask = torch.rand(shape, generator=random) < 0.9
    b0, noise, residual = (0.5 + torch.rand(shape, generator=random, dtype=torch.float64) for _ in range(3))
    features = feature_planes(mask, b0, 0.1 * noise, residual, spacing=spacing)
    return torch.cat([tensors, features[None]], 1).to(dtype)


def verify_insar(model: InSARDenoiser, seed: int) -> list[Guarantee]:
    """The equivariance error under D4, conjugation and the global phase in both precisions, and the seam of tiles."""
    given = next(model.parameters()).dtype
    symmetry = group("D4xZ2")
    number, planes = field_type(symmetry, {"trivial": 1, "internal": 1}), 2
    inputs = FieldType(*number.fields, (3, Trivial(symmetry)))
    found: list[Guarantee] = []
    z, valid = random_interferogram(seed, 6 * model.alignment)
    x = torch.cat([interferogram_planes(z, valid), scalar_planes(valid, z.abs() / z.abs().max(), torch.float64)])[None]

    def network(x: Tensor) -> Tensor:
        phase = model(x[:, :planes], x[:, planes:]).phase
        return torch.stack([phase.cos(), phase.sin()], 1)

    for dtype, limit in LIMITS.items():
        model.to(dtype)
        precision, y = str(dtype).removeprefix("torch."), x.to(dtype)
        error = equivariance_error(network, symmetry, y, inputs, number)
        name = f"equivariance error, D4 and conjugation ({symmetry.order} elements), {precision}"
        found.append(Guarantee(name, error.largest, limit))
        name = f"equivariance error, global phase ({_ANGLES} angles), {precision}"
        found.append(Guarantee(name, phase_error(network, y), limit))
    model.to(given)
    side = 2 * (model.receptive_radius + 4 * model.alignment)
    z, valid = random_interferogram(seed, side)
    whole, tiled = (
        denoise_interferogram(model, z.to(torch.complex64), valid=valid, block=b) for b in (side, side // 2)
    )
    seam = wrap(whole.phase - tiled.phase)[valid].abs().max()
    found.append(Guarantee("difference between tiles and the whole, rad", float(seam), 1e-4))
    return found


def phase_error(network: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """max |network(e^{ia} x) - e^{ia} network(x)| over the angles a; the first two planes are the complex number."""

    def turned(x: Tensor, angle: float) -> Tensor:
        c, s = math.cos(angle), math.sin(angle)
        real, imaginary = x[:, :1], x[:, 1:2]
        return torch.cat([c * real - s * imaginary, s * real + c * imaginary, x[:, 2:]], 1)

    with torch.no_grad():
        y = network(x)
        angles = [2 * math.pi * step / _ANGLES for step in range(1, _ANGLES)]
        return max(float((network(turned(x, a)) - turned(y, a)).abs().max()) for a in angles)


def random_interferogram(seed: int, side: int) -> tuple[Tensor, Tensor]:
    """(n, n) complex128, a curved fringe pattern in speckle, and a mask without symmetry."""
    random = torch.Generator().manual_seed(seed)
    line = torch.linspace(-1, 1, side, dtype=torch.float64)
    phase = 9 * line[:, None].square() + 7 * line + 3 * (line[:, None] * line)
    u, v = torch.randn(2, side, side, generator=random, dtype=torch.complex128)
    z = u * (0.8 * u + 0.6 * v).conj() * torch.polar(torch.ones_like(phase), phase)
    return z, torch.rand(side, side, generator=random) < 0.95


def verify_motion(model: LieMotionNetwork, seed: int) -> list[Guarantee]:
    """The change of the scores, relative to the largest, under random rotations of the world in both precisions."""
    given = next(model.parameters()).dtype
    random = torch.Generator().manual_seed(seed)
    steps = 0.1 * torch.randn(1, _FRAMES, model.config["joints"], 3, generator=random, dtype=torch.float64)
    curves = so3.exp(steps.cumsum(1))
    turns = so3.exp(torch.randn(_TURNS, 1, 1, 3, generator=random, dtype=torch.float64))
    found: list[Guarantee] = []
    for dtype, limit in LIMITS.items():
        model.to(dtype)
        with torch.no_grad():
            scores, turned = (model(r.to(dtype)) for r in (curves, turns @ curves))
        error = float((turned - scores).abs().max() / scores.abs().max())
        precision = str(dtype).removeprefix("torch.")
        found.append(Guarantee(f"equivariance error, rotations of the world ({_TURNS}), {precision}", error, limit))
    model.to(given)
    return found


MEASURES: dict[type[nn.Module], Callable[..., list[Guarantee]]] = {
    DTIDenoiser: verify_dti,
    InSARDenoiser: verify_insar,
    LieMotionNetwork: verify_motion,
}
"""A new architecture is one line here."""
