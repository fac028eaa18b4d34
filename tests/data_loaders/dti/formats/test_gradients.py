"""b-value and b-vector files."""

import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti.gradients import b0_limit, is_b0, name_volumes, read_gradients
from mvnet.data_loaders.dti.simulation.schemes import gradient_scheme, spread_directions
from mvnet.data_loaders.errors import DataError

BVALS, BVECS = (x.numpy().astype(float) for x in gradient_scheme(6, n_b0=2))
NO_B0 = BVALS.copy()
NO_B0[:2] = 300
MILLI = np.where(BVALS > 0, 1.0, 0.0)
MIXED = np.where(BVALS > 0, 1e9, 5.0)
FLAT = BVECS.copy()
FLAT[2:] = [[np.cos(a), np.sin(a), 0] for a in np.linspace(0, 2.5, 6)]
ZERO = BVECS.copy()
ZERO[4] = 0
NAN = BVECS.copy()
NAN[4] = np.nan
TWICE = BVECS.copy()
TWICE[4] = -BVECS[3]


@pytest.mark.parametrize("separator", [" ", ",", "\t"])
@pytest.mark.parametrize("columns", [False, True])
def test_rows_and_columns(columns, separator, tmp_path):
    np.savetxt(tmp_path / "b", BVALS[:, None] if columns else BVALS[None], delimiter=separator)
    np.savetxt(tmp_path / "v", BVECS if columns else BVECS.T, delimiter=separator)
    found = read_gradients(tmp_path / "b", tmp_path / "v", 8)
    np.testing.assert_allclose(found.bvals, BVALS)
    np.testing.assert_allclose(found.bvecs, BVECS, atol=1e-7)
    assert found.is_b0.tolist() == [True] * 2 + [False] * 6 and found.messages == []


@pytest.mark.parametrize("form", ["\ufeff{}", "{} \n\n", "# s/mm^2\n{}", "{},", "{}\r\n"])
def test_text_files_of_other_programs(form, tmp_path):
    text = form.format(" ".join(str(b) for b in BVALS))
    (tmp_path / "b").write_text(text, encoding="utf-8", newline="")
    np.testing.assert_allclose(read_gradients(tmp_path / "b", BVECS, 8).bvals, BVALS)


def test_vectors_of_b0_do_not_matter_and_others_are_normalised():
    vectors = 1.3 * BVECS
    vectors[0] = np.nan
    found = read_gradients(BVALS, vectors, 8)
    np.testing.assert_allclose(found.bvecs, BVECS, atol=1e-7)
    assert any("unit length" in line for line in found.messages)


def test_a_weighting_of_50_counts_as_weighted_when_read():
    weak = np.where(np.arange(8) == 7, 50.0, BVALS)
    assert read_gradients(weak, BVECS, 8).is_b0.sum() == (BVALS < 50).sum() == is_b0(torch.tensor(weak)).sum()


@pytest.mark.parametrize(
    ("bvals", "bvecs", "message"),
    [
        (BVALS[1:], BVECS, "bval: found 7 b-values, expected 8"),
        (BVALS, BVECS[1:], "bvec: found 7 vectors, expected 8"),
        (BVALS, BVECS[:, :2], "bvec: found shape"),
        (NO_B0, BVECS, "no b0"),
        (MILLI, BVECS, "ms/um.2 .the largest is 1., expected s/mm"),
        (MIXED, BVECS, "from 5 to 1e.09, expected s/mm"),
        (np.where(BVALS > 0, 40.0, 0.0), BVECS, "no weighted volume .the largest b-value is 40"),
        (0 * BVALS, BVECS, "no weighted volume"),
        (-BVALS, BVECS, "negative"),
        (BVALS, ZERO, "found 5 distinct directions"),  # of six, one has no vector and is left out
        (BVALS, NAN, "found 5 distinct directions"),
        (BVALS, 0 * BVECS, "no weighted volume with a direction"),
        (BVALS, TWICE, "found 5 distinct directions, expected at least 6"),
        (BVALS, FLAT, "do not determine"),
    ],
)
def test_unusable_gradients_are_refused(bvals, bvecs, message):
    with pytest.raises(DataError, match=message):
        read_gradients(bvals, bvecs, 8)


@pytest.mark.parametrize("text", ["", "0 1000 x", "0 1000\n1000", "\x00\xff"])
def test_files_that_are_no_tables_are_refused(text, tmp_path):
    (tmp_path / "b").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match="bval"):
        read_gradients(tmp_path / "b", BVECS, 8)
    with pytest.raises(DataError, match="no such file"):
        read_gradients(tmp_path / "none", BVECS, 8)


def test_directions_are_spread_antipodally():
    axes = np.array([[1, 0, 0], [-1, 0, 0.01], [0, 1, 0], [0.99, 0.1, 0], [0, 0, 1]], dtype=float)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    assert sorted(spread_directions(torch.from_numpy(axes), 3)) == [0, 2, 4]
    assert sorted(spread_directions(torch.from_numpy(axes), 5)) == [0, 1, 2, 3, 4]


def unit_length(norm: float | np.ndarray = 1.0):
    """Twelve directions after two b0, of a common or of given lengths."""
    bvals, bvecs = (x.numpy().astype(float) for x in gradient_scheme(12, n_b0=2))
    bvecs[2:] *= np.broadcast_to(norm, 12)[:, None]
    return bvals, bvecs


def test_weak_weighting_counts_as_none_where_nothing_is_weaker():
    bvals, bvecs = unit_length()
    bvals[:2] = 62.5, 64
    bvals[2:] += 62.5
    bvecs[0] = 1, 0, 0
    found = read_gradients(bvals, bvecs, 14)
    assert found.is_b0.tolist() == [True] * 2 + [False] * 12 and found.is_weighted.sum() == 12
    assert any("no b-value is below 50" in line and "62.5" in line for line in found.messages)
    np.testing.assert_array_equal(found.bvecs[:2], [[1, 0, 0], [0, 0, 0]])  # their weighting is known, and used
    assert is_b0(torch.tensor(bvals)).sum() == 2 and b0_limit(bvals) == pytest.approx(75)
    assert read_gradients(bvals, bvecs, 14, threshold=63).is_b0.sum() == 1
    assert read_gradients(bvals, bvecs, 14, threshold=70).messages == []


def test_volumes_of_b_5_are_b0():
    bvals, bvecs = unit_length()
    bvals[:2], bvecs[:2] = 5, [[0.6, 0.8, 0], [0, 0, 0]]
    bvals[2:] += np.random.default_rng(0).choice([-10, 0, 10], 12)
    found = read_gradients(bvals, bvecs, 14)
    assert found.is_b0.sum() == 2 and found.messages == []


def test_si_units_are_scaled_and_told():
    bvals, bvecs = unit_length()
    found = read_gradients(bvals * 1e6, bvecs, 14)
    np.testing.assert_allclose(found.bvals, bvals)
    assert len(found.messages) == 1 and "s/m^2" in found.messages[0] and found.messages[0].startswith("warning: ")


@pytest.mark.parametrize("vector", [0.0, np.nan])
def test_weighted_volumes_without_direction_are_left_out_by_number(vector):
    bvals, bvecs = unit_length()
    bvals, bvecs = np.r_[bvals, 1000, 2000], np.r_[bvecs, np.full((2, 3), vector)]
    found = read_gradients(bvals, bvecs, 16)
    assert found.usable.tolist() == [True] * 14 + [False] * 2
    assert not found.bvecs[14:].any() and found.is_b0.sum() == 2
    assert any("left out volumes 14, 15: b 1000, 2000" in line for line in found.messages)


def test_volumes_are_skipped_as_asked():
    bvals, bvecs = unit_length()
    found = read_gradients(bvals, bvecs, 14, skip=(0, 5, 6, 7))
    assert np.flatnonzero(~found.usable).tolist() == [0, 5, 6, 7]
    assert found.messages == ["left out as asked: volumes 0, 5 to 7"]
    for skip, words in (((14,), "found 14, expected numbers of volumes from 0 to 13"), ((0, 1), "no b0 volume")):
        with pytest.raises(DataError, match=words):
            read_gradients(bvals, bvecs, 14, skip=skip)
    with pytest.raises(DataError, match="all 14 volumes"):
        read_gradients(bvals, bvecs, 14, skip=range(14))
    assert name_volumes([3]) == "volume 3"


def test_lengths_of_vectors_beyond_any_b_value():
    bvals, bvecs = unit_length(np.full(12, 1.0))
    bvals[2:] = 1000
    bvecs[5] *= 1e20
    with pytest.raises(DataError, match=r"b-values: found 1e\+43 s/mm\^2, expected at most 1e\+06; b-vectors scale"):
        read_gradients(bvals, bvecs, 14)


def test_lengths_of_vectors_are_shells_when_there_is_one_b_value():
    lengths = np.repeat([1.0, 0.5**0.5], 6)
    bvals, bvecs = unit_length(lengths)
    bvals[2:] = 2000
    found = read_gradients(bvals, bvecs, 14)
    np.testing.assert_allclose(found.bvals[2:], 2000 * lengths**2)
    np.testing.assert_allclose(np.linalg.norm(found.bvecs[2:], axis=1), 1)
    assert any("b |g|^2 used, 1000 to 2000" in line for line in found.messages)
    # the nominal b-value is written for b0 as well: there a zero vector is none
    everywhere = read_gradients(np.full(14, 2000.0), bvecs, 14)
    np.testing.assert_allclose(everywhere.bvals, found.bvals)
    assert everywhere.is_b0.sum() == 2 and everywhere.usable.all()
    # shells that are written already are not scaled again
    both = read_gradients(found.bvals, bvecs, 14)
    np.testing.assert_allclose(both.bvals, found.bvals)
    assert any("normalised, b-values kept" in line for line in both.messages)
