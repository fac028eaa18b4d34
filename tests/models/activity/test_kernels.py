"""Elastic distances, filters, the ridge regression and its held-out scores, the body's frame and its mirror."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mvnet.linalg import so3
from mvnet.models.activity.body_frame import BodyFrame
from mvnet.models.activity.kernel_ridge import Centring, fit_coefficients, predict_held_out, predict_scores
from mvnet.models.activity.kernels import CompetingFilters, Filters, warped_distance
from mvnet.models.activity.kernels.filters import _responses
from mvnet.models.activity.mirror import find_mirror
from mvnet.models.activity.sampling import sample_curve
from mvnet.models.activity.views import Views, fill_missing

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


@pytest.mark.parametrize("channels", [1, 3, 12])
def test_responses_inside_the_curve_are_those_not_padded(channels, generator):
    x = torch.randn(2, 30, channels, generator=generator, dtype=torch.float64)
    mixing = (torch.rand(84, channels, generator=generator) < 0.7).double() if channels > 1 else x.new_ones(84, 1)
    chosen = torch.tensor([3, 50])
    inside = _responses(x, mixing, 2, chosen, padded=False)
    torch.testing.assert_close(inside, _responses(x, mixing, 2)[:, chosen, 8:-8])


def test_competing_filters_count_every_time_once(generator):
    x = torch.randn(6, 40, 2, generator=generator, dtype=torch.float64)
    fitted = CompetingFilters.estimate(x, groups=3)
    counts = fitted.counts(x).square().view(6, -1, 2, 3, 8)  # sums of the largest, counts of the smallest
    assert len(fitted.layers) == 3
    torch.testing.assert_close(counts[:, :, 1].sum(-1), counts.new_full((6, 3, 3), 40.0))
    d, mixing, w = fitted.layers[1]
    z = torch.nn.functional.conv1d(mixing @ x.mT, w.flatten(0, 1).unsqueeze(1), padding=4 * d, dilation=d, groups=3)
    torch.testing.assert_close(counts[:, 1, 0].sum(-1), z.unflatten(1, (3, 8)).amax(2).sum(-1))
    torch.testing.assert_close(fitted(x).mean(0), torch.zeros(counts[0].numel()).double(), atol=1e-6, rtol=0)


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
    found = predict_held_out(*fit_coefficients(kernel, targets, 0.1), targets, groups)
    for group in range(3):
        known = groups != group
        c, _ = fit_coefficients(kernel[np.ix_(known, known)], targets[known], 0.1)
        np.testing.assert_allclose(found[~known], predict_scores(kernel[np.ix_(~known, known)], c), atol=1e-8)


def test_centring_is_that_of_features():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 3)) + 5, rng.normal(size=(4, 3))
    centring = Centring.estimate(x @ x.T)
    a, b = x - x.mean(0), y - x.mean(0)
    np.testing.assert_allclose(centring(y @ x.T), b @ a.T * 8 / np.square(a).sum(), rtol=1e-9)


def test_mirror_is_found_without_names():
    found = find_mirror(PARENT, POSE)
    assert found is not None and found.tolist() == SWAP.tolist()


def test_mirror_of_a_chain_is_none():
    assert find_mirror(torch.tensor([-1, 0, 1]), torch.eye(3)) is None


def test_views_do_not_change_with_place_size_and_direction():
    views = Views.estimate([recording(s) for s in range(4)], PARENT)
    x = recording(9)
    moved = 2.5 * turned(x, 2.0) + torch.tensor([3.0, -1.0, 0.5])
    for name, value in views.compute(x).items():
        torch.testing.assert_close(views.compute(moved)[name], value, atol=1e-9, rtol=0, msg=name)


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
    torch.testing.assert_close(views.compute(g @ r)[kind], views.compute(r)[kind], atol=1e-9, rtol=0)


def test_sampling_by_length_does_not_see_the_speed():
    t = torch.linspace(0, 1, 200, dtype=torch.float64)
    circle = [torch.stack((torch.cos(s), torch.sin(s)), -1) for s in (math.pi * t, math.pi * t**2)]
    a, b = (sample_curve(c, 20, by_length=True) for c in circle)
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


def test_fewer_samples_are_means_of_frames_and_more_lie_on_lines():
    wave = torch.sin(torch.pi * torch.arange(101, dtype=torch.float64)[:, None] + 1)  # up and down with every frame
    assert float(sample_curve(wave, 11, low_pass=True)[1:-1].abs().max()) < 1e-9
    assert float(sample_curve(wave, 11).abs().min()) > 0.5
    line = torch.linspace(0, 3, 7, dtype=torch.float64)[:, None]
    for low_pass in (False, True):
        found = sample_curve(line, 19, low_pass=low_pass)
        torch.testing.assert_close(found[:, 0], torch.linspace(0, 3, 19, dtype=torch.float64))


def test_poses_in_a_picture_have_views_and_a_mirror_image():
    poses = [recording(s)[..., ::2] for s in range(4)]
    views = Views.estimate(poses, PARENT)
    assert views.kind == "poses" and views.mirrors
    moved = views.compute(2.5 * poses[0] + torch.tensor([3.0, -1.0]))
    for name, value in views.compute(poses[0]).items():
        torch.testing.assert_close(moved[name], value, atol=1e-9, rtol=0, msg=name)
    torch.testing.assert_close(views.reflect(views.reflect(poses[0])), poses[0])
