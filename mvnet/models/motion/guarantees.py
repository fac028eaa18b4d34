"""Guarantees of the denoiser of motions, measured on random curves.

It commutes with rotations of the world, with other axes of the joints, with mirroring and with reversal of time; blocks
of frames have no seams; bones keep their length.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mvnet.data_loaders.motion.skeleton.tree import forward_kinematics
from mvnet.linalg import so3
from mvnet.models.guarantee import LIMITS, Guarantee, precision
from mvnet.models.motion.curves import RotationCurves
from mvnet.models.motion.inference import denoise_motion
from mvnet.models.motion.inputs import curve_batch
from mvnet.models.motion.network import MotionDenoiser
from mvnet.models.motion.skeletons import bone_lengths, with_lengths

_FRAMES, _ROTATIONS = 90, 8
_PARENT = (-1, 0, 1, 2, 0, 4, 5)
_LEFT_RIGHT = (0, 4, 5, 6, 1, 2, 3)  # two equal limbs change places


def verify_denoiser(model: MotionDenoiser, seed: int) -> list[Guarantee]:
    """Measure the equivariances in both precisions, the seams of blocks and the lengths of bones.

    Args:
        model: on the CPU; its dtype is restored.
        seed: random seed of the curves.
    Returns:
        the guarantees.
    """
    given = next(model.parameters()).dtype
    curves, positions, seen = random_curves(seed)
    found: list[Guarantee] = []
    for dtype, limit in LIMITS.items():
        model.to(dtype)
        for name, error in equivariance_errors(model, curves.to(dtype), positions.to(dtype), seen, seed).items():
            found.append(Guarantee(f"equivariance error, {name}, {precision(dtype)}", error, limit))
    model.to(given)
    curves, positions, seen = (x[0].transpose(0, 1) for x in (curves, positions, seen))
    found.append(Guarantee("difference between blocks and the whole, rad", seam(model, curves, seen), 1e-4))
    found.append(Guarantee("change of a bone's length, relative", bone_change(model, curves, positions, seen), 1e-12))
    return found


def seam(model: MotionDenoiser, curves: Tensor, seen: Tensor) -> float:
    """Largest angle between a recording denoised in blocks and as a whole.

    Args:
        model: on the CPU.
        curves: rotations (T, J, 3, 3).
        seen: (T, J) bool.
    Returns:
        radians.
    """
    times = -(-4 * model.receptive_radius // len(curves))
    long, mask = curves.repeat(times, 1, 1, 1).float(), seen.repeat(times, 1)
    parent = torch.tensor(_PARENT)
    whole, parts = (denoise_motion(model, long, mask, parent, block=block) for block in (len(long), len(long) // 5))
    return float(RotationCurves().distance(whole.values, parts.values).max())


def bone_change(model: MotionDenoiser, curves: Tensor, positions: Tensor, seen: Tensor) -> float:
    """Largest change of the length of a bone, relative to it: of joints that turn, and of positions put on bones.

    Args:
        model: on the CPU.
        curves: rotations (T, J, 3, 3) relative to the joint above, float64.
        positions: (T, J, 3), float64.
        seen: (T, J) bool.
    Returns:
        the ratio.
    """
    parent = torch.tensor(_PARENT)
    above, bones = parent.clamp(min=0), parent >= 0
    rotations = denoise_motion(model, curves, seen, parent).values
    offsets = positions[0] - positions[0, above] + bones.unsqueeze(-1)
    turned = torch.from_numpy(
        forward_kinematics(rotations.numpy(), offsets.numpy(), parent.numpy(), positions[:, 0].numpy())[0]
    )
    lengths = bone_lengths(positions, seen, parent)
    moved = with_lengths(denoise_motion(model, positions, seen, parent).values, parent, lengths)
    found = [
        ((x - x[:, above]).square().sum(-1).sqrt() / true - 1)[:, bones].abs().max()
        for x, true in ((turned, offsets.square().sum(-1).sqrt()), (moved, lengths))
    ]
    return float(max(found))


def random_curves(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy curves of seven joints, a root with two limbs, with gaps.

    Args:
        seed: random seed.
    Returns:
        rotations (1, J, T, 3, 3), positions (1, J, T, 3), both float64, and seen (1, J, T) bool.
    """
    random = torch.Generator().manual_seed(seed)
    joints = len(_PARENT)
    steps = torch.randn(3, joints, _FRAMES, 3, generator=random, dtype=torch.float64)
    curves = so3.exp(0.05 * steps[0].cumsum(1)) @ so3.exp(0.1 * steps[1])
    positions = 0.05 * steps[0].cumsum(1).cumsum(1) + 0.1 * steps[2]
    seen = torch.rand(1, joints, _FRAMES, generator=random) > 0.1
    return curves.unsqueeze(0), positions.unsqueeze(0), seen


def equivariance_errors(
    model: MotionDenoiser, curves: Tensor, positions: Tensor, seen: Tensor, seed: int
) -> dict[str, float]:
    """max |network(transformed) - transformed network| for every symmetry, relative to the largest value.

    Args:
        model: of the dtype of the curves.
        curves: rotations (1, J, T, 3, 3).
        positions: (1, J, T, 3).
        seen: (1, J, T) bool.
        seed: random seed of the transformations.
    Returns:
        name of the symmetry -> error.
    """
    random = torch.Generator().manual_seed(seed + 1)
    g, h = so3.exp(2 * torch.randn(2, _ROTATIONS, 1, 1, 3, generator=random, dtype=torch.float64)).to(curves)
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0])).to(curves)
    swap = torch.tensor(_LEFT_RIGHT)

    def network(values: Tensor, seen: Tensor) -> Tensor:
        parent = torch.tensor(_PARENT).expand(len(values), -1)
        with torch.no_grad():
            return model(curve_batch(values, seen.expand(len(values), -1, -1), parent)).values

    def error(values: Tensor, act: Callable[[Tensor], Tensor], act_seen: Callable[[Tensor], Tensor] = lambda s: s):
        out = act(network(values, seen))
        return float((network(act(values), act_seen(seen)) - out).abs().max() / out.abs().max())

    return {
        f"rotations of the world ({_ROTATIONS})": max(
            error(curves, lambda r: g @ r), error(positions, lambda x: x @ g.mT.squeeze(2))
        ),
        f"axes of the joints ({_ROTATIONS})": error(curves, lambda r: r @ h),
        "mirror image, left and right swapped": max(
            error(curves, lambda r: mirror @ r[:, swap] @ mirror, lambda s: s[:, swap]),
            error(positions, lambda x: x[:, swap] @ mirror, lambda s: s[:, swap]),
        ),
        "reversal of time": max(error(x, lambda y: y.flip(2), lambda s: s.flip(2)) for x in (curves, positions)),
    }
