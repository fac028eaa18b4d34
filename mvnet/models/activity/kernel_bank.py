"""The kernels a motion classifier adds up, fitted to training curves.

Each is centred and scaled to mean diagonal 1; those of a family share a weight. Where mirror images count as the same
motion, k becomes (k(x, y) + k(Mx, y)) / 2, which is what training on all mirror images as well amounts to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mvnet.models.activity.kernel_ridge import Centring
from mvnet.models.activity.kernels import Filters, warped_distance
from mvnet.models.activity.views import Views, channels

ELASTIC_SAMPLES, FILTER_SAMPLES = 32, 64
ELASTIC = {
    "positions": ("facing", "facing/length", "bones", "bones/length"),
    "rotations": ("turns", "turns/length", "pairs", "pairs/length"),
    "signals": ("signals", "sum"),
}
FILTERED = {
    "positions": ("facing", "facing/length", "bones", "distances", "distances/length"),
    "rotations": ("pairs", "velocity"),
    "signals": ("signals", "sum"),
}
FAMILIES = ("elastic", "filters")
Gram = dict[str, np.ndarray]


@dataclass
class Bank:
    """Training curves, and what of them each kernel needs.

    Args:
        views: how recordings are seen.
        curves: view -> (n, samples, channels) of the elastic kernels. median: view -> of their training distances.
        filters, features: view -> fitted filters, and the features (n, count) of training curves.
        centring: (family, mirrored) -> of the sum of the family's kernels.
    """

    views: Views
    curves: dict[str, Tensor]
    median: dict[str, float]
    filters: dict[str, Filters]
    features: dict[str, Tensor]
    centring: dict[tuple[str, bool], list[Centring]]

    @classmethod
    def estimate(cls, recordings: Sequence[Tensor], parent: Tensor | None, count: int, seed: int) -> Bank:
        """From completed training recordings; `count` features for each view with filters."""
        views = Views.estimate(recordings, parent)
        elastic, filtered = _names(views)
        elastic_samples = ELASTIC_SAMPLES if max(map(len, recordings)) > 1 else 1
        seen = channels(recordings, views, _samples(elastic, filtered, elastic_samples))
        curves = {name: seen[name, elastic_samples] for name in elastic}
        filters = {name: Filters.estimate(seen[name, FILTER_SAMPLES], count, seed) for name in filtered}
        features = {name: filters[name](seen[name, FILTER_SAMPLES]) for name in filtered}
        return cls(views, curves, {}, filters, features, {})

    def training_kernels(self, recordings: Sequence[Tensor]) -> dict[bool, Gram]:
        """mirrored -> family -> (n, n); fits medians and centring."""
        plain = {False: self._between(self.curves, self.features)}
        if self.views.body is not None and self.views.mirrors:
            image = self._raw([self.views.body.reflect(x) for x in recordings])
            plain[True] = {
                family: [_symmetric((a + b) / 2) for a, b in zip(plain[False][family], image[family])]
                for family in FAMILIES
            }
        for mirrored, kernels in plain.items():
            for family in FAMILIES:
                self.centring[family, mirrored] = [Centring.of(k) for k in kernels[family]]
        return {mirrored: self._combined(kernels, mirrored) for mirrored, kernels in plain.items()}

    def kernels(self, recordings: Sequence[Tensor], mirrored: bool) -> Gram:
        """family -> (m, n) between new, completed recordings and the training ones."""
        raw = self._raw(recordings)
        if mirrored:
            assert self.views.body is not None
            image = self._raw([self.views.body.reflect(x) for x in recordings])
            raw = {family: [(a + b) / 2 for a, b in zip(raw[family], image[family])] for family in FAMILIES}
        return self._combined(raw, mirrored)

    def _combined(self, raw: dict[str, list[np.ndarray]], mirrored: bool) -> Gram:
        """The mean of the centred kernels of each family."""
        return {
            family: np.mean([c(k) for c, k in zip(self.centring[family, mirrored], raw[family])], 0)
            for family in FAMILIES
        }

    def _raw(self, recordings: Sequence[Tensor]) -> dict[str, list[np.ndarray]]:
        samples = next(iter(self.curves.values())).shape[1]
        seen = channels(recordings, self.views, _samples(self.curves, self.filters, samples))
        curves = {name: seen[name, samples] for name in self.curves}
        return self._between(curves, {name: f(seen[name, FILTER_SAMPLES]) for name, f in self.filters.items()})

    def _between(self, seen: dict[str, Tensor], features: dict[str, Tensor]) -> dict[str, list[np.ndarray]]:
        """family -> (m, n) of each view, between curves and features of m recordings and those of training."""
        elastic = []
        for name, curves in self.curves.items():
            distance = warped_distance(seen[name], curves)
            if name not in self.median:
                self.median[name] = max(float(distance.median()), 1e-9)
            elastic.append(torch.exp(-distance / self.median[name]).double().numpy())
        filters = []
        for name, known in self.features.items():
            filters.append((features[name] @ known.mT / known.shape[1]).double().numpy())
        return {"elastic": elastic, "filters": filters}


def _symmetric(kernel: np.ndarray) -> np.ndarray:
    return (kernel + kernel.T) / 2


def _names(views: Views) -> tuple[list[str], list[str]]:
    """Views of the elastic kernels and of the filters that this kind of recording has."""
    absent = set()
    if views.kind == "positions" and views.parent is None:
        absent.add("bones")
    if views.joints == 1:
        absent |= {"distances", "pairs"}
    elastic, filtered = (
        [name for name in family[views.kind] if name.partition("/")[0] not in absent] for family in (ELASTIC, FILTERED)
    )
    return elastic, filtered or elastic[:1]


def _samples(elastic: Sequence[str] | dict, filtered: Sequence[str] | dict, samples: int) -> list[tuple[str, int]]:
    return [(name, samples) for name in elastic] + [(name, FILTER_SAMPLES) for name in filtered]
