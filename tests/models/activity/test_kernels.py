"""Elastic distances, filters, the ridge regression and its held-out scores, the body's frame and its mirror."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mvnet.linalg import so3
from mvnet.models.activity.body_frame import BodyFrame
from mvnet.models.activity.kernel_ridge import Centring, coefficients, held_out, scores_of
from mvnet.models.activity.kernels import Filters, _responses, warped_distance
from mvnet.models.activity.mirror import mirror_of
from mvnet.models.activity.views import Views, fill_missing, sampled

PARENT = torch.tensor([-1, 0, 1, 1, 3, 1, 5, 0, 7, 0, 9])  # hips, chest, head, two arms, two legs
POSE = torch.tensor(
    [[0, 0, 0], [0, 0.1, 5], [0, 0, 7], [2, 0, 5], [3, 0.2, 3], [-2, 0, 5], [-3, 0.2, 3]]
    + [[1, 0, 0], [1, 0.1, -4], [-1, 0, 0], [-1, 0.1, -4]],
    dtype=torch.float64,
)
SWAP = torch.tensor([0, 1, 2, 5, 6, 3, 4, 9, 10, 7, 8])


def recording(seed: int, frames: int = 12, noise: float = 0.05, wave: float = 3.0) -> torch.Tensor:
    """(frames, 11, 3): the pose walking, turned any way about the vertical, a hand waving."""
    generator = torch.Generator().manual_seed(seed)
    x = POSE + noise * torch.randn(frames, 11, 3, generator=generator, dtype=torch.float64)
    x[:, 4, 2] += wave * torch.sin(torch.linspace(0, 6, frames, dtype=torch.float64))
    x = x + torch.linspace(0, 1, frames, dtype=torch.float64)[:, None, None] * torch.tensor([1.0, 2.0, 0.0])
    return turned(x, 6 * float(torch.rand((), generator=generator)))


def turned(x: torch.Tensor, angle: float) -> torch.Tensor:
    return x @ so3.exp(x.new_tensor([0.0, 0.0, angle])).mT


def test_warped_distance_is_that_of_the_recursion(generator):
    x = torch.randn(3, 6, 2, generator=generator, dtype=torch.float64)
    found = warped_distance(x, x, band=0.5)
    for i in range(3):
        for j in range(3):
            cost = torch.cdist(x[i], x[j])
            r = torch.full((7, 7), torch.inf, dtype=torch.float64)
            r[0, 0] = 0
            for a in range(6):
                for b in range(max(0, a - 3), min(6, a + 4)):
                    r[a + 1, b + 1] = cost[a, b] + min(r[a, b], r[a, b + 1], r[a + 1, b])
            assert float(found[i, j]) == pytest.approx(float(r[-1, -1]), abs=1e-6)


def test_warped_distance_does_not_see_repeated_frames(generator):
    x = torch.randn(1, 5, 3, generator=generator, dtype=torch.float64)
    slow = x[:, [0, 0, 1, 2, 3, 4]]
    held = x[:, [0, 1, 2, 3, 4, 4]]
    assert float(warped_distance(slow, held, band=1.0)) < 1e-6


def test_warped_distance_of_one_frame_is_the_distance_of_points(generator):
    x = torch.randn(4, 1, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(warped_distance(x, x), torch.cdist(x[:, 0], x[:, 0]), atol=1e-7, rtol=0)


def test_responses_are_a_dilated_convolution(generator):
    x = torch.randn(2, 30, 3, generator=generator, dtype=torch.float64)
    mixing = torch.ones(84, 3, dtype=torch.float64)
    weight = -torch.ones(84, 1, 9, dtype=torch.float64)
    weight[0, 0, :3] = weight[83, 0, 6:] = 2  # the first and the last choice of three taps
    expected = torch.nn.functional.conv1d(x.sum(-1).unsqueeze(1), weight, dilation=3, padding=12)
    found = _responses(x, mixing, 3)
    torch.testing.assert_close(found[:, [0, 83]], expected[:, [0, 83]])


def test_filters_are_standardised_on_training_curves_and_seeded(generator):
    x = torch.randn(20, 40, 2, generator=generator)
    one, two = Filters.estimate(x, 500), Filters.estimate(x, 500)
    features = one(x)
    torch.testing.assert_close(features, two(x))
    torch.testing.assert_close(features.mean(0), torch.zeros(features.shape[1]), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="at least 9"):
        Filters.estimate(x[:, :8])


def test_held_out_scores_are_those_of_a_fit_without_the_group():
    rng = np.random.default_rng(0)
    x, groups = rng.normal(size=(12, 4)), np.repeat([0, 1, 2], 4)
    targets = rng.choice([-1.0, 1.0], size=(12, 3))
    kernel = x @ x.T
    found = held_out(*coefficients(kernel, targets, 0.1), targets, groups)
    for group in range(3):
        known = groups != group
        c, _ = coefficients(kernel[np.ix_(known, known)], targets[known], 0.1)
        np.testing.assert_allclose(found[~known], scores_of(kernel[np.ix_(~known, known)], c), atol=1e-8)


def test_centring_is_that_of_features():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 3)) + 5, rng.normal(size=(4, 3))
    centring = Centring.of(x @ x.T)
    a, b = x - x.mean(0), y - x.mean(0)
    np.testing.assert_allclose(centring(y @ x.T), b @ a.T * 8 / np.square(a).sum(), rtol=1e-9)


def test_mirror_is_found_without_names():
    found = mirror_of(PARENT, POSE)
    assert found is not None and found.tolist() == SWAP.tolist()


def test_mirror_of_a_chain_is_none():
    assert mirror_of(torch.tensor([-1, 0, 1]), torch.eye(3)) is None


def test_views_do_not_change_with_place_size_and_direction():
    views = Views.estimate([recording(s) for s in range(4)], PARENT)
    x = recording(9)
    moved = 2.5 * turned(x, 2.0) + torch.tensor([3.0, -1.0, 0.5])
    for name, value in views.of(x).items():
        torch.testing.assert_close(views.of(moved)[name], value, atol=1e-9, rtol=0, msg=name)


def test_mirror_images_have_mirrored_views():
    body = BodyFrame.estimate([recording(s) for s in range(4)], PARENT)
    x = recording(9)
    facing, image = body.facing(x)[0], body.facing(body.reflect(x))[0]
    difference = (facing - image[:, SWAP]).flatten(0, 1)
    normal = torch.linalg.svd(difference, full_matrices=False)[2][0]  # all differences are along one direction
    assert float((difference - difference @ normal[:, None] * normal).abs().max()) < 0.02
    assert abs(float(normal[2])) < 1e-6


@pytest.mark.parametrize("kind", ["turns", "pairs", "velocity"])
def test_views_of_rotations_do_not_change_with_the_world(kind, generator):
    r = so3.exp(torch.randn(9, 3, 3, generator=generator, dtype=torch.float64))
    views = Views.estimate([r], None)
    g = so3.exp(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(views.of(g @ r)[kind], views.of(r)[kind], atol=1e-9, rtol=0)


def test_sampling_by_length_does_not_see_the_speed():
    t = torch.linspace(0, 1, 200, dtype=torch.float64)
    circle = [torch.stack((torch.cos(s), torch.sin(s)), -1) for s in (math.pi * t, math.pi * t**2)]
    a, b = (sampled(c, 20, by_length=True) for c in circle)
    torch.testing.assert_close(a, b, atol=1e-2, rtol=0)


def test_missing_frames_are_filled_between_their_neighbours():
    x = torch.arange(5.0)[:, None, None].expand(5, 2, 3).numpy().copy()
    x[:, 1] += 10
    holes = x.copy()
    holes[2], holes[4, 0] = 0, np.nan  # a frame of zeros holds nothing
    filled = fill_missing(holes).numpy()
    np.testing.assert_allclose(filled[:4], x[:4])
    np.testing.assert_allclose(filled[4, 0], x[3, 0])
    holes[:, 0] = np.nan
    with pytest.raises(ValueError, match="joint or channel 0"):
        fill_missing(holes)
