"""Guarantees of the DTI network, measured on random volumes.

Every output tensor is positive definite, and rotating or reflecting a volume (voxels, tensors and the shape of a voxel)
does the same to the result, for every symmetry of the cube (the measure of paper section 5.3.3). On voxels of unequal
sides the symmetries are those of the box, which preserve the shape of a voxel. No voxel leaves the region that holds
99 % of the noise of its own measurement (`mvnet.nn.trust_region`), whatever the network proposes. With memory "low"
less is kept for the backward pass; a reversible trunk keeps the same at every depth, and finds its states again.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mvnet.data_loaders.dti.fit.precision import SignalNoise, tensor_precision
from mvnet.data_loaders.dti.fitting import design_matrix
from mvnet.data_loaders.dti.simulation.schemes import gradient_scheme
from mvnet.equivariant import (
    FieldType,
    Group,
    Sym2,
    Trivial,
    equivariance_error,
    field_type,
    permutation_type,
    voxel_group,
)
from mvnet.equivariant import group as find_group
from mvnet.invertible import Reversible, drift, saved_bytes
from mvnet.linalg import sym3
from mvnet.models.dti.inference import denoise_volume
from mvnet.models.dti.inputs import feature_planes
from mvnet.models.dti.network import SCALARS, DTIDenoiser
from mvnet.models.dti.trunk import ReversibleConvolutions
from mvnet.models.guarantee import LIMITS, Guarantee, precision
from mvnet.nn.trust_region import TRUST_REGION, chi_quantile, standard_deviations
from mvnet.runtime import MEMORY

_SIDE = 10
_SNRS = (100.0, 30.0, 10.0)
_DIRECTIONS = 30
_ROUNDING = 1e-4  # relative, of float32
_DEPTHS = (4, 64)
_DRIFT = 1e-4  # of float32: gradients are right to about as much
_SPACINGS = ((1.0, 1.0, 1.0), (1.0, 1.0, 2.5), (1.0, 1.5, 2.5))


def verify_dti(model: DTIDenoiser, seed: int) -> list[Guarantee]:
    """Measure positivity, consistency with the measurement, memory, and equivariance in both precisions.

    Equivariance is that on cubic, tetragonal and orthorhombic voxels.

    Args:
        model: on the CPU; its dtype is restored.
        seed: random seed of the volumes.
    Returns:
        the smallest eigenvalue, the largest move, what is kept for the backward pass, one equivariance error for each
        precision and voxel.
    """
    positive, *equivariant = measure_equivariance(
        model, lambda planes: model(planes[:, :6], planes[:, 6:]).tensors, seed
    )
    moves = [_measure_moves(model, seed, snr) for snr in _SNRS]
    return [positive, *moves, *_measure_memory(model, seed), *equivariant]


def measure_equivariance(model: nn.Module, network: Callable[[Tensor], Tensor], seed: int) -> list[Guarantee]:
    """Positivity, and equivariance on cubic, tetragonal and orthorhombic voxels in both precisions.

    Args:
        model: whose dtype is changed, and restored.
        network: the model on planes (1, 18, ...), tensors and features.
        seed: random seed of the volumes.
    Returns:
        the smallest eigenvalue, then one equivariance error for each precision and voxel.
    """
    found: list[Guarantee] = []
    given = next(model.parameters()).dtype
    smallest = float("inf")
    for dtype, limit in LIMITS.items():
        model.to(dtype)
        for spacing in _SPACINGS:
            symmetry = voxel_group(spacing)
            x = random_volume(seed, spacing, dtype)
            error = equivariance_error(network, symmetry, x, input_type(symmetry), field_type(symmetry, {"sym2": 1}))
            sides = ":".join(f"{s:g}" for s in spacing)
            name = (
                f"equivariance error, {symmetry.name} ({symmetry.order} elements), voxels {sides}, {precision(dtype)}"
            )
            found.append(Guarantee(name, error.largest, limit))
            with torch.no_grad():
                smallest = min(smallest, float(sym3.eigvals(network(x)).min()))
    model.to(given)
    return [Guarantee("smallest eigenvalue of an output tensor", smallest, 0.0, lower=True), *found]


def _measure_moves(model: DTIDenoiser, seed: int, snr: float) -> Guarantee:
    """How far a voxel goes at most, in standard deviations of its measurement, among neighbours unlike it."""
    planes = random_volume(seed, (1.0, 1.0, 1.0), torch.float32)[0].to(next(model.parameters()).device)
    tensors, mask = planes[:6], planes[6] > 0
    bvals, bvecs = (x.to(tensors) for x in gradient_scheme(_DIRECTIONS, seed=seed))
    signal = SignalNoise(torch.full_like(tensors[0], snr), design_matrix(bvals, bvecs))
    noise = torch.full_like(tensors[0], 1.0 / snr)
    out = denoise_volume(model, tensors, mask, b0=torch.ones_like(noise), noise=noise, signal=signal)
    measured = tensors[:, mask]
    known = tensor_precision(measured.T, signal.snr[mask], signal.design)
    moves = standard_deviations(measured, out.tensors[:, mask], precision=known, noise=noise[mask])
    name = f"largest move of a voxel at SNR {snr:g}, in standard deviations of its noise ({TRUST_REGION:.0%} region)"
    return Guarantee(name, float(moves.max()), chi_quantile(TRUST_REGION) * (1 + _ROUNDING))


def _measure_memory(model: DTIDenoiser, seed: int) -> list[Guarantee]:
    """Bytes kept for the backward pass; those of a reversible trunk by depth, and how well it finds its states."""
    planes = random_volume(seed, (1.0, 1.0, 1.0), torch.float32).to(next(model.parameters()))
    given, kept = model.memory, {}
    for memory in MEMORY:
        model.memory = memory
        kept[memory] = saved_bytes(model, planes[:, :6], planes[:, 6:])
    model.memory = given
    found = [Guarantee("bytes kept for the backward pass, memory low over plain", kept["low"] / kept["plain"], 1.0)]
    trunks = [stage.convolutions for stage in model.stages if isinstance(stage.convolutions, ReversibleConvolutions)]
    if not trunks:
        return found
    fields = permutation_type(find_group(model.config["group"]), model.config["fields"])
    generator = torch.Generator().manual_seed(seed)
    h, mask = torch.randn(1, fields.channels, 4, 4, 4, generator=generator), torch.ones(1, 1, 4, 4, 4)
    few, many = (
        saved_bytes(Reversible(ReversibleConvolutions(fields, depth, generator=generator).chain), h, mask)
        for depth in _DEPTHS
    )
    name = f"bytes kept by {_DEPTHS[1]} reversible convolutions over those by {_DEPTHS[0]}"
    states = _inputs_of(trunks, lambda: model(planes[:, :6], planes[:, 6:]))
    largest = max(drift(trunk.chain, *state).largest for trunk, state in zip(trunks, states, strict=True))
    return [
        *found,
        Guarantee(name, many / few, 1 + _ROUNDING),
        Guarantee("error of states found from the output of reversible convolutions", largest, _DRIFT),
    ]


@torch.no_grad()
def _inputs_of(modules: list[ReversibleConvolutions], run: Callable[[], object]) -> list[tuple[Tensor, ...]]:
    """What modules are called with."""
    seen: list[tuple[Tensor, ...]] = []
    hooks = [module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs)) for module in modules]
    run()
    for hook in hooks:
        hook.remove()
    return seen


def input_type(symmetry: Group) -> FieldType:
    """Field type of the tensors, the scalar planes and the shape of a voxel, in this order.

    Args:
        symmetry: group of the grid.
    Returns:
        the type, of 18 channels.
    """
    scalar, tensor = Trivial(symmetry), Sym2(symmetry)
    return FieldType((1, tensor), (len(SCALARS), scalar), (1, tensor), (1, scalar))


def random_volume(seed: int, spacing: tuple[float, ...], dtype: torch.dtype) -> Tensor:
    """Random tensors around typical tissue, random maps, and a mask without symmetry.

    Args:
        seed: random seed.
        spacing: lengths of the sides of a voxel.
        dtype: dtype of the result.
    Returns:
        tensors and features, (1, 18, n, n, n).
    """
    random = torch.Generator().manual_seed(seed)
    shape = (_SIDE,) * 3
    tensors = 0.75 * sym3.exp(0.3 * torch.randn(1, 6, *shape, generator=random, dtype=torch.float64))
    mask = torch.rand(shape, generator=random) < 0.9
    b0, noise, residual, size = (0.5 + torch.rand(shape, generator=random, dtype=torch.float64) for _ in range(4))
    features = feature_planes(mask, b0, 0.1 * noise, residual, spacing=spacing, size_ratio=size)
    return torch.cat([tensors, features[None]], 1).to(dtype)
