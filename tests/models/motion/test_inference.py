"""Whole recordings: blocks, strength, the trust region, bones, and what is refused."""

import math

import pytest
import torch

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.models.motion.curves import PositionCurves, RotationCurves
from mvnet.models.motion.inference import denoise_motion
from mvnet.models.motion.skeletons import bone_lengths, with_lengths
from mvnet.nn.trust_region import chi_quantile
from tests.models.motion.curves import PARENT, generator, jitter, small_model, smooth_positions, smooth_rotations

CURVES = {"rotations": (smooth_rotations, RotationCurves()), "positions": (smooth_positions, PositionCurves())}


def recording(kind: str, frames: int = 150):
    values = jitter(CURVES[kind][0](frames), 0.05)
    seen = torch.rand(frames, 4, generator=generator(5)) > 0.1
    return values, seen


@pytest.mark.parametrize("kind", CURVES)
@pytest.mark.parametrize("block", [30, 64, 149])
def test_blocks_have_no_seams(kind, block):
    values, seen = recording(kind)
    whole, parts = (denoise_motion(small_model(), values, seen, PARENT, block=b) for b in (1000, block))
    for a, b in zip(whole, parts):
        assert torch.allclose(a, b, atol=1e-10)
    together = denoise_motion(small_model(), values, seen, PARENT, block=block, workers=2)
    assert all(torch.equal(a, b) for a, b in zip(parts, together))


@pytest.mark.parametrize("kind", CURVES)
def test_strength_lies_on_the_geodesic(kind):
    values, seen = recording(kind)
    none, half, full = (denoise_motion(small_model(), values, seen, strength=s).values for s in (0.0, 0.5, 1.0))
    distance = CURVES[kind][1].distance
    assert torch.equal(none[seen], values[seen])
    assert torch.allclose(distance(none, half), distance(half, full), atol=1e-7)


@pytest.mark.parametrize("kind", CURVES)
def test_the_trust_region_bounds_the_change(kind):
    values, seen = recording(kind)
    free = denoise_motion(small_model(), values, seen)
    bound = denoise_motion(small_model(), values, seen, trust_region=0.5)
    distance = CURVES[kind][1].distance
    away = torch.where(seen, distance(free.values, values), torch.nan)
    size = away.nanmedian(0).values / 1.538
    assert float(free.kept.min()) == 1 and float(bound.kept.min()) < 1
    inside = distance(bound.values, values) / torch.maximum(size, bound.noise) <= chi_quantile(0.5, 3) * 1.05
    assert bool((inside | ~seen | (bound.trust < 0.5)).all())


@pytest.mark.parametrize("kind", CURVES)
def test_spikes_are_not_trusted(kind):
    values, seen = recording(kind)
    spikes = seen & (torch.rand(150, 4, generator=generator(6)) < 0.03)
    values[spikes] = jitter(values, 2.0)[spikes]
    trust = denoise_motion(small_model(), values, seen, PARENT).trust
    assert bool((trust[spikes] < 0.5).all()) and float((trust[seen & ~spikes] < 0.5).double().mean()) < 0.01


def test_what_was_trusted_and_moved_beyond_its_noise_is_doubted():
    values = jitter(smooth_rotations(150), 0.01)
    values[70:72] = values[70:72] @ so3.exp(torch.tensor([0.2, 0.0, 0.0]).double())  # a blow, of two frames
    found = denoise_motion(small_model(), values)
    moved, trusted = RotationCurves().distance(found.values, values), found.trust > 0.5
    size = torch.maximum(torch.where(trusted, moved, torch.nan).nanmedian(0).values / 1.538, found.noise)
    rest = torch.where(trusted, moved - 4.04 * size, 0.0)
    assert bool((found.error >= rest - 1e-9).all())
    assert float(denoise_motion(small_model(), values, strength=0.0).error.max()) <= float(found.error.max())


def test_nothing_seen_at_a_frame_is_filled():
    values, seen = recording("rotations")
    seen[60:70] = False
    values[60:70] = torch.nan
    out = denoise_motion(small_model(), values, None, PARENT)
    assert bool(out.values.isfinite().all()) and not bool(out.trust[60:70].any())
    assert math.isclose(float(torch.linalg.det(out.values).sub(1).abs().max()), 0, abs_tol=1e-9)


def test_bones_are_of_constant_length():
    positions = jitter(smooth_positions(), 0.1)
    seen = torch.ones(positions.shape[:2], dtype=torch.bool)
    lengths = bone_lengths(positions, seen, PARENT)
    moved = with_lengths(positions, PARENT, lengths)
    found = bone_lengths(moved, seen, PARENT)
    assert torch.equal(moved[:, 0], positions[:, 0])
    assert torch.allclose(found[1:], lengths[1:])
    length = torch.linalg.vector_norm(moved - moved[:, PARENT.clamp(min=0)], dim=-1)
    assert torch.allclose(length[:, 1:], lengths[1:].expand(len(length), -1), rtol=1e-12)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"values": torch.zeros(5, 4, 2)}, "values: found shape"),
        ({"values": 1.1 * smooth_rotations(150)}, "not orthogonal"),
        ({"seen": torch.ones(5, 4)}, "seen: found shape"),
        ({"seen": torch.zeros(150, 4, dtype=torch.bool)}, "joint 0 in no frame"),
        ({"parent": torch.tensor([0])}, "parent: found shape"),
        ({"strength": 1.5}, "strength: found 1.5"),
        ({"trust_region": 0.0}, "probability: found 0.0"),
    ],
)
def test_what_cannot_be_denoised_is_named(change, message):
    values, seen = recording("positions")
    arguments = {"values": values, "seen": seen, "parent": PARENT} | change
    with pytest.raises(MvnetError, match=message):
        denoise_motion(small_model(), **arguments)


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e12])
def test_positions_of_any_size(scale):
    positions = scale * jitter(smooth_positions(60), 0.1)
    found = denoise_motion(small_model(dtype=torch.float32), positions, None, PARENT)
    assert all(bool(x.isfinite().all()) for x in found)
    assert float((found.values - positions).abs().max()) <= scale
