"""b-value and b-vector files."""

import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti.gradients import is_b0, read_gradients
from mvnet.data_loaders.dti.simulation.schemes import gradient_scheme, spread_directions
from mvnet.data_loaders.errors import DataError

BVALS, BVECS = (x.numpy().astype(float) for x in gradient_scheme(6, n_b0=2))
NO_B0 = BVALS.copy()
NO_B0[:2] = 60
TEN = np.where(BVALS > 0, 1.0, 0.0)
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
        (TEN, BVECS, "expected s/mm"),
        (-BVALS, BVECS, "negative"),
        (BVALS, ZERO, "zero or non-finite vector"),
        (BVALS, NAN, "zero or non-finite vector"),
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
