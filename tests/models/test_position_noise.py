"""Noise is a function of the seed, the number and the place: every window has the values of every other."""

import pytest
import torch

from mvnet.errors import MvnetError
from mvnet.models.position_noise import position_noise


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_windows_agree_where_they_overlap(axes):
    whole = position_noise([slice(-40, 150)] * axes, 7, 3)
    part = position_noise([slice(-5, 131)] * axes, 7, 3)
    assert torch.equal(whole[(slice(35, 171),) * axes], part)


def test_it_is_standard_normal_and_white():
    noise = position_noise([slice(-200, 312)] * 2, 0, 0)
    assert noise.dtype == torch.float32
    assert abs(float(noise.mean())) < 0.01 and abs(float(noise.std()) - 1) < 0.01
    for other in (noise.roll(1, 0), noise.roll(1, 1), noise.roll(128, 0), noise.roll(128, 1)):
        assert abs(float((noise * other).mean())) < 0.01


def test_seeds_and_numbers_are_other_noise():
    window = [slice(0, 64)] * 2
    drawn = [position_noise(window, seed, number) for seed, number in ((0, 0), (0, 1), (1, 0), (1, 1), (2**32, 0))]
    for i, a in enumerate(drawn):
        for b in drawn[:i]:
            assert abs(float((a * b).mean())) < 0.1
    assert torch.equal(drawn[2], position_noise(window, 1, 0))


@pytest.mark.parametrize(("window", "seed"), [([], 0), ([slice(0, 1)] * 4, 0), ([slice(0, 1)], -1)])
def test_what_cannot_be_is_refused(window, seed):
    with pytest.raises(MvnetError, match="expected one to three axes"):
        position_noise(window, seed, 0)
