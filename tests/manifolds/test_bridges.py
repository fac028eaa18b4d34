"""Any geomstats manifold keeps our contract on both of its backends; pymanopt's optimisers run on ours."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mvnet.manifolds import SPD, Circle, Power, Product, Rotations, Sphere, from_geomstats, to_pymanopt

from .cases import generator, nearby

F64 = torch.float64

# Run as a script in a fresh interpreter too: the backend of geomstats is fixed at its first import.
CONTRACT = """
import torch
from torch.testing import assert_close
from geomstats.geometry.grassmannian import Grassmannian
from geomstats.geometry.hyperboloid import Hyperboloid
from geomstats.geometry.hypersphere import Hypersphere
from mvnet.manifolds import from_geomstats

g = torch.Generator().manual_seed(0)
for space in (Grassmannian(3, 1), Hyperboloid(2), Hypersphere(3)):
    m = from_geomstats(space)
    before = torch.random.get_rng_state()
    x = m.random_point((2, 1), generator=g, dtype=torch.float64)
    assert torch.equal(before, torch.random.get_rng_state())
    assert x.shape == (2, 1, *m.point_shape) and x.dtype == torch.float64
    m.check_point(x)
    u = m.to_tangent(x, 0.2 * torch.randn(x.shape, generator=g, dtype=x.dtype))
    v = m.to_tangent(x, 0.2 * torch.randn(x.shape, generator=g, dtype=x.dtype))
    y = m.exp(x, v)
    assert_close(m.log(x, y), v, rtol=1e-5, atol=1e-6)
    assert_close(m.dist(x, y), m.norm(x, v), rtol=1e-6, atol=1e-6)
    carried = m.transport(x, y, u)
    assert_close(m.to_tangent(y, carried), carried, rtol=1e-5, atol=1e-6)
    assert_close(m.norm(y, carried), m.norm(x, u), rtol=1e-4, atol=1e-5)
    pair = torch.stack([x, y])
    assert_close(m.mean(pair, axis=0), m.geodesic(x, y, 0.5), rtol=1e-5, atol=1e-6)
    assert m.log(x[0, 0], y).shape == y.shape
"""


def _other_backend() -> str:
    from geomstats.geometry.hypersphere import Hypersphere

    return "pytorch" if from_geomstats(Hypersphere(2)).uses_numpy else "numpy"


def test_geomstats_manifolds_keep_the_contract():
    exec(compile(CONTRACT, "contract", "exec"), {})


def test_geomstats_manifolds_keep_the_contract_on_the_other_backend():
    environment = os.environ | {"GEOMSTATS_BACKEND": _other_backend()}
    done = subprocess.run([sys.executable, "-c", CONTRACT], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_geomstats_gradients_pass_through_or_are_refused():
    from geomstats.geometry.hypersphere import Hypersphere

    theirs, ours = from_geomstats(Hypersphere(2)), Sphere(3)
    x = ours.random_point((4,), generator=generator(0), dtype=F64)
    y = nearby(ours, x, generator(1)).requires_grad_()
    if theirs.uses_numpy:
        with pytest.raises(ValueError, match="GEOMSTATS_BACKEND=pytorch"):
            theirs.dist(x, y)
    else:
        mine, other = (torch.autograd.grad(m.squared_dist(x, y).sum(), y)[0] for m in (ours, theirs))
        assert_close(ours.to_tangent(y, mine), ours.to_tangent(y, other))
    gradient = torch.randn(4, 3, generator=generator(2), dtype=F64)
    assert_close(theirs.riemannian_gradient(x, gradient), ours.riemannian_gradient(x, gradient))


def test_a_space_without_metric_is_refused():
    from geomstats.geometry.hypersphere import Hypersphere

    with pytest.raises(ValueError, match=r"^space: found Hypersphere without a metric"):
        from_geomstats(Hypersphere(2, equip=False))


def _solve(manifold, cost, optimizer: str, start=None):
    """Minimise a torch cost with one of pymanopt's optimisers on our manifold."""
    import pymanopt
    from pymanopt import optimizers

    bridged = to_pymanopt(manifold)

    @pymanopt.function.pytorch(bridged)
    def wrapped(x):
        return cost(x)

    options = dict(verbosity=0, max_time=20, min_gradient_norm=1e-7)
    problem = pymanopt.Problem(bridged, wrapped)
    return torch.as_tensor(getattr(optimizers, optimizer)(**options).run(problem, initial_point=start).point)


@pytest.mark.parametrize("optimizer", ["SteepestDescent", "ConjugateGradient", "TrustRegions"])
def test_pymanopt_finds_our_frechet_mean(optimizer):
    for m in (SPD(3), Rotations()):
        x = m.random_point((), generator=generator(3), dtype=F64)
        points = nearby(m, x.expand(5, 3, 3).contiguous(), generator(4), 0.6)
        found = _solve(m, lambda p, m=m, x=points: m.squared_dist(p, x).sum(), optimizer, points[0].numpy())
        assert_close(found, m.mean(points), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["ConjugateGradient", "TrustRegions"])
def test_pymanopt_minimises_a_rayleigh_quotient_on_our_sphere(optimizer):
    a = torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.5], dtype=F64))
    found = _solve(Sphere(4), lambda x: x @ a @ x, optimizer)
    assert_close(found.abs(), torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=F64), rtol=0, atol=1e-5)


def test_pymanopt_runs_on_products_and_powers():
    for m in (Power(Circle(), 3), Product(Sphere(3), Circle())):
        target = m.random_point((), generator=generator(5), dtype=F64)
        start = nearby(m, target, generator(6)).numpy()
        found = _solve(m, lambda x, m=m, y=target: m.squared_dist(x, y), "SteepestDescent", start)
        assert m.dist(found, target) < 1e-6


def test_pymanopt_sees_numpy_and_second_derivatives_are_exact():
    """Hess f[v] against pymanopt's closed form on SPD."""
    from pymanopt.manifolds import SymmetricPositiveDefinite

    m = SPD(3)
    bridged: Any = to_pymanopt(m, seed=1)
    theirs: Any = SymmetricPositiveDefinite(3)
    rng = np.random.default_rng(0)
    x = bridged.random_point()
    v = bridged.random_tangent_vector(x)
    assert isinstance(x, np.ndarray) and x.shape == (3, 3) and bridged.dim == 6
    assert bridged.norm(x, v) == pytest.approx(1)
    assert isinstance(bridged.dist(x, bridged.exp(x, v)), float)
    assert np.array_equal(bridged.zero_vector(x), np.zeros((3, 3)))
    g, h = (s + s.T for s in rng.normal(size=(2, 3, 3)))
    ours = bridged.euclidean_to_riemannian_hessian(x, g, h, v)
    np.testing.assert_allclose(ours, theirs.euclidean_to_riemannian_hessian(x, g, h, v), rtol=1e-9, atol=1e-10)


def test_importing_manifolds_loads_neither_library():
    heavy = ("geomstats", "pymanopt", "scipy")
    script = f"import sys, mvnet.manifolds; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
