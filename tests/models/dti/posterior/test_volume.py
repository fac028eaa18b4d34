"""The posterior of a volume: independent of tiles and workers, coherent samples, maps that agree with the samples."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mvnet.errors import MvnetError
from mvnet.linalg import sym3
from mvnet.models.dti.inference import acquisition_of, network_inputs
from mvnet.models.dti.network import centred_log
from mvnet.models.dti.posterior.inference import volume_posterior
from mvnet.models.dti.posterior.noise import correlated_noise, measure_lags
from mvnet.models.dti.posterior.own_scan import check_on_scan, noise_root, split_volume
from mvnet.models.dti.posterior.regions import mean_fa, most_anisotropic
from mvnet.models.dti.posterior.summaries import fa_and_md, summarise
from tests.models.dti.posterior.cases import denoised, denoiser, posterior, posterior_head, scan


def test_trunk_gives_what_the_network_returns():
    seen, features, _ = network_inputs(scan().tensors, scan().mask, **acquisition_of(scan()))
    with torch.no_grad():
        h, z = denoiser().run_trunk(seen[None], features[None])
        assert torch.equal(z, denoiser()(seen[None], features[None]).tensors)
    assert h.shape[1] == 8


def test_samples_do_not_depend_on_tiles_or_workers():
    whole, tiles = posterior(), posterior(block=5, workers=2)
    for a, b in zip(whole.law, tiles.law, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    for a, b in zip(whole.sample(2, seed=1), tiles.sample(2, seed=1), strict=True):
        torch.testing.assert_close(centred_log(a[None]), centred_log(b[None]), atol=1e-5, rtol=1e-5)


def test_a_sample_is_a_function_of_seed_and_number():
    found = posterior()
    three, two = list(found.sample(3, seed=4)), list(found.sample(2, seed=4))
    other = next(found.sample(1, seed=5))
    for a, b in zip(three, two, strict=False):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert not torch.equal(three[0], three[1]) and not torch.equal(three[0], other)
    outside = ~found.mask
    assert torch.equal(three[0][:, outside], denoised()[:, outside])
    assert (sym3.eigvals(three[0][:, found.mask], dim=0) > 0).all()


def test_noise_is_standard_normal_and_correlated_as_the_filter_says():
    taps = posterior_head().taps
    noise = torch.stack([correlated_noise(taps, (24, 20, 22), seed=0, number=number) for number in range(8)])
    assert abs(float(noise.mean())) < 0.03 and abs(float(noise.std()) - 1) < 0.03
    lags = measure_lags(taps)
    for axis in (2, 3, 4):
        for lag in (1, 2):
            moved = (noise * noise.roll(lag, axis)).mean()
            assert abs(float(moved) - lags[lag]) < 0.04
    slab = correlated_noise(taps, (4, 20, 1), seed=0, number=3)
    torch.testing.assert_close(slab, noise[3, :, :4, :20, :1], atol=1e-5, rtol=1e-5)


def test_maps_agree_with_independent_samples():
    found = posterior()
    maps = summarise(found)
    drawn = torch.stack(list(found.sample(200, seed=0, correlated=False)))[:, :, found.mask]
    fa, md = fa_and_md(drawn.transpose(0, 1))
    inside = (fa >= maps.fa[0][found.mask]) & (fa <= maps.fa[-1][found.mask])
    assert abs(float(inside.float().mean()) - 0.9) < 0.025
    inside = (md >= maps.md[0][found.mask]) & (md <= maps.md[-1][found.mask])
    assert abs(float(inside.float().mean()) - 0.9) < 0.025
    assert abs(float(maps.fa_sd[found.mask].mean() / fa.std(0).mean()) - 1) < 0.05
    assert (maps.cone[found.mask] > 0).all() and (maps.cone <= 90).all() and (maps.cone[~found.mask] == 0).all()


def test_means_over_regions_spread_more_when_noise_is_correlated():
    found = posterior()
    region = most_anisotropic(found)
    spread = [
        torch.tensor([mean_fa(t, region) for t in found.sample(24, seed=0, correlated=how)]).std()
        for how in (True, False)
    ]
    assert region.voxels > 20 and spread[0] > 1.3 * spread[1]


def test_reference_noise_widens_the_law():
    plain = posterior()
    wide = posterior(reference=0.5 * scan().mask)
    assert (wide.law.scale > plain.law.scale).float().mean() > 0.9


def test_a_reference_that_says_nothing_leaves_finite_tensors():
    lost = posterior(reference=1e4 * scan().mask)
    for tensors in lost.sample(2, seed=0):
        fa, md = fa_and_md(tensors[:, lost.mask])
        assert ((fa >= 0) & (fa <= 1)).all() and (md.isfinite() & (md > 0)).all()


def test_own_scan_is_split_by_directions():
    first, second = split_volume(scan())
    assert first.acquisition is not None and second.acquisition is not None
    assert int((first.acquisition.bvals > 50).sum()) == int((second.acquisition.bvals > 50).sum()) == 6
    check = check_on_scan(denoiser(), posterior_head(scale=0.0), scan())
    assert check is not None and 0 < check.share <= 1 and check.directions == (6, 6)
    assert check_on_scan(denoiser(), posterior_head(), replace(scan(), acquisition=None)) is None


def test_root_of_the_covariance_of_a_fit():
    from mvnet.data_loaders.dti.fit.precision import tensor_precision
    from mvnet.models.dti.inference import signal_noise

    acquisition = scan().acquisition
    assert acquisition is not None
    signal = signal_noise(acquisition)
    tensors = scan().tensors[:, scan().mask][:, :5].double()
    snr = signal.snr[scan().mask][:5].double()
    root = noise_root(tensors, snr, signal.design.double())
    product = root @ root.mT @ tensor_precision(tensors.T, snr, signal.design.double())
    torch.testing.assert_close(product, torch.eye(6, dtype=torch.float64).expand(5, 6, 6), atol=1e-3, rtol=1e-3)


def test_bad_context_is_refused():
    with pytest.raises(MvnetError, match=r"denoised: found shape \(6, 2, 2, 2\), expected"):
        volume_posterior(denoiser(), posterior_head(), scan(), torch.ones(6, 2, 2, 2))
    broken = denoised().clone()
    broken[:, scan().mask.nonzero()[0].tolist()[0]] = torch.nan
    with pytest.raises(MvnetError, match="denoised: found values in the mask that are not finite"):
        volume_posterior(denoiser(), posterior_head(), scan(), broken)
