"""Calibration of the DTI denoiser's confidence map: its error head is fitted anew on patches held out from training.

The head predicts s, the expectation of the affine-invariant distance d to the truth: log s = c tanh(w^T x / c) with
the features x of a voxel. No gradient passes from it into the network, so that its few weights w can be fitted by
themselves at the end of a training. They minimise the negative log-likelihood of an exponential distribution,

    mean ( log s + d / s )

where the network is what it will be used as, and on data that it has not adapted to; for a voxel that the trust region
keeps near its measurement the head does not answer. In log s the Fisher information of an exponential distribution is
1: natural gradient descent (paper (60)) divides by the second moments of the features alone, and is at the optimum
after a handful of steps. A calibrated head has E[d / s] = 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mvnet.data_loaders.dti.training.pairs import TrainingPair
from mvnet.equivariant import GroupConv
from mvnet.errors import MvnetError
from mvnet.manifolds import SPDField
from mvnet.models.dti.inputs import training_planes
from mvnet.models.dti.loss import keep_trusted
from mvnet.models.dti.network import DTIDenoiser, bounded_log_error
from mvnet.optim.curvature.losses import Exponential
from mvnet.optim.natural import NaturalGradient

_SPD = SPDField()
_MOST_VOXELS = 2**14  # that the fit looks at: many for its few weights
_MOST_STEPS = 8
_NEAR = 1e-4  # fall of the likelihood in a step at which the fit ends


class Evidence(NamedTuple):
    """What the head sees of some voxels, and what it should have predicted.

    Attributes:
        design: (n, weights) float64; the head computes log s = c tanh(design @ weights / c).
        distance: (n,) float64, affine-invariant distance of the output to the target.
    """

    design: Tensor
    distance: Tensor


class Calibration(NamedTuple):
    """How a head was fitted.

    Attributes:
        before, after: E[d / s] on patches that were not used for the fit; 1 is calibrated.
        likelihood_before, likelihood_after: mean of log s + d / s there; less is better.
        steps: of the fit.
        kept: whether the fitted weights were taken: they explain those patches better than the ones before.
    """

    before: float
    after: float
    likelihood_before: float
    likelihood_after: float
    steps: int
    kept: bool


@torch.no_grad()
def collect_evidence(model: DTIDenoiser, batches: Iterable[TrainingPair]) -> Evidence:
    """Run the network on held-out patches.

    Args:
        model: in eval mode, on any device.
        batches: collated pairs.
    Returns:
        the evidence of all voxels inside the masks, on the CPU.
    Raises:
        MvnetError: no voxel inside a mask.
    """
    device, matrix = next(model.parameters()).device, _head_matrix(model.error)
    seen: list[Tensor] = []
    hook = model.error.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    designs, distances = [], []
    try:
        for pair in batches:
            noisy, target, mask = (x.to(device) for x in (pair.noisy, pair.target, pair.mask))
            planes = training_planes(mask, type(pair.maps)(*(x.to(device) for x in pair.maps)))
            noise = pair.maps.noise.to(noisy) * pair.maps.available.to(noisy).view(-1, 1, 1, 1)
            out = model(noisy, planes)
            mask = mask & (keep_trusted(noisy, out.tensors, noise)[1] == 1)
            features = seen.pop().movedim(1, -1)[mask].double().cpu()
            designs.append(torch.cat([features, torch.ones_like(features[:, :1])], 1) @ matrix)
            distances.append(_SPD.dist(out.tensors, target)[mask].double().cpu())
    finally:
        hook.remove()
    if not sum(map(len, distances)):
        raise MvnetError("batches: found no voxel inside a mask, expected at least one")
    return Evidence(torch.cat(designs), torch.cat(distances))


def fit_head(weights: Tensor, evidence: Evidence, steps: int = _MOST_STEPS) -> tuple[Tensor, list[float]]:
    """Natural gradient descent on the likelihood.

    Args:
        weights: to start from, as `Evidence.design` has columns; float64.
        evidence: of the patches to fit to.
        steps: largest number.
    Returns:
        the weights; the mean of log s + d / s before each step and after the last.
    """
    design, distance = _thin(evidence)
    head = nn.Linear(design.shape[1], 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(weights[None])
    model = nn.Sequential(head, _Bound())
    optimizer = NaturalGradient.for_model(model, loss="exponential")
    values: list[float] = []
    for _ in range(steps):
        values.append(float(optimizer.step(lambda: (model(design), distance[:, None]))))
        if len(values) > 1 and values[-2] - values[-1] < _NEAR:
            break
    with torch.no_grad():
        values.append(float(Exponential().value(model(design), distance[:, None])))
    return head.weight.detach()[0], values


def calibrate(model: DTIDenoiser, fit: Iterable[TrainingPair], check: Iterable[TrainingPair]) -> Calibration:
    """Fit the error head of a trained network anew, in place.

    Args:
        model: in eval mode; only its error head changes, and only where that explains the patches `check` better.
        fit: collated pairs that training has not seen.
        check: others that neither training nor the fit has seen.
    Returns:
        E[d / s] on `check` before and after, and more.
    Raises:
        MvnetError: no voxel inside a mask.
    """
    unseen, given = collect_evidence(model, check), _head_weights(model.error)
    weights, values = fit_head(given, collect_evidence(model, fit))
    before, after = expected_ratio(given, unseen), expected_ratio(weights, unseen)
    likelihoods = [float(_likelihood(w, unseen)) for w in (given, weights)]
    kept = likelihoods[1] < likelihoods[0]
    if kept:
        _set_head(model.error, weights)
    return Calibration(before, after if kept else before, likelihoods[0], min(likelihoods), len(values) - 1, kept)


def expected_ratio(weights: Tensor, evidence: Evidence) -> float:
    """E[d / s]: 1 for a calibrated head, below 1 for one that promises too little.

    Args:
        weights: of the head, as `fit_head` returns them.
        evidence: of some voxels.
    Returns:
        the mean of d / s.
    """
    return float((evidence.distance * (-bounded_log_error(evidence.design @ weights)).exp()).mean())


def _likelihood(weights: Tensor, evidence: Evidence) -> Tensor:
    return Exponential().value(bounded_log_error(evidence.design @ weights), evidence.distance)


def _thin(evidence: Evidence) -> Evidence:
    """Voxels at equal distances, so that every patch has its share."""
    step = -(-len(evidence.distance) // _MOST_VOXELS)
    return Evidence(evidence.design[::step], evidence.distance[::step])


class _Bound(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return bounded_log_error(x)


# ---- the head: a convolution of one tap, linear in its weights ----


def _head_matrix(head: GroupConv) -> Tensor:
    """(channels + 1, weights) float64: features and 1 -> one number for each weight."""
    unit = torch.eye(head.expansion.count, dtype=torch.float64, device=head.weight.device)
    kernels = torch.stack([head.expansion(w).flatten() for w in unit], 1)
    matrix = torch.zeros(kernels.shape[0] + 1, kernels.shape[1] + 1, dtype=torch.float64)
    matrix[:-1, :-1] = kernels.cpu()
    matrix[-1, -1] = 1
    return matrix


def _head_weights(head: GroupConv) -> Tensor:
    assert head.bias is not None
    return torch.cat([head.weight, head.bias]).detach().double().cpu()


@torch.no_grad()
def _set_head(head: GroupConv, weights: Tensor) -> None:
    assert head.bias is not None
    head.weight.copy_(weights[:-1])
    head.bias.copy_(weights[-1:])
