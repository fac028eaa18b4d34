"""The denoiser that cannot amplify: its pair maps, its theorem under attack, its two metrics, whole volumes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.linalg import affine_invariant, sym3
from mvnet.models.amplification import strongest_direction
from mvnet.models.dti.adaptation import adapt
from mvnet.models.dti.certified.guarantees import verify_certified
from mvnet.models.dti.certified.inference import denoise_features
from mvnet.models.dti.certified.network import METRICS, CertifiedDenoiser, Round
from mvnet.models.dti.certified.pairs import KNOTS, OFFSETS, average, moved_share
from mvnet.models.dti.guarantees import random_volume

SMALL = {"fields": {"trivial": 2, "faces": 1}, "rounds": 2, "length": 1.5, "convolutions": 1}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small_model(metric: str = METRICS[0], **options) -> CertifiedDenoiser:
    """With random weights in every part, float64, and steps on their simplex."""
    generator = torch.Generator().manual_seed(3)
    model = CertifiedDenoiser(**SMALL | options, metric=metric, generator=generator).double()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.4 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    model.steps.project_()
    return model


def round_of(model: CertifiedDenoiser, k: int) -> Round:
    found = model.rounds[k]
    assert isinstance(found, Round)
    return found


def volume() -> tuple[Tensor, Tensor]:
    """Tensors (1, 6, ...) and side information (1, 12, ...)."""
    planes = random_volume(1, (1.0, 1.0, 1.5), torch.float64)[..., :6, :5, :4]
    return planes[:, :6].contiguous(), planes[:, 6:].contiguous()


def test_share_is_that_of_the_integral_of_the_slopes():
    distance, slopes = torch.linspace(0.2, 9, 500, dtype=torch.float64), torch.tensor([-0.7, 0.3, 0.9, 1.0])
    scale, strength = torch.tensor(1.3, dtype=torch.float64), torch.tensor(0.6, dtype=torch.float64)
    fine = torch.linspace(0, 9, 200001, dtype=torch.float64)
    slope = slopes[torch.bucketize(fine, scale * torch.tensor(KNOTS[1:]), right=True)].double()
    integral = torch.cumulative_trapezoid(slope, fine).to(torch.float64)
    s = integral[(distance / fine[1]).round().long() - 1]
    expected = (1 - (0.4 + 0.6 * s / distance)) / 2
    assert torch.allclose(moved_share(distance, scale, strength, slopes), expected, atol=1e-4)


def test_pair_map_is_a_proximal_map():
    """s(d) = d / (1 + 2 c) is the resolvent of c/2 |x - y|^2: x' + c (x' - y') = x, y' + c (y' - x') = y."""
    c, (x, y) = 0.7, normal(2, 6)
    d = (y - x).norm()
    t = moved_share(d, torch.tensor(0.5), torch.tensor(1.0), torch.full((len(KNOTS),), 1 / (1 + 2 * c)).double())
    a, b = x + t * (y - x), y - t * (y - x)
    assert torch.allclose(a + c * (a - b), x) and torch.allclose(b + c * (b - a), y)


def test_offsets_are_the_neighbours():
    vectors = {o.vector for o in OFFSETS} | {tuple(-v for v in o.vector) for o in OFFSETS}
    assert len(OFFSETS) == 13 and len(vectors) == 26


def test_average_keeps_the_mean():
    size, shape, maps = normal(2, 1, 4, 3, 5), normal(2, 6, 4, 3, 5, seed=1), normal(2, 4, 27, 4, 3, 5, seed=2)
    mask, weights = (normal(2, 1, 4, 3, 5, seed=3) > -1).double(), torch.full((2, 13), 1 / 26, dtype=torch.float64)
    slopes = torch.tensor([[-0.5, 0.2, 0.8, 1.0]] * 2, dtype=torch.float64)
    for before, after in zip((size, shape), average(size, shape, mask, maps, weights, slopes), strict=True):
        assert torch.allclose(before.sum((2, 3, 4)), after.sum((2, 3, 4)))
        assert torch.equal(
            (before != after).any(1, keepdim=True) & (mask == 0), torch.zeros_like(mask, dtype=torch.bool)
        )


@pytest.mark.parametrize("metric", METRICS)
def test_what_the_theorem_says_holds_for_any_weights(metric):
    model = small_model(metric)
    found = verify_certified(model, 0, count=16 if metric == METRICS[0] else 8)
    assert [g.name for g in found if not g.holds] == []
    assert max(g.value for g in found if g.name.startswith("largest change")) > 0.5, "the attack found nothing"
    assert len(found) == (13 if metric == METRICS[0] else 6)


def test_both_metrics_are_near_each_other():
    """For the weights of resolvents: the two are Lie-Trotter and average of one flow."""
    tensors, side = volume()
    flat, curved = (small_model(metric, rounds=1, length=0.1) for metric in METRICS)
    for model in (flat, curved):
        round_of(model, 0).slopes.data.clamp_(min=0)
    moved = affine_invariant.dist(flat(tensors, side), tensors).mean()
    assert affine_invariant.dist(flat(tensors, side), curved(tensors, side)).mean() < 0.2 * moved


@pytest.mark.parametrize("metric", METRICS)
def test_gradients_are_finite_where_neighbours_are_equal(metric):
    model, (tensors, side) = small_model(metric), volume()
    same = tensors[..., :1, :1, :1].expand_as(tensors).clone().requires_grad_()
    model(same, side).square().sum().backward()
    assert same.grad is not None and same.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_idle_rounds_are_dropped():
    model, (tensors, side) = small_model(rounds=3), volume()
    model.steps.raw.data.copy_(torch.tensor([1.0, 0.0, 0.5]))
    voxels = round_of(model, 1).voxels
    assert voxels.bias is not None
    voxels.weight.data.zero_()
    voxels.bias.data.copy_(torch.tensor([0.0, 40.0]))  # neither shift nor contraction
    before = model(tensors, side)
    assert model.drop_idle_rounds() == 2 and model.config["rounds"] == 2 and model.config["length"] == 1.5
    assert torch.allclose(model(tensors, side), before, atol=1e-12)
    assert [k for k, v in CertifiedDenoiser(**model.config).state_dict().items()] == list(model.state_dict())


@pytest.mark.parametrize("metric", METRICS)
def test_tiles_have_no_seams(metric):
    model, (tensors, side) = small_model(metric), volume()
    mask = side[0, 0] > 0
    whole = denoise_features(model, tensors[0], mask, side[0])
    tiled = denoise_features(model, tensors[0], mask, side[0], block=3, workers=2)
    assert torch.allclose(whole, tiled, rtol=1e-12) and torch.equal(whole[:, ~mask], tensors[0][:, ~mask])
    single = denoise_features(model.float(), tensors[0].float(), mask, side[0].float())
    assert torch.allclose(single.double(), whole, rtol=2e-5, atol=2e-6)


def test_strength_is_a_share_of_the_geodesic():
    model, (tensors, side) = small_model(), volume()
    mask, (x,) = side[0, 0] > 0, tensors
    ends = [denoise_features(model, x, mask, side[0], strength=s) for s in (0.0, 0.5, 1.0)]
    logs = [sym3.log(end, dim=0)[:, mask] for end in ends]
    assert torch.allclose(ends[0], x) and torch.allclose(logs[1], (logs[0] + logs[2]) / 2)


def test_attack_finds_the_largest_singular_value():
    matrix = normal(12, 12)
    direction = strongest_direction(
        lambda x: (x.flatten(1) @ matrix.T).view_as(x), normal(1, 3, 2, 2), torch.ones(1), 200, torch.Generator()
    )
    assert float((matrix @ direction.flatten()).norm()) == pytest.approx(
        float(torch.linalg.svdvals(matrix)[0]), rel=1e-3
    )


def test_what_cannot_be():
    with pytest.raises(MvnetError, match="metric: found 'flat', expected one of log-euclidean"):
        CertifiedDenoiser(metric="flat")
    with pytest.raises(MvnetError, match="length: found 7, expected a positive number of at most 6"):
        CertifiedDenoiser(length=7)
    with pytest.raises(MvnetError, match="features: found 3 planes, expected 12"):
        small_model().filter_logs(volume()[0], volume()[0][:, :3])
    with pytest.raises(MvnetError, match="adapt: found a CertifiedDenoiser"):
        adapt(small_model(), None)  # type: ignore[arg-type]
