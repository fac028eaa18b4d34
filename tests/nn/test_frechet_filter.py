"""The Frechet filter stays in the span of its neighbours; sums, distances and gradients against plain code."""

import torch

from mvnet.equivariant import field_type, group
from mvnet.linalg import sym3
from mvnet.manifolds import SPD
from mvnet.nn.frechet_filter import NEIGHBOURS, FrechetFilter, dissimilarity, isotropic_part, neighbourhood_mean

PLAIN = field_type(group("E"), {"trivial": 4})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spd_field(*shape: int, seed: int = 0) -> torch.Tensor:
    """(B, 6, D, H, W) float64."""
    batch, *space = shape
    points = SPD(3).random_point((batch, *space), generator=generator(seed), dtype=torch.float64)
    return sym3.pack(points, dim=1)


def randomise(module: torch.nn.Module, scale: float = 0.3) -> torch.nn.Module:
    random = generator(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=random, dtype=parameter.dtype))
    return module


def test_neighbourhood_mean_is_the_plain_sum():
    logs = torch.randn(1, 6, 3, 4, 5, generator=generator(), dtype=torch.float64)
    weights = torch.rand(1, 27, 3, 4, 5, generator=generator(), dtype=torch.float64)
    out = neighbourhood_mean(logs, weights)
    for voxel in ((0, 0, 0), (1, 2, 3), (2, 3, 4)):
        expected = torch.zeros(6, dtype=torch.float64)
        for q, offset in enumerate(NEIGHBOURS):
            at = [v + o - 1 for v, o in zip(voxel, offset)]
            if all(0 <= a < n for a, n in zip(at, logs.shape[2:])):
                expected += weights[0, q, *voxel] * logs[0, :, *at]
        torch.testing.assert_close(out[0, :, *voxel], expected)


def test_neighbourhood_mean_gradient():
    logs = torch.randn(2, 6, 3, 2, 2, generator=generator(), dtype=torch.float64, requires_grad=True)
    weights = torch.rand(2, 27, 3, 2, 2, generator=generator(), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(neighbourhood_mean, (logs, weights))


def test_dissimilarity_knows_distances_and_not_rotations():
    logs = torch.randn(1, 6, 4, 4, 4, generator=generator(), dtype=torch.float64)
    mask = torch.ones(1, 1, 4, 4, 4, dtype=torch.float64)
    mask[..., 0] = 0
    out = dissimilarity(logs, mask)
    q, voxel, other = NEIGHBOURS.index((2, 1, 0)), (1, 2, 3), (2, 2, 2)
    distance = (logs[0, :, *voxel] - logs[0, :, *other]).square().sum()
    torch.testing.assert_close(out[0, q, *voxel], ((distance + 0.01) / 0.1).log())
    assert bool((out[..., 0] == 0).all()) and bool((out[0, q, :, :, 1] == 0).all())
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator(1), dtype=torch.float64))
    turned = sym3.pack(turn @ sym3.unpack(logs, dim=1) @ turn.mT, dim=1)
    torch.testing.assert_close(dissimilarity(turned, mask), out)


def test_the_filter_keeps_a_constant_field_and_ignores_what_is_outside_the_mask():
    layer = randomise(FrechetFilter(PLAIN).double())
    features = torch.randn(1, 4, 5, 5, 5, generator=generator(), dtype=torch.float64)
    mask = torch.ones(1, 1, 5, 5, 5, dtype=torch.float64)
    mask[..., 3:] = 0
    logs = sym3.log(spd_field(1, 1, 1, 1)).expand(1, 6, 5, 5, 5).clone()
    logs[..., 3:] = 1e6
    out = layer(features, dissimilarity(logs, mask), logs, mask)
    torch.testing.assert_close(out[..., :3], logs[..., :3])


def test_the_filter_weighs_the_isotropic_part_separately():
    """Its further logits change tr(log z') and nothing else; without them both parts have the same weights."""
    layer = FrechetFilter(PLAIN).double()
    randomise(layer)
    features = torch.randn(1, 4, 5, 5, 5, generator=generator(), dtype=torch.float64)
    mask = torch.ones(1, 1, 5, 5, 5, dtype=torch.float64)
    logs = sym3.log(spd_field(1, 5, 5, 5))
    apart = layer(features, dissimilarity(logs, mask), logs, mask)
    with torch.no_grad():
        for branch in (layer.size_logits, layer.size_distances):
            for parameter in branch.parameters():
                parameter.zero_()
    together = layer(features, dissimilarity(logs, mask), logs, mask)
    change = apart - together
    assert float(isotropic_part(change).detach().abs().min()) > 1e-6
    torch.testing.assert_close(change[:, :3], isotropic_part(change).expand(-1, 3, -1, -1, -1) / 3**0.5)
    torch.testing.assert_close(change[:, 3:], torch.zeros_like(change[:, 3:]))
    inside = torch.softmax(layer.logits(features) + layer.distances(dissimilarity(logs, mask)) + layer.prior, 1)
    middle = neighbourhood_mean(logs, inside)[..., 1:-1, 1:-1, 1:-1]
    torch.testing.assert_close(together[..., 1:-1, 1:-1, 1:-1], middle)
