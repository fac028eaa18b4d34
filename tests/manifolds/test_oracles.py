"""exp, log, dist, transport of geomstats and pymanopt as oracles, with the factor between the metrics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mvnet.manifolds import SPD, Circle, Rotations, Sphere, from_geomstats, karcher_flow

from .cases import generator, nearby

F64 = torch.float64


def _geomstats(name: str):
    """The geomstats twin, whose metrics are ours without a factor."""
    from geomstats.geometry.hypersphere import Hypersphere
    from geomstats.geometry.spd_matrices import SPDAffineMetric, SPDLogEuclideanMetric, SPDMatrices
    from geomstats.geometry.special_orthogonal import SpecialOrthogonal

    if name.startswith("spd"):
        n, metric = int(name[3]), SPDAffineMetric if name.endswith("affine") else SPDLogEuclideanMetric
        return from_geomstats(SPDMatrices(n, equip=False).equip_with_metric(metric))
    if name == "rotations":
        return from_geomstats(SpecialOrthogonal(3))
    return from_geomstats(Hypersphere(2))


def _pymanopt(name: str):
    """The pymanopt twin and its metric over ours: on SO(3) it takes the whole Frobenius product."""
    from pymanopt.manifolds import SpecialOrthogonalGroup, SymmetricPositiveDefinite
    from pymanopt.manifolds import Sphere as TheirSphere

    made = {"spd3": SymmetricPositiveDefinite(3), "spd4": SymmetricPositiveDefinite(4)}
    made |= {"rotations": SpecialOrthogonalGroup(3), "sphere": TheirSphere(3)}
    return made[name], 2.0 if name == "rotations" else 1.0


OURS = {
    "spd3 affine": SPD(3),
    "spd4 affine": SPD(4),
    "spd3 log-euclidean": SPD(3, "log-euclidean"),
    "spd4 log-euclidean": SPD(4, "log-euclidean"),
    "rotations": Rotations(),
    "sphere": Sphere(3),
}


@pytest.mark.parametrize("name", OURS)
def test_geomstats_agrees(name):
    ours, theirs = OURS[name], _geomstats(name)
    g = generator(0)
    x = ours.random_point((7,), generator=g, dtype=F64)
    y = nearby(ours, x, g)
    v = 0.5 * ours.random_tangent(x, generator=g)
    close: dict[str, Any] = dict(rtol=1e-7, atol=1e-8)
    assert ours.dim == theirs.dim and ours.point_shape == theirs.point_shape
    theirs.check_point(x)
    assert_close(theirs.exp(x, v), ours.exp(x, v), **close)
    assert_close(theirs.log(x, y), ours.log(x, y), **close)
    assert_close(theirs.dist(x, y), ours.dist(x, y), **close)
    assert_close(theirs.inner(x, v, v), ours.inner(x, v, v), **close)
    assert_close(theirs.transport(x, y, v), ours.transport(x, y, v), **close)
    cloud = nearby(ours, x[:1].expand(4, *ours.point_shape).contiguous(), g, 0.5)
    assert_close(theirs.mean(cloud), ours.mean(cloud), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["spd3", "spd4", "rotations", "sphere"])
def test_pymanopt_agrees(name):
    ours = OURS.get(name) or OURS[f"{name} affine"]
    theirs, scale = _pymanopt(name)
    g = generator(1)
    x = ours.random_point((), generator=g, dtype=F64)
    y = nearby(ours, x, g)
    v = 0.5 * ours.random_tangent(x, generator=g)
    into = (lambda p, u: p.mT @ u) if name == "rotations" else (lambda p, u: u)  # they keep x^T v of v on SO(3)
    p, q, u = x.numpy(), y.numpy(), into(x, v).numpy()
    back = lambda w: torch.as_tensor(theirs.embedding(p, w))  # noqa: E731
    assert ours.dim == theirs.dim
    assert_close(torch.as_tensor(theirs.exp(p, u)), ours.exp(x, v))
    assert_close(back(theirs.log(p, q)), ours.log(x, y), rtol=1e-7, atol=1e-8)
    assert_close(float(theirs.dist(p, q)), math.sqrt(scale) * ours.dist(x, y).item())
    assert_close(float(theirs.inner_product(p, u, u)), scale * ours.inner(x, v, v).item())
    gradient = np.random.default_rng(0).normal(size=p.shape)
    expected = scale * back(theirs.euclidean_to_riemannian_gradient(p, gradient))
    assert_close(ours.riemannian_gradient(x, torch.as_tensor(gradient)), expected)


def test_rotation_exponential_is_scipys():
    from scipy.spatial.transform import Rotation

    w = torch.randn(20, 3, generator=generator(2), dtype=F64)
    m, identity = Rotations(), torch.eye(3, dtype=F64)
    r = m.exp(identity, m.from_axis_vector(identity, w))
    assert_close(r, torch.as_tensor(Rotation.from_rotvec(w.numpy()).as_matrix()))


def test_geomstats_frechet_mean_agrees():
    from geomstats.geometry.spd_matrices import SPDMatrices
    from geomstats.learning.frechet_mean import FrechetMean

    m = SPD(3)
    x = m.random_point((30,), generator=generator(3), dtype=F64)
    space = SPDMatrices(3)
    estimator: Any = FrechetMean(space)
    estimator.set(epsilon=1e-20, max_iter=200)
    points = x.numpy() if from_geomstats(space).uses_numpy else x
    estimate = torch.as_tensor(estimator.fit(points).estimate_)
    assert_close(karcher_flow(m, x).mean, estimate, rtol=1e-7, atol=1e-8)


def test_circle_mean_and_dist_are_those_of_unit_vectors_in_the_plane():
    angles = 2 * torch.rand(9, generator=generator(4), dtype=F64) - 0.5
    vectors = torch.stack([angles.cos(), angles.sin()], -1)
    circle, plane = Circle(), Sphere(2)
    mean = plane.mean(vectors)
    assert_close(torch.atan2(mean[1], mean[0]), circle.mean(angles), rtol=1e-8, atol=1e-9)
    assert_close(circle.dist(angles[1:], angles[:-1]), plane.dist(vectors[1:], vectors[:-1]))
