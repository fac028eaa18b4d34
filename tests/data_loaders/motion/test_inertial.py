"""Rotations from angular rates and quaternions."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.inertial import continuous, integrate_gyroscope, rotations_of_quaternions


def angle(r, s):
    """Largest angle between rotations, radians."""
    return Rotation.from_matrix((r.swapaxes(-1, -2) @ s).reshape(-1, 3, 3)).magnitude().max()


def test_constant_rates_are_exact():
    w, times = np.array([0.3, -1.2, 2.0]), np.sort(np.random.default_rng(0).uniform(0, 5, 40))
    found = integrate_gyroscope(np.tile(w, (40, 1)), times)
    exact = Rotation.from_rotvec(np.outer(times - times[0], w)).as_matrix()
    assert angle(found, exact) < 1e-13


def test_fourth_order_for_rates_linear_in_time():
    """A quarter of the step has at most a 200th of the error, for rates that do not commute."""

    def end(steps):
        t = np.linspace(0, 2, steps + 1)
        return integrate_gyroscope(np.array([1.0, 0.5, -1]) + t[:, None] * [-1, 2, 0.7], t)[-1]

    exact = end(2048)
    errors = [angle(end(n), exact) for n in (8, 32)]
    assert errors[0] < 1e-2 and errors[1] < errors[0] / 200


def test_several_sensors_and_a_start():
    rng = np.random.default_rng(1)
    rates, times = rng.normal(size=(10, 2, 3)), np.arange(10) / 50
    start = Rotation.random(2, rng=rng).as_matrix()
    both = integrate_gyroscope(rates, times, start)
    for k in range(2):
        np.testing.assert_allclose(both[:, k], start[k] @ integrate_gyroscope(rates[:, k], times), atol=1e-14)
    assert integrate_gyroscope(rates[:1], times[:1]).shape == (1, 2, 3, 3)


@pytest.mark.parametrize(
    "rates, times, message",
    [
        (np.zeros((3, 3)), np.array([0, 1, 1]), "times: found a step back at frame 2"),
        (np.full((2, 3), np.nan), np.arange(2), "not finite"),
        (np.zeros((3, 4)), np.arange(3), r"\(frames, ..., 3\)"),
        (np.zeros((3, 3)), np.arange(4), r"with \(4,\) times"),
    ],
)
def test_rates_that_cannot_be_integrated(rates, times, message):
    with pytest.raises(DataError, match=message):
        integrate_gyroscope(rates, times)


def test_orders_of_quaternions():
    turns = Rotation.random(6, rng=np.random.default_rng(2))
    xyzw = 1.5 * turns.as_quat()
    for order, values in (("xyzw", xyzw), ("wxyz", 1.5 * turns.as_quat(scalar_first=True))):
        np.testing.assert_allclose(rotations_of_quaternions(values, order), turns.as_matrix(), atol=1e-14)
    none = [[0.0, 0, 0, 0], [np.nan, 0, 0, 1], [0, 1e205, 0, 1], [0, 1e-205, 0, 0]]
    gone = rotations_of_quaternions(np.array([*none, [0, 0, 0, 1.0]]), "xyzw")
    assert np.isnan(gone[:-1]).all() and (gone[-1] == np.eye(3)).all()
    with pytest.raises(DataError, match="wxyz or xyzw"):
        rotations_of_quaternions(xyzw, "zyxw")


def test_continuous_signs():
    smooth = Rotation.from_rotvec(np.linspace(0, 9, 50)[:, None] * [0, 0.6, 0.8]).as_quat(canonical=False)
    signs = np.random.default_rng(3).choice([-1.0, 1.0], size=(50, 1))
    found = continuous(smooth * signs)
    assert (np.sum(found[1:] * found[:-1], axis=-1) > 0).all()
    np.testing.assert_allclose(np.abs(np.sum(found * smooth, axis=-1)), 1, atol=1e-14)
