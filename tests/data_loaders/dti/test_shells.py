"""Which volumes are fitted: shells, b0 thresholds, volumes left out."""

import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti import DataError, load_dwi
from mvnet.data_loaders.dti.fit.missing import find_missing
from mvnet.data_loaders.dti.fit.shells import describe, select_volumes, shells_of
from mvnet.data_loaders.dti.fit_options import FitOptions
from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_dwi
from mvnet.metrics import mean_diffusivity


def _shells(*counts_and_b, n_b0=3):
    """b-values and b-vectors of some shells, the b0 first."""
    parts = [gradient_scheme(n, b=b, n_b0=n_b0 if k == 0 else 1, seed=k) for k, (n, b) in enumerate(counts_and_b)]
    parts = [[x[0 if k == 0 else 1 :] for x in part] for k, part in enumerate(parts)]
    return tuple(torch.cat(x).double().numpy() for x in zip(*parts, strict=True))


BVALS, BVECS = _shells((30, 1000.0), (30, 2000.0), (60, 3000.0))


def _fitted(options, bvals=BVALS, bvecs=BVECS):
    chosen = select_volumes(bvals, bvecs, options)
    return sorted(np.unique(bvals[chosen.used]).tolist()), chosen


def test_shells_up_to_1500_are_fitted_and_told():
    shells, chosen = _fitted(FitOptions())
    assert shells == [0, 1000] and chosen.b0.sum() == 3
    assert "33 (3 b0, 30 of b 1000) of 123 volumes" in chosen.messages[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (FitOptions(all_shells=True), [0, 1000, 2000, 3000]),
        (FitOptions(shells=(2000.0,)), [0, 2000]),
        (FitOptions(shells=(1050.0, 2950.0)), [0, 1000, 3000]),
        (FitOptions(bmax=2000.0), [0, 1000, 2000]),
        (FitOptions(shells=(1000.0, 3000.0), bmax=2000.0), [0, 1000]),
    ],
)
def test_shells_are_fitted_as_asked(options, expected):
    shells, chosen = _fitted(options)
    assert shells == expected
    assert any("warning: b-values up to" in line for line in chosen.messages) == (max(expected) > 1500)


def test_everything_is_fitted_where_low_shells_do_not_determine_a_tensor():
    bvals, bvecs = (x[1:] for x in _shells((6, 700.0), (30, 2500.0), n_b0=1))
    bvals[:1], bvecs[:1] = 0, 0  # five directions of the low shell are left
    shells, chosen = _fitted(FitOptions(), bvals, bvecs)
    assert shells == [0, 700, 2500] and "warning" in chosen.messages[0]


def test_b_values_of_a_shell_may_scatter():
    bvals = BVALS + np.where(BVALS > 0, np.random.default_rng(0).choice([-15, 0, 15], len(BVALS)), 5)
    shells, chosen = _fitted(FitOptions(), bvals)
    assert 900 < max(shells) < 1100 and chosen.used.sum() == 33
    assert [round(b, -2) for b in shells_of(bvals[bvals > 50])] == [1000, 2000, 3000]
    assert describe(bvals, chosen.used, chosen.b0).startswith("33 (3 b0, 30 of b 1")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (FitOptions(shells=(700.0,)), "none of b = 700 .* expected some of 1000, 2000, 3000"),
        (FitOptions(bmax=500.0), "found 0 weighted volumes left"),
        (FitOptions(skip_volumes=(123,)), "found 123, expected numbers of volumes from 0 to 122"),
    ],
)
def test_what_the_scan_does_not_have_is_refused(options, match):
    with pytest.raises(DataError, match=match):
        _fitted(options)


def test_volumes_are_left_out_as_asked():
    _, chosen = _fitted(FitOptions(skip_volumes=(0, 5)))
    assert np.flatnonzero(~chosen.used[:33]).tolist() == [0, 5] and chosen.b0.sum() == 2


@pytest.fixture(scope="module")
def scan(brain):
    """30 directions, three b0, SNR 30."""
    bvals, bvecs = gradient_scheme(30, n_b0=3)
    dwi, _ = simulate_dwi(brain.tensors, 500 * brain.s0, bvals, bvecs, 30.0, torch.Generator().manual_seed(2))
    return dwi.numpy(), bvals.numpy(), bvecs.numpy()


def _error(volume, brain):
    return (volume.tensors - brain.tensors)[:, brain.mask].square().sum(0).mean().sqrt().item()


def test_higher_shells_change_nothing_and_stay_in_the_acquisition(scan, brain, write_dwi):
    dwi, bvals, bvecs = scan
    more, g = gradient_scheme(30, b=3000.0, seed=5)
    clean, _ = simulate_dwi(brain.tensors, 500 * brain.s0, more, g, 30.0, torch.Generator().manual_seed(3))
    alone = load_dwi(*write_dwi(dwi, bvals, bvecs), mask=brain.mask)
    files = write_dwi(np.concatenate([dwi, clean[..., 1:]], -1), np.r_[bvals, more[1:]], np.r_[bvecs, g[1:]])
    both = load_dwi(*files, mask=brain.mask)
    torch.testing.assert_close(both.tensors, alone.tensors)
    a = both.acquisition
    assert a is not None and a.dwi.shape[-1] == 63 and a.used.sum() == 33 and a.fitted()[0].shape[-1] == 33


def test_empty_volumes_are_named_and_left_out(scan, brain, write_dwi):
    dwi, bvals, bvecs = scan
    broken = dwi.copy()
    broken[..., -4:] = 0
    broken[..., 1] = np.nan
    volume = load_dwi(*write_dwi(broken, bvals, bvecs), mask=brain.mask)
    whole = load_dwi(*write_dwi(dwi, bvals, bvecs), mask=brain.mask)
    assert any("5 volumes" in line and "volumes 1, 29 to 32" in line for line in volume.report.messages)
    assert _error(volume, brain) < 1.2 * _error(whole, brain)
    a = volume.acquisition
    assert a is not None and np.flatnonzero(~a.used).tolist() == [1, 29, 30, 31, 32]
    assert {(o.volume, o.kind) for o in a.outliers if o.slice is None} == {
        (1, "not finite"),
        *((m, "empty") for m in range(29, 33)),
    }


def test_an_aborted_scan_keeps_the_slices_that_it_has(scan, brain, write_dwi):
    dwi, bvals, bvecs = scan
    broken = dwi.copy()
    broken[:, :, 7:, -4:] = 0
    volume = load_dwi(*write_dwi(broken, bvals, bvecs), mask=brain.mask)
    whole = load_dwi(*write_dwi(dwi, bvals, bvecs), mask=brain.mask)
    assert any("slices" in line and "29 to 32" in line for line in volume.report.messages)
    low = brain.mask.clone()
    low[:, :, 7:] = False
    assert (volume.tensors - whole.tensors)[:, low].abs().median() < 1e-4
    assert _error(volume, brain) < 1.2 * _error(whole, brain)


@pytest.mark.parametrize("fill", [np.nan, 0.0, np.inf])
def test_volumes_that_end_at_an_edge_leave_the_fit_of_the_others(scan, brain, write_dwi, fill):
    dwi, bvals, bvecs = scan
    broken = dwi.copy()
    broken[:8, :, :, 5:12] = fill
    volume = load_dwi(*write_dwi(broken, bvals, bvecs), mask=brain.mask)
    whole = load_dwi(*write_dwi(dwi, bvals, bvecs), mask=brain.mask)
    assert volume.report.non_finite == 0
    assert any("keep the fit of the others" in line for line in volume.report.messages)
    assert _error(volume, brain) < 1.25 * _error(whole, brain)
    change = (volume.tensors - whole.tensors)[:, 8:][:, brain.mask[8:]]
    assert change.abs().median() < 1e-4  # elsewhere nothing happens
    md = mean_diffusivity(volume.tensors, dim=0)[brain.mask]
    assert (md - mean_diffusivity(brain.tensors, dim=0)[brain.mask]).abs().median() < 0.03


def test_too_few_volumes_left_leave_nothing(scan, brain, write_dwi):
    dwi, bvals, bvecs = scan
    broken = dwi.copy()
    broken[:6, :, :, 8:] = np.nan  # three b0 and five directions
    report = load_dwi(*write_dwi(broken, bvals, bvecs), mask=brain.mask).report
    assert report.non_finite == int(brain.mask[:6].sum())


def test_zeros_of_weak_whole_numbers_are_measurements():
    strong = [[0, 251, 243, 260, 255, 249, 0, 251]]
    rounded = np.array([[0, 2, 4, 2, 6, 2, 4, 2], [0, 4, 6, 4, 4, 6, 4, 6], *strong], dtype=np.float32)
    assert np.argwhere(find_missing(rounded)).tolist() == [[2, 0], [2, 6]]
    real = np.array([[0.0, 2.1, 2.5, 2.3, 1.9, 2.2, 2.4, 2.7], *strong], dtype=np.float32)
    assert np.argwhere(find_missing(real)).tolist() == [[0, 0], [1, 0], [1, 6]]
