"""Two-layer ReLU networks as measures: the flows of (62) and (63), what they keep, and the largest margin."""

from __future__ import annotations

import copy
import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from mvnet.errors import MvnetError
from mvnet.optim import MeasureFlow, ReLUMeasure, largest_margin, margin_of
from mvnet.optim.wasserstein import balance

DOUBLE = torch.float64


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def regression(dtype: torch.dtype = DOUBLE) -> tuple[Tensor, Tensor]:
    """Inputs, and the outputs of a teacher of four neurons."""
    x = torch.randn(40, 2, generator=random(1), dtype=dtype)
    return x, 4 * ReLUMeasure.random(4, 2, generator=random(2), dtype=dtype)(x).detach()


def flow(measure: ReLUMeasure, steps: int, x: Tensor, y: Tensor, lr: float = 0.5, **options) -> list[Tensor]:
    """Losses, without the regulariser, before each step."""
    optimizer, losses = MeasureFlow(measure, lr, **options), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (measure(x) - y).square().mean(-1) / 2
        loss.sum().backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def student(neurons: int = 32, dtype: torch.dtype = DOUBLE, **options) -> ReLUMeasure:
    return ReLUMeasure.random(neurons, 2, generator=random(3), dtype=dtype, **options)


def test_a_measure_is_the_network_61() -> None:
    measure, x = student(5), torch.randn(7, 2, generator=random(), dtype=DOUBLE)
    expected = torch.zeros(7, dtype=DOUBLE)
    for a, b, c in zip(measure.a, measure.b, measure.c, strict=True):
        expected += c * (x @ a + b).clamp_min(0) / 5
    torch.testing.assert_close(measure(x), expected)
    assert float(measure.invariant.detach().abs().max()) < 1e-14  # on the cone of Theorem 6.1


def test_networks_side_by_side_are_trained_apart() -> None:
    x, y = regression()
    both = student(6, batch=(3,))
    one = ReLUMeasure(both.a[1].detach().clone(), both.b[1].detach().clone(), both.c[1].detach().clone())
    flow(both, 20, x, y)
    flow(one, 20, x, y)
    torch.testing.assert_close(both.a[1], one.a, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("invariant", [-0.7, 0.0, 0.7])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_balance(invariant: float, dtype: torch.dtype) -> None:
    inner, outer = torch.rand(2, 100, generator=random(), dtype=dtype) + 1e-3
    wanted = torch.full_like(inner, invariant)
    s = balance(inner, outer, wanted)
    scale = outer / s.square() + s.square() * inner
    error = (outer / s.square() - s.square() * inner - wanted).abs() / scale
    assert float(error.max()) <= 20 * torch.finfo(dtype).eps
    # dead neurons are left alone
    assert balance(torch.zeros(1), torch.zeros(1), torch.zeros(1)).item() == 1


@pytest.mark.parametrize(("dtype", "bar"), [(torch.float32, 2e-5), (DOUBLE, 1e-13)])
def test_the_invariant_is_kept(dtype: torch.dtype, bar: float) -> None:
    x, y = regression(dtype)
    kept, drifting = student(dtype=dtype), student(dtype=dtype)
    for measure in (kept, drifting):
        with torch.no_grad():
            measure.c.mul_(1.3)  # off the cone
    before = kept.invariant.detach().clone()
    kept_losses, losses = flow(kept, 150, x, y), flow(drifting, 150, x, y, keep=False)
    assert (kept.invariant - before).abs().max().item() <= bar
    assert (drifting.invariant - before).abs().max().item() > 1e-2
    assert kept_losses[-1].item() == pytest.approx(losses[-1].item(), rel=0.5)


def test_scaling_leaves_the_network_as_it_is() -> None:
    measure, x = student(), torch.randn(9, 2, generator=random(), dtype=DOUBLE)
    before = measure(x)
    with torch.no_grad():
        s = balance(measure.a.square().sum(-1), measure.c.square(), torch.full_like(measure.c, 0.4))
        measure.a.mul_(s.unsqueeze(-1))
        measure.b.mul_(s)
        measure.c.div_(s)
    torch.testing.assert_close(measure(x), before, rtol=1e-12, atol=1e-14)


def test_the_step_is_one_of_the_flow() -> None:
    """theta_j' = - J dE/dtheta_j, to first order in h."""
    x, y = regression()
    errors = []
    for h in (1e-3, 5e-4):
        measure = student()
        (measure(x) - y).square().mean().div(2).backward()
        assert measure.a.grad is not None
        expected = measure.a.detach() - h * 32 * measure.a.grad
        flow(measure, 1, x, y, lr=h)
        errors.append((measure.a - expected).norm().item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.05)


def test_regulariser_lets_the_invariant_fall_exactly() -> None:
    x, y = regression()
    measure = student()
    with torch.no_grad():
        measure.c.mul_(1.3)
    before = measure.invariant.detach().clone()
    flow(measure, 100, x, y, lr=0.2, regulariser=0.01)
    torch.testing.assert_close(measure.invariant, before * math.exp(-4 * 0.01 * 0.2 * 100), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("metric", ["wasserstein", "fisher-rao", "wasserstein-fisher-rao"])
@pytest.mark.parametrize("regulariser", [0.0, 1e-3])
def test_every_flow_descends(metric: str, regulariser: float) -> None:
    x, y = regression()
    measure = student()
    losses = []
    for _ in range(60):
        with torch.no_grad():
            energy = (measure(x) - y).square().mean() / 2 + regulariser * (measure.weight * measure.size).sum()
        losses.append(energy.item())
        flow(measure, 1, x, y, lr=0.05, metric=metric, regulariser=regulariser)
        assert measure.weight.sum().item() == pytest.approx(1)
    assert all(b < a for a, b in pairwise(losses))


def test_fisher_rao_moves_masses_and_wasserstein_neurons() -> None:
    x, y = regression()
    for metric, moves, weighs in (("wasserstein", True, False), ("fisher-rao", False, True)):
        measure = student()
        before = copy.deepcopy(measure)
        flow(measure, 3, x, y, metric=metric)
        assert torch.equal(measure.a, before.a) != moves
        assert torch.equal(measure.weight, before.weight) != weighs


def test_wide_networks_reach_the_teacher() -> None:
    """The loss falls with the width (Theorem 6.1); four neurons may be caught in a local minimum."""
    x, y = regression()
    worst = {J: float(flow(student(J, batch=(3,)), 150, x, y)[-1].max()) for J in (2, 64)}
    assert worst[64] < 1e-2 and worst[64] < 0.1 * worst[2]


def test_state_of_a_measure_is_that_of_its_parameters() -> None:
    x, y = regression()
    measure, other = student(), student(8)
    flow(measure, 5, x, y, metric="wasserstein-fisher-rao")
    other = ReLUMeasure(*(torch.zeros_like(p) for p in (measure.a, measure.b, measure.c)))
    other.load_state_dict(measure.state_dict())
    assert torch.equal(other(x), measure(x))


# ---- largest margin ----


def classes() -> tuple[Tensor, Tensor]:
    """Points around the corners of a square, opposite ones of one class."""
    corners = torch.tensor([[1.0, 1], [-1, -1], [1, -1], [-1, 1]], dtype=DOUBLE)[torch.arange(16) % 4]
    return corners + 0.3 * torch.randn(16, 2, generator=random(), dtype=DOUBLE), corners.prod(-1)


def test_margin_of_the_linear_programme() -> None:
    pytest.importorskip("scipy.optimize")
    x, y = classes()
    best = largest_margin(x, y, directions=300)
    # feasible: its norm is 1, its smallest margin the value of the programme
    assert float(best.masses.abs().sum()) == pytest.approx(1, abs=1e-9)
    assert float((y * best(x)).min()) == pytest.approx(best.margin, abs=1e-9)
    # more directions, no smaller margin
    assert largest_margin(x, y, directions=300, also=student()).margin >= best.margin - 1e-12


def test_flow_tends_to_the_largest_margin() -> None:
    pytest.importorskip("scipy.optimize")
    x, y = classes()
    measure = student(48)
    optimizer = MeasureFlow(measure, 2.0)
    margins = []
    for step in range(301):
        if step in (100, 300):
            margins.append(margin_of(measure, x, y).item())
        optimizer.zero_grad()
        softplus(-y * measure(x)).mean().backward()
        optimizer.step()
    best = largest_margin(x, y, directions=300, also=measure).margin
    assert margins[0] < margins[1] <= best
    assert margins[1] > 0.8 * best


# ---- bad input ----


def test_bad_input() -> None:
    measure = student(4)
    with pytest.raises(MvnetError, match="metric: found 'magic'"):
        MeasureFlow(measure, metric="magic")
    with pytest.raises(MvnetError, match=r"regulariser: found -1\.0"):
        MeasureFlow(measure, regulariser=-1.0)
    with pytest.raises(MvnetError, match="measure: found Linear"):
        MeasureFlow(torch.nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(MvnetError, match="a, b, c: found shapes"):
        ReLUMeasure(torch.zeros(3, 2), torch.zeros(3), torch.zeros(4))
    with pytest.raises(MvnetError, match="gradient: found 3 of"):
        measure.weight.requires_grad_(False)
        flow(measure, 1, *regression())
    with pytest.raises(MvnetError, match="y: found"):
        largest_margin(torch.zeros(2, 2), torch.zeros(2))
