"""Means over the nearest points: only where data are sparse, symmetric, and no worse than what they average."""

import math

import torch

from mvnet.manifolds.circle import wrap
from mvnet.models.insar.inference import denoise_interferogram, overlap_of
from mvnet.models.insar.points import REACH, average_points
from tests.models.insar.test_network import generator, noisy, small_model


def points(share: float, side: int = 90, seed: int = 0):
    """A plane with errors of .4 rad at a share of the pixels: phase, validity, truth."""
    line = torch.arange(side, dtype=torch.float64)
    truth = 0.03 * line[:, None] + 0.05 * line
    phase = wrap(truth + 0.4 * torch.randn(side, side, generator=generator(seed), dtype=torch.float64))
    return phase, torch.rand(side, side, generator=generator(seed + 1)) < share, truth


def rmse(phase, truth, valid):
    return float(wrap(phase - truth)[valid].square().mean().sqrt())


def test_points_are_averaged_and_dense_data_are_not():
    for share in (0.03, 0.06, 0.09):
        phase, valid, truth = points(share)
        found = average_points(phase, valid)
        assert rmse(found, truth, valid) < 0.5 * rmse(phase, truth, valid)
        assert torch.equal(found[~valid], phase[~valid])
    phase, valid, _ = points(0.3)
    assert torch.equal(average_points(phase, valid), phase)


def test_fringes_denser_than_points_stay():
    phase, valid, _ = points(0.05)
    steep = wrap(2.0 * torch.arange(90, dtype=torch.float64) + 0 * phase)
    assert float(wrap(average_points(steep, valid) - steep)[valid].abs().median()) == 0


def test_it_is_symmetric_and_local():
    phase, valid, _ = points(0.06)
    found = average_points(phase, valid)
    for move in (lambda x: x.flip(0), lambda x: x.T, lambda x: x.rot90()):
        assert float(wrap(average_points(move(phase), move(valid)) - move(found)).abs().max()) < 1e-12
    assert float(wrap(average_points(wrap(phase + 1), valid) - found - 1)[valid].abs().max()) < 1e-12
    part = slice(20 - REACH, 60 + REACH)
    cut = average_points(phase[part, part], valid[part, part])[REACH:-REACH, REACH:-REACH]
    assert float(wrap(cut - found[20:60, 20:60]).abs().max()) < 1e-12


def test_tiles_of_points_have_no_seam():
    model = small_model()
    side = 2 * (overlap_of(model) + 2 * model.alignment)
    z, valid = noisy(side, side), torch.rand(side, side, generator=generator(3)) < 0.07
    one, many = (denoise_interferogram(model, z, valid=valid, block=block) for block in (side, 16))
    assert float(wrap(one.phase - many.phase)[valid].abs().max()) < 1e-9 * math.pi
