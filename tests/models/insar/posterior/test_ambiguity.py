"""How often samples disagree about an ambiguity: whole turns count, free constants and noise do not."""

import math

import numpy as np
import pytest

from mvnet.errors import MvnetError
from mvnet.models.insar.posterior.ambiguity import ambiguity_map, most_frequent

TURN = 2 * math.pi


def wrapped(x):
    return np.angle(np.exp(1j * x))


def test_turns_are_counted_and_constants_are_not():
    random = np.random.default_rng(0)
    true = np.linspace(0, 30, 40 * 40).reshape(40, 40)
    valid = np.ones(true.shape, bool)
    valid[:, 20] = False  # two parts, with a constant each
    wrong = np.zeros(true.shape, bool)
    wrong[5:10, 5:10] = True
    samples = [wrapped(true + random.uniform(-2, 2, true.shape)) for _ in range(8)]
    calls = iter(range(8))

    def unwrap(drawn):
        """The truth with the noise of the sample, constants of its own, and a turn in every other one."""
        k = next(calls)
        found = true + wrapped(drawn - true) + TURN * k
        found[:, 21:] -= TURN * 3
        return found + TURN * wrong * (k % 2)

    found = ambiguity_map(wrapped(true), true, valid, samples, unwrap)
    assert np.array_equal(np.isnan(found), ~valid)
    assert (found[wrong] == 0.5).all() and (found[valid & ~wrong] == 0).all()


def test_most_frequent_of_every_part():
    values = np.array([[-3, -3, 5, 7], [-3, 2, 7, 7]])
    parts = np.array([[1, 1, 0, 2], [1, 1, 2, 2]])
    assert most_frequent(values, parts).tolist() == [[-3, -3, 0, 7], [-3, -3, 7, 7]]


def test_no_sample():
    one = np.zeros((3, 3))
    with pytest.raises(MvnetError, match="samples: found none"):
        ambiguity_map(one, one, one == 0, [], lambda x: x)
