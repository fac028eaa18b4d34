"""The error head of the DTI denoiser, fitted on held-out patches."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils.data import DataLoader

from mvnet.data_loaders.dti.training.dataset import TrainingSet
from mvnet.data_loaders.dti.training.fields import simulated_fields
from mvnet.errors import MvnetError
from mvnet.models import pretrained
from mvnet.models.calibration import Evidence, calibrate, collect_evidence, expected_ratio, fit_head
from mvnet.models.dti.inputs import training_planes
from mvnet.models.dti.loss import keep_trusted
from mvnet.models.dti.network import DTIDenoiser, bounded_log_error


@pytest.fixture(scope="module")
def batches():
    """Two halves of a few patches of simulated brains."""
    fields = [(0.5, field) for field in simulated_fields(2, seed=2**23, side=24)]
    data = TrainingSet(fields, length=12, patch=8, seed=3)
    return [list(DataLoader(data, 3, sampler=part)) for part in (range(6), range(6, 12))]


def artificial(weights: torch.Tensor, n: int = 20000) -> Evidence:
    """Distances of exponential distributions whose expectations a head can predict."""
    random = torch.Generator().manual_seed(0)
    design = torch.randn(n, len(weights), generator=random, dtype=torch.float64)
    uniform = torch.rand(n, generator=random, dtype=torch.float64)
    return Evidence(design, -uniform.log() * bounded_log_error(design @ weights).exp())


def test_the_fit_finds_the_head_that_made_the_data():
    truth = torch.tensor([0.5, -0.3, 0.2, -1.0], dtype=torch.float64)
    evidence = artificial(truth)
    for start in (torch.zeros_like(truth), truth + 1):
        found, values = fit_head(start, evidence)
        assert torch.allclose(found, truth, atol=0.05)
        assert len(values) <= 9 and values[-2] - values[-1] < 1e-4
        assert expected_ratio(found, evidence) == pytest.approx(1, abs=0.02)


def test_evidence_is_what_the_network_predicts(batches):
    model, _ = pretrained("dti")
    assert isinstance(model, DTIDenoiser)
    evidence = collect_evidence(model, batches[0][:1])
    pair = batches[0][0]
    bias = model.error.bias
    assert bias is not None
    weights = torch.cat([model.error.weight, bias]).detach().double()
    seen = []
    hook = model.error.register_forward_hook(lambda module, inputs, output: seen.append(output))
    collect_evidence(model, [pair])
    hook.remove()
    with torch.no_grad():
        out = model(pair.noisy, training_planes(pair.mask, pair.maps)).tensors
    noise = pair.maps.noise * pair.maps.available.view(-1, 1, 1, 1)
    trusted = keep_trusted(pair.noisy, out, noise)[1] == 1  # where the network decides
    predicted = seen[0][:, 0][pair.mask & trusted].double()
    assert torch.allclose(evidence.design @ weights, predicted, atol=1e-5)
    assert evidence.distance.shape == predicted.shape and (evidence.distance >= 0).all()


def test_calibration_changes_the_head_alone_and_makes_it_right(batches):
    model, _ = pretrained("dti")
    assert isinstance(model, DTIDenoiser)
    assert model.error.bias is not None
    with torch.no_grad():
        model.error.bias.add_(0.7)  # promises too little
    before = copy.deepcopy(model.state_dict())
    found = calibrate(model, *batches)
    assert found.kept and found.likelihood_after < found.likelihood_before and found.steps <= 8
    assert abs(found.after - 1) < min(0.25, abs(found.before - 1))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"error.weight", "error.bias"}


def test_a_fit_that_does_not_help_is_not_taken(batches):
    model, _ = pretrained("dti")
    assert isinstance(model, DTIDenoiser)
    calibrate(model, batches[1][:1], batches[1][:1])  # the best there is for these patches
    before = copy.deepcopy(model.state_dict())
    found = calibrate(model, batches[0][:1], batches[1][:1])
    assert not found.kept and found.after == found.before
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_patches_without_a_voxel_are_refused(batches):
    model, _ = pretrained("dti")
    assert isinstance(model, DTIDenoiser)
    with pytest.raises(MvnetError, match="batches: found no voxel inside a mask"):
        collect_evidence(model, [pair._replace(mask=torch.zeros_like(pair.mask)) for pair in batches[0][:1]])
