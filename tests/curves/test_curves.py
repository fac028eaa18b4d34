"""Curves in Lie groups: transform, sampling, elastic distance and its invariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mvnet import curves
from mvnet.linalg import so3

GROUPS = list(curves.GROUPS)
WIDTH = {"rotations": 3, "circle": 1, "vectors": 1}


def motion(samples: int, seed: int = 0, group: str = "rotations", joints: int = 2, turn: float = 1.0) -> Tensor:
    """A smooth curve (samples, joints, *point) in float64."""
    generator = torch.Generator().manual_seed(seed)
    size = (4, joints, WIDTH[group])
    amplitude = torch.randn(size, generator=generator, dtype=torch.float64)
    t = torch.linspace(0, 1, samples, dtype=torch.float64)
    waves = torch.stack([torch.sin(2 * (k + 1) * t + k) for k in range(4)], -1)
    w = turn * torch.einsum("tk,kjc->tjc", waves, amplitude)
    if group == "rotations":
        return so3.exp(w) @ so3.exp(amplitude[0])
    return curves.GROUPS[group].act(w, torch.zeros(joints, dtype=torch.float64))


def elements(group: str, seed: int = 9, joints: int = 2) -> Tensor:
    return motion(2, seed, group, joints)[0]


def product(x: Tensor, y: Tensor, group: str) -> Tensor:
    return x @ y if group == "rotations" else x + y


def gap(x: Tensor, y: Tensor, group: str) -> float:
    return curves.GROUPS[group].displacement(x, y).abs().max().item()


def warp(t: Tensor) -> Tensor:
    """A diffeomorphism of [0, 1] with slopes from 0.4 to 1.6."""
    return t + 0.6 / (2 * math.pi) * torch.sin(2 * math.pi * t)


@pytest.mark.parametrize("side", curves.SIDES)
@pytest.mark.parametrize("group", GROUPS)
def test_transform_and_inverse(group: str, side: str) -> None:
    c = motion(40, group=group)
    t = torch.linspace(0, 2, 40, dtype=torch.float64) ** 1.5
    for times in (None, t):
        q = curves.srv_transform(c, times, group=group, side=side)
        assert q.shape == (39, 2, WIDTH[group])
        assert gap(curves.inverse_srv_transform(q, c[0], times, group=group, side=side), c, group) < 1e-12
    # |q|^2 dt sums to the length
    length = (q.square().sum((-2, -1)) * t.diff()).sum()
    torch.testing.assert_close(length, curves.arc_length(c, group=group)[-1])


@pytest.mark.parametrize("group", GROUPS)
def test_translations(group: str) -> None:
    """Right-trivialised: c g has the q of c, and g c that of c turned by Ad_g. Left: the other way round."""
    c, g = motion(20, group=group), elements(group)
    same = {"right": product(c, g, group), "left": product(g, c, group)}
    for side in curves.SIDES:
        q = curves.srv_transform(c, group=group, side=side)
        torch.testing.assert_close(curves.srv_transform(same[side], group=group, side=side), q)
        other = curves.srv_transform(same["left" if side == "right" else "right"], group=group, side=side)
        if group == "rotations":
            turn = g if side == "right" else g.mT
            torch.testing.assert_close(other, (turn @ q.unsqueeze(-1)).squeeze(-1))
        else:
            torch.testing.assert_close(other, q)


@pytest.mark.parametrize("side", curves.SIDES)
@pytest.mark.parametrize("group", GROUPS)
def test_distance_laws(group: str, side: str) -> None:
    a, b = motion(15, 0, group), motion(18, 1, group)
    options: dict[str, Any] = {"group": group, "side": side}
    d = curves.elastic_distance(a, b, **options)
    torch.testing.assert_close(curves.elastic_distance(b, a, **options), d)
    assert curves.elastic_distance(a, a, **options) == 0
    torch.testing.assert_close(curves.elastic_distance(a, b, squared=True, **options), d.square())
    ends = [curves.arc_length(c, group=group)[-1] for c in (a, b)]
    assert 0 < d <= ends[0].sqrt() + ends[1].sqrt()

    g, h = elements(group), elements(group, 5)
    if side == "right":  # either may be moved from the right, both together from the left
        moved = product(a, g, group), product(b, h, group)
        together = product(g, a, group), product(g, b, group)
    else:
        moved = product(g, a, group), product(h, b, group)
        together = product(a, g, group), product(b, g, group)
    for pair in (moved, together):
        torch.testing.assert_close(curves.elastic_distance(*pair, **options), d)


@pytest.mark.parametrize("group", GROUPS)
def test_pairwise_distance(group: str) -> None:
    a = torch.stack([motion(12, seed, group) for seed in range(3)])
    b = torch.stack([motion(10, seed, group) for seed in range(4)])
    expected = curves.elastic_distance(a[:, None], b, group=group)
    torch.testing.assert_close(curves.pairwise_elastic_distance(a, b, group=group), expected)
    own = curves.pairwise_elastic_distance(a, group=group)
    torch.testing.assert_close(own, own.mT)
    assert (own.diagonal() == 0).all()


@pytest.mark.parametrize("group", ["rotations", "vectors"])
def test_reparametrised_curves_are_near(group: str) -> None:
    """d(c, c o phi) falls with the sampling, to the slopes' resolution; the plain L2 distance does not."""
    dense, distances = motion(1500, group=group), []
    for samples in (12, 24, 48):
        c = curves.resample(dense, samples, group=group)
        phi = warp(torch.linspace(0, 1, samples, dtype=torch.float64))
        moved = curves.reparametrise(dense, phi, group=group)
        distances.append(curves.elastic_distance(c, moved, max_step=6, group=group).item())
        q, p = (curves.srv_transform(x, group=group) for x in (c, moved))
        plain = (q - p).square().sum((-2, -1)).mean().sqrt()
        assert distances[-1] < 0.6 * plain
        aligned, gamma = curves.align(moved, c, max_step=6, group=group)
        assert (gamma.diff() > 0).all() and gamma[0] == 0 and math.isclose(gamma[-1].item(), 1)
        assert (gamma - phi).abs().max() < 0.8 / samples + 0.02
        assert gap(aligned, moved, group) < 0.5 * gap(c, moved, group)
    assert distances[1] < 0.75 * distances[0] and distances[2] < 0.75 * distances[1]


def test_action_of_a_reparametrisation_on_q() -> None:
    """q of c o phi is (q o phi) sqrt(phi')."""
    phi = warp(torch.linspace(0, 1, 2001, dtype=torch.float64))
    dense = motion(20001)
    q = curves.srv_transform(dense)
    moved = curves.srv_transform(curves.reparametrise(dense, phi))
    middle, slope = (phi[1:] + phi[:-1]) / 2, phi.diff() * 2000
    expected = q[(middle * 20000).long()] * slope.sqrt()[:, None, None]
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-2)


@pytest.mark.parametrize("samples", [2, 3, 9])
def test_curves_at_rest(samples: int) -> None:
    still = elements("rotations").expand(samples, 2, 3, 3).clone().requires_grad_()
    moving = motion(samples)
    assert curves.elastic_distance(still, still.detach()) == 0
    d = curves.elastic_distance(still, moving)
    torch.testing.assert_close(d.square(), curves.arc_length(moving)[-1])
    (gradient,) = torch.autograd.grad(d + curves.srv_transform(still).sum(), still)
    assert gradient.isfinite().all()
    assert gap(curves.resample_by_length(still.detach(), 5), still[0].detach(), "rotations") < 1e-14


def test_repeated_frames_change_nothing() -> None:
    c = motion(10)
    repeated = c.repeat_interleave(torch.tensor([1, 1, 3, 1, 1, 1, 2, 1, 1, 1]), 0)
    # a rest has no length; what is left is that slopes are bounded
    assert curves.elastic_distance(c, repeated, max_step=4) < 0.5 * curves.arc_length(c)[-1].sqrt()
    assert gap(curves.resample_by_length(c, 30), curves.resample_by_length(repeated, 30), "rotations") < 1e-12
    x = repeated.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(curves.elastic_distance(x, motion(12, 1)), x)
    assert gradient.isfinite().all()


def test_distance_modulo_rotation() -> None:
    a, b, g = motion(14), motion(14, 1), elements("rotations", joints=1)
    assert curves.elastic_distance(a, g @ a, modulo_rotation=True) < 1e-7 < curves.elastic_distance(a, g @ a)
    found = curves.match(a, g @ a, modulo_rotation=True)
    assert found.rotation is not None
    torch.testing.assert_close(found.rotation, g[0].mT)
    best = curves.elastic_distance(a, b, modulo_rotation=True)
    assert best <= curves.elastic_distance(a, b)
    with pytest.raises(ValueError, match="modulo_rotation: found True for group 'circle'"):
        curves.elastic_distance(
            motion(5, group="circle"), motion(5, group="circle"), group="circle", modulo_rotation=True
        )


@pytest.mark.parametrize("options", [{}, {"side": "left", "squared": True}, {"modulo_rotation": True}])
def test_gradient(options: dict) -> None:
    """The warp (and rotation) held fixed is no loss: the gradient is that of the infimum (envelope theorem)."""
    a, b = motion(5, joints=1), motion(4, 1, joints=1)
    turns = [torch.zeros(size, 1, 3, dtype=torch.float64, requires_grad=True) for size in (5, 4)]
    tolerance = 1e-4 if "modulo_rotation" in options else 1e-6
    assert torch.autograd.gradcheck(
        lambda v, w: curves.elastic_distance(so3.exp(v) @ a, so3.exp(w) @ b, **options),
        turns,
        atol=tolerance,
        rtol=tolerance,
        fast_mode=True,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_batches(dtype: torch.dtype) -> None:
    a, b = torch.stack([motion(9, s) for s in range(3)]).to(dtype), motion(11, 4).to(dtype)
    d = curves.elastic_distance(a, b)
    assert d.shape == (3,) and d.dtype == dtype
    torch.testing.assert_close(d[1], curves.elastic_distance(a[1], b))
    shapes = curves.interpolate_shapes(a, b, torch.tensor([0.2, 0.5]))
    assert shapes.shape == (2, 3, 9, 2, 3, 3) and shapes.dtype == dtype
    aligned, gamma = curves.align(a, b)
    assert aligned.shape == a.shape and gamma.shape == (3, 9) and gamma.dtype == dtype


def test_resampling_is_slerp() -> None:
    from scipy.spatial.transform import Rotation, Slerp

    c = motion(12, joints=1)
    t = torch.linspace(0, 3, 12, dtype=torch.float64) ** 1.2
    at = torch.linspace(0, float(t[-1]), 41, dtype=torch.float64)
    expected = Slerp(t.numpy(), Rotation.from_matrix(c[:, 0].numpy()))(at.numpy()).as_matrix()
    found = curves.resample(c, at=at, t=t)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-12)
    torch.testing.assert_close(curves.resample(c, 41, t=t), found)
    torch.testing.assert_close(curves.resample(c, at=t, t=t), c)
    # piecewise geodesics are refined, not changed
    assert gap(curves.resample(curves.resample(c, 67), 12), c, "rotations") < 1e-12


@pytest.mark.parametrize("group", GROUPS)
def test_arc_length_parametrisation(group: str) -> None:
    c = motion(200, group=group)
    steps = curves.arc_length(curves.resample_by_length(c, 100, group=group), group=group).diff()
    share = curves.arc_length(c, group=group)[-1] / 99
    assert (steps <= share * (1 + 1e-9)).all()  # a chord is no longer than its arc
    assert (steps / share).median() > 0.995
    one = curves.resample(c[:1], 4, group=group)
    torch.testing.assert_close(one, c[:1].expand_as(one))


def test_vectors_against_geomstats() -> None:
    """Transform and squared distance of the aligner, curves in R^3 from the origin."""
    from geomstats.geometry.discrete_curves import (
        DiscreteCurvesStartingAtOrigin,
        DynamicProgrammingAligner,
        SRVTransform,
    )

    samples, max_step = 7, 3
    a, b = (motion(samples, seed, "vectors", joints=3) for seed in (0, 1))
    a, b = a - a[0], b - b[0]
    space = DiscreteCurvesStartingAtOrigin(3, samples)
    transform = SRVTransform(space.ambient_manifold, samples)
    torch.testing.assert_close(
        torch.as_tensor(transform(a[1:].numpy())), curves.srv_transform(a, group="vectors").squeeze(-1)
    )
    aligner: Any = DynamicProgrammingAligner(space, n_space_grid=samples, max_slope=max_step)
    _, expected = aligner.align(b[1:].numpy(), a[1:].numpy(), return_sdist=True)
    found = curves.elastic_distance(a, b, group="vectors", max_step=max_step, squared=True)
    assert math.isclose(found.item(), float(expected), rel_tol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: curves.elastic_distance(c[:1], c), "c1: found 1 samples, expected at least 2"),
        (lambda c: curves.srv_transform(c[:1]), "c: found 1 samples, expected at least 2"),
        (lambda c: curves.srv_transform(c[..., 0]), r"c: found shape \(8, 2, 3\), expected \(..., T, joints, 3, 3\)"),
        (lambda c: curves.srv_transform(c.long()), "c: found dtype torch.int64"),
        (lambda c: curves.srv_transform(c, group="spd"), "group: found 'spd', expected one of rotations"),
        (lambda c: curves.srv_transform(c, side="up"), "side: found 'up', expected one of right, left"),
        (lambda c: curves.srv_transform(c, torch.zeros(8)), "t: found a step of 0, expected increasing times"),
        (lambda c: curves.srv_transform(c, torch.arange(7)), r"t: found shape \(7,\), expected \(..., 8\)"),
        (lambda c: curves.inverse_srv_transform(c[..., 0], c[0, :1]), r"q: found shape \(8, 2, 3\), expected"),
        (lambda c: curves.elastic_distance(c, c[:, :1]), "c2: found 1 joints, expected 2 like c1"),
        (lambda c: curves.elastic_distance(c, c[:2]), "expected lengths of a ratio of at most max_step = 4"),
        (lambda c: curves.elastic_distance(c, c * math.nan), "values that are not finite"),
        (lambda c: curves.resample(c), "frames, at: found None and None"),
        (lambda c: curves.resample(c, 0), "frames, at: found 0 and None"),
        (lambda c: curves.reparametrise(c, torch.tensor([0.0, 0.5, 0.4])), "phi: found decreasing values"),
        (lambda c: curves.interpolate_shapes(c, c, torch.zeros(1, 1)), r"share: found shape \(1, 1\)"),
        (lambda c: curves.mean_curve(c), r"curves: found shape \(8, 2, 3, 3\), expected \(N, T, joints, ...\)"),
        (lambda c: curves.mean_curve(c[None], torch.tensor([-1.0])), r"weights: found shape \(1,\)"),
    ],
)  # fmt: skip
def test_refusals(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(motion(8))
