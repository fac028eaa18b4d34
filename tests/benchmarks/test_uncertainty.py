"""The scores of `benchmarks.uncertainty`: right on laws whose scores are known."""

import math

import numpy as np
import pytest
import torch

from benchmarks.uncertainty.dti import crps, held
from benchmarks.uncertainty.insar_ambiguity import area


@pytest.fixture
def normal() -> tuple[torch.Tensor, torch.Tensor]:
    """128 draws and a truth of the same normal law, 4000 times."""
    random = torch.Generator().manual_seed(0)
    return torch.randn(128, 4000, generator=random), torch.randn(4000, generator=random)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_intervals_of_the_true_law_hold_their_share(normal, share):
    drawn, truth = normal
    assert held(drawn, truth, share) == pytest.approx(share, abs=0.02)
    assert held(drawn / 2, truth, share) < share - 0.1


def test_crps_of_a_normal_law(normal):
    drawn, truth = normal
    assert float(crps(drawn, truth).mean()) == pytest.approx(1 / math.sqrt(math.pi), abs=0.02)
    assert crps(drawn[:1], truth) == pytest.approx((drawn[0] - truth).abs())


def test_area_under_the_curve():
    score, event = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert area(score, event) == pytest.approx(0.75)
    assert area(np.ones(4), event) == pytest.approx(0.5)
    assert area(score, np.zeros(4, bool)) is None
