"""The peers and the measures of `benchmarks.field_motion`, small."""

import numpy as np
import pytest
import torch

from benchmarks.field_motion import denoise
from benchmarks.field_motion.peers import PEERS, hampel, quaternions
from mvnet.data_loaders.motion.training.corruption import Damage, damage_rotations
from mvnet.models.motion.curves import RotationCurves
from tests.models.motion.curves import jitter, smooth_rotations

KIND = RotationCurves()


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_peers_keep_what_is_still_and_smooth_what_is_noisy(peer):
    still = smooth_rotations(1, 2).expand(80, -1, -1, -1).numpy()
    middle = peer.grid[len(peer.grid) // 2]
    assert np.allclose(peer.smooth(still, 100.0, middle), still, atol=1e-6)
    clean = smooth_rotations(80, 2, speed=0.03)
    noisy = jitter(clean, 0.1)
    errors = [
        KIND.distance(torch.from_numpy(peer.smooth(noisy.numpy(), 100.0, value)), clean).mean() for value in peer.grid
    ]
    assert min(errors) < 0.75 * KIND.distance(noisy, clean).mean()


def test_signs_of_quaternions_follow_each_other():
    angle = torch.linspace(0, 12, 100).double()
    axis = torch.tensor([0.0, 0, 1]).double()
    from mvnet.linalg import so3

    q = quaternions(so3.exp(angle.unsqueeze(-1) * axis).unsqueeze(1).numpy())
    assert (np.abs(np.diff(q, axis=0)).max()) < 0.1


def test_the_filter_of_spikes_for_peers():
    clean = smooth_rotations(300, 3, speed=0.02)
    found = damage_rotations(clean, Damage(0.02, spikes=0.03), torch.Generator().manual_seed(0))
    kept = hampel(found.values, found.seen)
    assert float((~kept[found.spike]).double().mean()) > 0.8 and float(kept[~found.spike].double().mean()) > 0.9


def test_scores_are_means_in_degrees():
    clean = smooth_rotations(50, 3)
    score = denoise.Score.of(jitter(clean, 0.05), clean).degrees()
    assert score["error"] == pytest.approx(0.05 * 180 / np.pi * 1.596, rel=0.1)
    assert score["acceleration"] > 5 * score["true_acceleration"]
    assert denoise.Score.of(clean, clean).degrees()["error"] == pytest.approx(0, abs=1e-5)


def test_cells_are_of_the_noise_they_name():
    names = [name for name, _ in denoise.cells(False)]
    assert len(names) == len(set(names)) == 12 and len(list(denoise.cells(True))) == 2
    assert dict(denoise.cells(False))["10 degrees correlated, spikes, gaps"].noise == pytest.approx(0.1745, abs=1e-4)
