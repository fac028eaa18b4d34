"""Optimisers on manifolds: Adam and SGD on R^n, the same minimum as pymanopt, feasibility, transports, batches."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from mvnet.errors import MvnetError
from mvnet.linalg import so3
from mvnet.manifolds import (
    SPD,
    Grassmann,
    Manifold,
    ManifoldParameter,
    MatrixGroup,
    Rotations,
    SPDField,
    Sphere,
    Stiefel,
)
from mvnet.nn import RotationMapping
from mvnet.optim import AdamW, RiemannianAdam, RiemannianSGD, build, describe

F64 = torch.float64
KINDS = {
    "sgd": lambda p, lr, **o: RiemannianSGD(p, lr, **o),
    "nesterov": lambda p, lr, **o: RiemannianSGD(p, lr, nesterov=True, **o),
    "adam": lambda p, lr, **o: RiemannianAdam(p, lr, **o),
    "entries": lambda p, lr, **o: RiemannianAdam(p, lr, second_moment="entry", **o),
    "amsgrad": lambda p, lr, **o: RiemannianAdam(p, lr, amsgrad=True, **o),
}
EVERY = pytest.mark.parametrize("kind", KINDS)
MANIFOLDS = [Stiefel(6, 2), Grassmann(6, 2), Sphere(5), Rotations(), SPD(3), MatrixGroup("SE", 2), MatrixGroup("SL", 2)]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def point(manifold: Manifold, *batch: int, seed: int = 0, dtype: torch.dtype = F64) -> ManifoldParameter:
    return ManifoldParameter(manifold.random_point(batch, generator=generator(seed), dtype=dtype), manifold)


def descend(parameters, optimizer, loss, steps: int) -> float:
    for _ in range(steps):
        optimizer.zero_grad()
        loss(*parameters).backward()
        optimizer.step()
    return float(loss(*parameters))


def test_on_plain_parameters_they_are_those_of_torch():
    def run(make) -> Tensor:
        w = nn.Parameter(torch.arange(6.0, dtype=F64).reshape(2, 3) - 2)
        descend([w], make([w]), lambda w: (w - 1).pow(4).sum() + w.sin().sum(), 30)
        return w.detach()

    pairs = [
        (lambda p: RiemannianAdam(p, 0.05), lambda p: torch.optim.Adam(p, 0.05)),
        (lambda p: RiemannianAdam(p, 0.05, amsgrad=True), lambda p: torch.optim.Adam(p, 0.05, amsgrad=True)),
        (lambda p: RiemannianAdam(p, 0.05, weight_decay=0.1), lambda p: AdamW(p, 0.05, weight_decay=0.1)),
        (lambda p: RiemannianSGD(p, 1e-3), lambda p: torch.optim.SGD(p, 1e-3, momentum=0.9)),
        (lambda p: RiemannianSGD(p, 1e-3, momentum=0), lambda p: torch.optim.SGD(p, 1e-3)),
        (
            lambda p: RiemannianSGD(p, 1e-3, nesterov=True),
            lambda p: torch.optim.SGD(p, 1e-3, momentum=0.9, nesterov=True),
        ),
    ]
    for ours, theirs in pairs:
        assert_close(run(ours), run(theirs), rtol=1e-13, atol=1e-13)


def test_adam_by_entries_on_a_flat_manifold_is_adam():
    from mvnet.manifolds import Euclidean

    x = ManifoldParameter(torch.linspace(-1, 2, 5, dtype=F64), Euclidean((5,)))
    w = nn.Parameter(x.detach().clone())
    loss = lambda w: (w - 1).pow(4).sum()  # noqa: E731
    descend([x], RiemannianAdam([x], 0.05, second_moment="entry"), loss, 20)
    descend([w], torch.optim.Adam([w], 0.05), loss, 20)
    assert_close(x.detach(), w.detach())


@EVERY
@pytest.mark.parametrize("manifold", MANIFOLDS, ids=str)
@pytest.mark.parametrize("geodesic", [False, True], ids=["retraction", "geodesic"])
def test_they_approach_a_point_and_stay_on_the_manifold(kind, manifold, geodesic):
    if geodesic and kind not in ("nesterov", "entries"):
        pytest.skip("what is special to a kind is the same on geodesics")
    x, target = point(manifold, 2), point(manifold, seed=1).detach()
    if isinstance(manifold, SPD | MatrixGroup):  # near enough for their metrics
        x = ManifoldParameter(
            manifold.exp(target, 0.3 * manifold.random_tangent(x * 0 + target, generator=generator(2))), manifold
        )
    same = (lambda p: p @ p.mT) if isinstance(manifold, Grassmann) else (lambda p: p)
    loss = lambda x: (same(x) - same(target)).square().sum()  # noqa: E731
    before = float(loss(x))
    after = descend([x], KINDS[kind]([x], 0.02, geodesic=geodesic), loss, 10)
    assert after < 0.95 * before
    manifold.check_point(x.detach())


@EVERY
def test_the_momentum_is_tangent_and_carried_isometrically(kind):
    m = Rotations()
    x = point(m, 3)
    optimizer = KINDS[kind]([x], 0.05)
    descend([x], optimizer, lambda x: x[..., 0].sum() + x[..., 1, 2].square().sum(), 4)
    entry = optimizer.state[x]
    b = entry["momentum_buffer" if "momentum_buffer" in entry else "exp_avg"]
    assert_close(m.to_tangent(x.detach(), b), b)
    x.grad = torch.zeros_like(x)
    before = m.norm(x.detach(), b)
    optimizer.step()
    decay = 0.9
    assert_close(m.norm(x.detach(), b), decay * before)


@pytest.mark.parametrize("rate", [1e-3, 0.1, 0.5])
def test_float32_stays_feasible_over_many_noisy_steps(rate):
    noise = torch.randn(1000, 6, 3, generator=generator(0))
    x = point(Stiefel(6, 3), dtype=torch.float32)
    optimizer, worst = RiemannianAdam([x], rate), 0.0
    for number, x.grad in enumerate(noise):
        optimizer.step()
        if number % 50 == 49:
            worst = max(worst, float(x.manifold.violation(x.detach())))
    assert worst < 2e-6


@pytest.mark.parametrize("manifold", [Rotations(), Sphere(3)], ids=str)
def test_rounding_errors_are_projected_away(manifold):
    noise = torch.randn(500, *manifold.point_shape, generator=generator(1))
    x = point(manifold, dtype=torch.float32)
    optimizer = RiemannianSGD([x], 0.1)
    for x.grad in noise:
        optimizer.step()
    assert float(manifold.violation(x.detach())) < 1e-5


def test_points_of_one_manifold_move_together_as_each_would_alone():
    xs = [point(Stiefel(5, 2), seed=s) for s in range(3)] + [point(Rotations(), 2)]
    field = ManifoldParameter(SPDField(1).random_point((1, 2), generator=generator(4), dtype=F64), SPDField(1))
    xs += [field, ManifoldParameter(field.detach().clone(), SPDField(1))]
    alone = copy.deepcopy(xs)

    def loss(*xs: Tensor) -> Tensor:
        terms = [x * (n + torch.arange(x.numel(), dtype=F64).view_as(x)).cos() for n, x in enumerate(xs)]
        return torch.stack([term.sum() for term in terms]).sum()

    for make in (RiemannianAdam, RiemannianSGD):
        descend(xs, make(xs, 0.02), loss, 5)
        separate = [make([x], 0.02) for x in alone]
        for _ in range(5):
            loss(*alone).backward()
            for optimizer in separate:
                optimizer.step()
                optimizer.zero_grad()
        for one, other in zip(xs, alone):
            assert_close(one.detach(), other.detach())


def test_a_point_off_its_manifold_is_refused_by_name():
    x = point(Sphere(3))
    with torch.no_grad():
        x.mul_(1.1)
    with pytest.raises(
        MvnetError, match=r"^params\[0\] \(manifold.project gives points\): found 1 of 1 points off Sph"
    ):
        RiemannianAdam([x])
    model = nn.ParameterDict({"direction": x})
    with pytest.raises(MvnetError, match=r"^direction \(manifold.project gives points\): .* violation 0.1"):
        build("riemannian-sgd", model, 0.1)
    with pytest.raises(MvnetError, match=r"^params: found a parameter on Sphere.*RiemannianAdam and RiemannianSGD"):
        build("adamw", nn.ParameterDict({"w": point(Sphere(3))}), 0.1)
    with pytest.raises(MvnetError, match=r"^second_moment: found 'matrix', expected 'entry' or 'point'"):
        RiemannianAdam([point(Sphere(3))], second_moment="matrix")


def test_the_table_names_the_geometry():
    rows = describe(RotationMapping(2, coordinates="manifold"), "riemannian-adam")
    assert rows[0]["kind"] == "manifold" and rows[0]["geometry"] == "Rotations()" and rows[0]["violation"] < 1e-6


def test_half_precision_keeps_its_states_in_single():
    x = point(Stiefel(6, 2), dtype=torch.float32)
    x = ManifoldParameter(x.detach().half(), x.manifold)
    optimizer = RiemannianAdam([x], 0.05)
    descend([x], optimizer, lambda x: x.float().square()[0].sum(), 30)
    assert x.dtype == torch.float16 and optimizer.state[x]["exp_avg"].dtype == torch.float32
    assert float(x.manifold.violation(x.detach().float())) < 2e-3


@EVERY
def test_a_stored_state_goes_on_as_if_nothing_had_happened(kind):
    xs = [point(Stiefel(5, 2), seed=s, dtype=torch.float32) for s in range(2)] + [nn.Parameter(torch.ones(3))]
    loss = lambda a, b, w: (a * b).sum().sin() + a[0].sum() * w.square().sum() + b[1].sum()  # noqa: E731
    optimizer = KINDS[kind](xs, 0.05)
    descend(xs, optimizer, loss, 3)
    others = copy.deepcopy(xs)
    again = KINDS[kind](others, 0.05)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    descend(xs, optimizer, loss, 3)
    descend(others, again, loss, 3)
    assert all(torch.equal(one, other) for one, other in zip(xs, others))


def steps_to_a_turn(coordinates: str, angle: float, rate: float) -> int:
    """Least squares with momentum: steps until the rotations of 4 joints, turned by an angle, are found up to .05."""
    random = generator(0)
    layer = RotationMapping(4, coordinates=coordinates, generator=random).double()
    axes = nn.functional.normalize(torch.randn(4, 3, generator=random, dtype=F64), dim=-1)
    target = layer.weight.detach() @ so3.exp(angle * axes)
    optimizer = RiemannianSGD(layer.parameters(), rate)
    for step in range(60):
        if float(Rotations().dist(layer.weight.detach(), target).max()) < 0.05:
            return step
        optimizer.zero_grad()
        (layer(torch.eye(3, dtype=F64).expand(4, 3, 3)) - target).square().sum().div(4).backward()
        optimizer.step()
    return 60


def test_large_turns_take_fewer_steps_on_the_manifold_of_rotations():
    best = {c: min(steps_to_a_turn(c, 3.0, rate) for rate in (0.1, 0.3, 1.0)) for c in ("axis", "manifold")}
    assert best["manifold"] <= 0.5 * best["axis"]


def test_rotation_mapping_in_either_coordinates_begins_with_the_same_rotations():
    axis, manifold = (RotationMapping(3, coordinates=c, generator=generator(5)) for c in ("axis", "manifold"))
    assert_close(axis.weight, manifold.weight)
    assert list(axis.state_dict()) == ["axis"] and list(manifold.state_dict()) == ["rotation"]
    with pytest.raises(MvnetError, match=r"^coordinates: found 'euler', expected 'axis' or 'manifold'"):
        RotationMapping(3, coordinates="euler")
