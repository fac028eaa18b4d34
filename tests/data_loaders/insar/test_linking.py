"""Phases of pairs brought to those of dates: they close, agree where they did, and err less."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.stacks.linking import edges_of, link_phases

EDGES = list(itertools.combinations(range(5), 2))


def turned(phase: np.ndarray) -> np.ndarray:
    return np.angle(np.exp(1j * phase))


def differences(dates: np.ndarray) -> np.ndarray:
    return turned(np.stack([dates[first] - dates[second] for first, second in EDGES]))


@pytest.fixture
def truth() -> np.ndarray:
    return differences(np.random.default_rng(0).uniform(-9, 9, (5, 400)))


def test_phases_that_close_stay(truth):
    quality = np.random.default_rng(1).uniform(0.2, 1, truth.shape)
    np.testing.assert_allclose(turned(link_phases(truth, quality, EDGES) - truth), 0, atol=1e-4)


def test_loops_close_and_errors_shrink(truth):
    rng = np.random.default_rng(2)
    quality = rng.choice([0.5, 0.95], truth.shape)
    noisy = turned(truth + rng.normal(size=truth.shape) * np.sqrt(-2 * np.log(quality)))
    linked = dict(zip(EDGES, link_phases(noisy, quality, EDGES)))
    for a, b, c in itertools.combinations(range(5), 3):
        np.testing.assert_allclose(turned(linked[a, b] + linked[b, c] - linked[a, c]), 0, atol=1e-4)
    error = np.stack([linked[edge] for edge in EDGES]) - truth
    assert np.square(turned(error)).mean() < 0.5 * np.square(turned(noisy - truth)).mean()


def test_a_constant_of_a_date_and_the_order_do_not_matter(truth):
    rng = np.random.default_rng(3)
    quality, noisy = rng.uniform(0.3, 0.99, truth.shape), truth + rng.normal(size=truth.shape)
    linked, shift = link_phases(noisy, quality, EDGES), differences(np.arange(5.0)[:, None])
    np.testing.assert_allclose(turned(link_phases(noisy + shift, quality, EDGES) - linked - shift), 0, atol=1e-3)
    reversed_ = link_phases(-noisy[::-1], quality[::-1], [(j, i) for i, j in EDGES[::-1]])
    np.testing.assert_allclose(turned(reversed_[::-1] + linked), 0, atol=1e-3)


def test_pairs_without_data_stay_and_parts_do_not_disturb_each_other(truth):
    quality = np.full(truth.shape, 0.9)
    for k, (first, second) in enumerate(EDGES):
        if (first < 2) != (second < 2):  # no pair between the dates 0, 1 and the others
            quality[k] = np.nan
    known = np.isfinite(quality)
    noisy = np.where(known, truth, np.nan)
    linked = link_phases(noisy, quality, EDGES)
    assert np.isnan(linked[~known]).all()
    np.testing.assert_allclose(turned(linked - truth)[known], 0, atol=1e-4)
    np.testing.assert_array_equal(link_phases(noisy, 0 * quality * np.nan, EDGES), noisy)


def test_dates_in_names():
    names = ["S1AA_20200101T101112_20200113T101112_VVP012", "20200113-20200125", "a_20200101_20200125"]
    assert edges_of(names) == [(0, 1), (1, 2), (0, 2)]
    with pytest.raises(DataError, match="found no two dates in the name of the pair pair_1"):
        edges_of([*names, "pair_1"])
    with pytest.raises(DataError, match="found 2 pairs of 3 dates"):
        edges_of(names[:2])
