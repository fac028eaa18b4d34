"""The bank of a posterior, measured on training scenes: no gradient descent, one spectrum for every node.

For every pixel of a simulated patch the latent g = Q^-1(kappa, error) is what noise would have had to be there. The
pixels nearest to a node (log kappa, fringe frequency, gain, correlation of the input) give the autocovariance of the
latents there, the root of its spectrum is the filter of the node (`mvnet.invertible.noise_filter`), and the R leading
singular vectors of all filters are the basis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.data_loaders.insar.noise import PhaseNoise
from mvnet.data_loaders.insar.training.dataset import TrainingPair
from mvnet.errors import MvnetError
from mvnet.invertible import noise_filter
from mvnet.manifolds.circle import wrap
from mvnet.models.insar.inference import denoise_interferogram
from mvnet.models.insar.network import InSARDenoiser
from mvnet.models.insar.posterior.inputs import fringe_frequency, log_gain
from mvnet.models.insar.posterior.network import InSARPosterior
from mvnet.models.insar.posterior.von_mises import latent

MOST = 2.5
"""Deviations that latents are cut to: an outlier says nothing of how its neighbours err."""

FEWEST = 20_000
"""Pixels of a node; one with fewer has the filter of the nearest node that has them."""

_MOST_PATCHES = 100  # of a node
_FAR = (2.5, 1.0, 1.0, 2.0)  # how far apart neighbouring nodes of every axis are, by what it means for a filter

Place = tuple[int, ...]
"""Of a node: correlation of the input, log kappa, frequency, gain."""


class Evidence(NamedTuple):
    """What a patch says.

    latents: (n, n), standard normal where the denoiser is calibrated; 0 where not valid.
    node: (n, n), number of the nearest node of log kappa, frequency and gain, -1 where not valid.
    correlation: of the noise of its input, the mean at one pixel of both axes.
    """

    latents: Tensor
    node: Tensor
    correlation: float


@torch.no_grad()
def collect_evidence(model: InSARDenoiser, posterior: InSARPosterior, pair: TrainingPair) -> Evidence:
    """Denoise a patch and compare with its truth.

    Args:
        model: the denoiser.
        posterior: gives the nodes.
        pair: of `mvnet.data_loaders.insar.training.dataset`.
    Returns:
        latents and nodes of its pixels.
    """
    coherence, correlation, looks = pair.maps
    known = coherence if coherence.isfinite().any() else None
    noise = PhaseNoise(correlation, float(looks))
    found = denoise_interferogram(model, pair.noisy, known, pair.mask, noise=noise)
    valid = pair.mask & (pair.noisy != 0) & (found.concentration > 0)
    logs = found.concentration.clamp_min(1e-9).log()
    error = wrap(found.phase - pair.target)
    latents = torch.where(valid, latent(logs, error).clamp(-MOST, MOST), 0)
    phase = torch.where(valid, found.phase, 0)
    gain = log_gain(pair.noisy, phase, logs, valid)
    node = torch.where(valid, posterior.nearest(logs, fringe_frequency(phase, valid), gain), -1)
    return Evidence(latents, node, float(correlation[:, 0].mean()))


@torch.no_grad()
def fit_bank(
    model: InSARDenoiser,
    posterior: InSARPosterior,
    pairs: Iterable[TrainingPair],
    progress: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Measure the filters of a posterior, in place.

    Args:
        model: the denoiser, in eval mode.
        posterior: its buffers are replaced.
        pairs: patches that training has not seen.
        progress: called with the number of patches done.
    Returns:
        "pixels" used, "nodes" of the bank and "measured" ones, and "kept", the share of the filters' squares that the
        basis holds.
    Raises:
        MvnetError: no node with pixels enough.
    """
    evidence = []
    for done, pair in enumerate(pairs, start=1):
        evidence.append(collect_evidence(model, posterior, pair))
        if progress is not None:
            progress(done)
    levels, *shape, _ = posterior.coefficients.shape
    inner = list(product(*map(range, shape)))
    filters: dict[Place, Tensor] = {}
    middles = posterior.config["correlations"]
    for level in range(levels):
        near = [e for e in evidence if _nearest(middles, e.correlation) == level]
        for node, place in enumerate(inner):
            taps = _filter_of(near, node, posterior.config["taps"])
            if taps is not None:
                filters[level, *place] = taps
    if not filters:
        raise MvnetError(f"pairs: found no node with {FEWEST} pixels, expected some; give more patches")
    places = [(level, *place) for level in range(levels) for place in inner]
    table = torch.stack([filters[_closest(place, list(filters))] for place in places])
    # (nodes, taps^2) = U S V^T: the leading rows of V^T are the basis
    _, values, basis = torch.linalg.svd(table.flatten(1).double(), full_matrices=False)
    rank = min(posterior.config["rank"], len(basis))
    posterior.filters.zero_()
    posterior.filters[:rank] = basis[:rank].unflatten(1, table.shape[1:]).float()
    weights = torch.zeros(len(places), posterior.config["rank"])
    weights[:, :rank] = (table.flatten(1).double() @ basis[:rank].mT).float()
    posterior.coefficients.copy_((weights / weights.norm(dim=1, keepdim=True)).view_as(posterior.coefficients))
    kept = float(values[:rank].square().sum() / values.square().sum())
    pixels = sum(int((e.node >= 0).sum()) for e in evidence)
    return {"pixels": pixels, "nodes": len(places), "measured": len(filters), "kept": round(kept, 6)}


def _filter_of(evidence: list[Evidence], node: int, taps: int) -> Tensor | None:
    """The filter of one node, None where it has too few pixels."""
    counted = sorted(((int((e.node == node).sum()), k) for k, e in enumerate(evidence)), reverse=True)
    chosen = [k for count, k in counted[:_MOST_PATCHES] if count]
    if sum(count for count, _ in counted) < FEWEST:
        return None
    masks = torch.stack([evidence[k].node == node for k in chosen])[:, None]
    latents = torch.stack([evidence[k].latents for k in chosen])[:, None]
    return noise_filter(latents, taps, masks)


def _nearest(nodes: list[float], value: float) -> int:
    return min(range(len(nodes)), key=lambda k: abs(nodes[k] - value))


def _closest(place: Place, known: list[Place]) -> Place:
    """The nearest node that was measured, rather with another concentration or frequency than with another gain."""
    return min(known, key=lambda k: (sum(w * abs(a - b) for w, a, b in zip(_FAR, k, place)), k))
