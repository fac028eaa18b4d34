"""Shapes of curves in Lie groups: interpolation, closed curves, means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mvnet import curves
from mvnet.linalg import so3
from tests.curves.test_curves import GROUPS, WIDTH, elements, gap, motion, warp


@pytest.mark.parametrize("side", curves.SIDES)
@pytest.mark.parametrize("group", GROUPS)
def test_interpolated_shapes(group: str, side: str) -> None:
    a, b = motion(15, 0, group, turn=0.5), motion(17, 1, group, turn=0.5)
    options: dict[str, Any] = {"group": group, "side": side}
    d = curves.elastic_distance(a, b, **options)
    share = torch.tensor([0.0, 0.25, 1.0])
    shapes = curves.interpolate_shapes(a, b, share, frames=15, **options)
    assert gap(shapes[0], a, group) < 1e-10
    assert curves.elastic_distance(shapes[2], b, **options) < 0.35 * d
    torch.testing.assert_close(curves.interpolate_shapes(a, b, 0.25, frames=15, **options), shapes[1])
    assert abs(curves.elastic_distance(a, shapes[1], **options) - 0.25 * d) < 0.1 * d
    middle = curves.GROUPS[group].manifold.geodesic(a[0], b[0], 0.25)
    assert gap(shapes[1, 0], middle, group) < 1e-12
    found = curves.match(a, b, **options)
    torch.testing.assert_close(found.squared_distance().sqrt(), d)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("side", curves.SIDES)
@pytest.mark.parametrize("group", GROUPS)
def test_closed_curves(group: str, side: str, dtype: torch.dtype) -> None:
    c = torch.stack([motion(25, seed, group, turn=0.6) for seed in range(3)]).to(dtype)
    closed = curves.close(c, group=group, side=side)
    assert closed.dtype == dtype
    assert gap(closed[:, -1], closed[:, 0], group) < (1e-10 if dtype == torch.float64 else 1e-5)
    assert gap(closed[:, 0], c[:, 0], group) < 1e-6
    assert gap(curves.close(closed, group=group, side=side), closed, group) < 1e-5
    # nearly the nearest: no closed curve of a few random ones along the way is nearer
    q, p = (curves.srv_transform(x, group=group, side=side) for x in (c, closed))
    moved = (q - p).square().sum((-2, -1)).mean(-1)
    bent = closed.clone()
    noise = 0.02 * torch.randn(3, 23, 2, WIDTH[group], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bent[:, 1:-1] = curves.GROUPS[group].act(noise.to(dtype), bent[:, 1:-1])
    worse = (q - curves.srv_transform(bent, group=group, side=side)).square().sum((-2, -1)).mean(-1)
    assert (moved < worse).all()


def test_closing_a_curve_at_rest_and_a_geodesic() -> None:
    still = elements("rotations").expand(6, 2, 3, 3)
    torch.testing.assert_close(curves.close(still), still)
    line = so3.exp(torch.linspace(0, 1, 9, dtype=torch.float64)[:, None, None] * torch.ones(1, 3, dtype=torch.float64))
    closed = curves.close(line)  # all that can be done is not to move
    assert gap(closed[-1], closed[0], "rotations") < 1e-10
    with pytest.warns(RuntimeWarning, match="close: a gap of"):
        curves.close(motion(9), max_iterations=1)


@pytest.mark.parametrize("side", curves.SIDES)
@pytest.mark.parametrize("group", GROUPS)
def test_mean_curve(group: str, side: str) -> None:
    dense = [motion(400, seed, group, turn=0.5) for seed in (0, 0, 0, 1, 2)]
    t = torch.linspace(0, 1, 16, dtype=torch.float64)
    phis = (t, warp(t), 2 * t - warp(t), t, t)
    data = torch.stack([curves.reparametrise(c, phi, group=group) for c, phi in zip(dense, phis)])
    found = curves.mean_curve(data, group=group, side=side, tolerance=1e-9)
    assert found.curve.shape == data.shape[1:]
    assert len(found.objective) > 1 and (np.diff(found.objective) <= 1e-12).all()
    torch.testing.assert_close(curves.elastic_distance(found.curve, data, group=group, side=side), found.distances)
    torch.testing.assert_close(found.distances.square().mean().item(), found.objective[-1])
    for c in data:  # no curve of the data does better
        other = curves.elastic_distance(c, data, group=group, side=side, squared=True).mean()
        assert found.objective[-1] < other
    # one weight: that curve
    alone = curves.mean_curve(data, torch.tensor([0.0, 0, 0, 1, 0]), group=group, side=side)
    assert alone.objective[-1] < 1e-12 and gap(alone.curve, data[3], group) < 1e-7
