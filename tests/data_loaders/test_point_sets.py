"""Two classes of points, seeded, with the geometry that their names promise."""

from __future__ import annotations

import pytest
import torch

from mvnet.data_loaders.point_sets import POINT_SETS, SIZE


@pytest.mark.parametrize("name", POINT_SETS)
def test_every_set(name):
    points, labels = POINT_SETS[name](501, torch.Generator().manual_seed(0))
    again, _ = POINT_SETS[name](501, torch.Generator().manual_seed(0))
    assert torch.equal(points, again)
    assert points.shape == (501, 3 if name == "shell" else 2) and labels.unique().tolist() == [0, 1]
    assert points.abs().max() < 1.2 * SIZE
    assert 200 < labels.sum() < 300


def test_nested_sets_have_a_gap():
    for name in ("donut", "shell"):
        points, labels = POINT_SETS[name](400, torch.Generator().manual_seed(1))
        radius = points.norm(dim=-1) / SIZE
        assert radius[labels == 0].max() <= 0.5 < 0.6 <= radius[labels == 1].min() + 1e-6
        assert radius.max() <= 1 + 1e-6
