"""The kernels a motion classifier adds up, fitted to training curves.

Each is centred and scaled to mean diagonal 1; those of a family share a weight. Where mirror images count as the same
motion, k becomes (k(x, y) + k(Mx, y)) / 2, which is equivalent to training on the mirror images as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.models.activity.kernel_ridge import Centring
from mvnet.models.activity.kernels import Filters, warped_distance
from mvnet.models.activity.views import Views, sample_views

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
class KernelBank:
    """Training curves, and the statistics of them that each kernel uses.

    Attributes:
        views: normalisation of the recordings.
        curves: view -> (n, samples, channels) of the elastic kernels.
        median: view -> median of their training distances.
        filters: view -> fitted filters.
        features: view -> features (n, count) of training curves.
        centring: (family, mirrored) -> centring of each kernel of the family.
    """

    views: Views
    curves: dict[str, Tensor]
    median: dict[str, float]
    filters: dict[str, Filters]
    features: dict[str, Tensor]
    centring: dict[tuple[str, bool], list[Centring]]

    @classmethod
    def estimate(cls, recordings: Sequence[Tensor], parent: Tensor | None, count: int, seed: int) -> KernelBank:
        """Views, filters and features from training recordings.

        Args:
            recordings: without missing values, shapes as in `views`.
            parent: (joints,) of a skeleton, -1 at the root, or None.
            count: about how many features for each view with filters.
            seed: random seed of the filters.
        Returns:
            the bank, medians and centring not yet fitted.
        """
        views = Views.estimate(recordings, parent)
        elastic, filtered = _names(views)
        elastic_samples = ELASTIC_SAMPLES if max(map(len, recordings)) > 1 else 1
        # recordings -> views -> curves of the elastic kernels; filters -> features
        seen = sample_views(recordings, views, _samples(elastic, filtered, elastic_samples))
        curves = {name: seen[name, elastic_samples] for name in elastic}
        filters = {name: Filters.estimate(seen[name, FILTER_SAMPLES], count, seed) for name in filtered}
        features = {name: filters[name](seen[name, FILTER_SAMPLES]) for name in filtered}
        return cls(views, curves, {}, filters, features, {})

    def training_kernels(self, recordings: Sequence[Tensor]) -> dict[bool, Gram]:
        """Kernels between the training recordings; fits medians and centring.

        Args:
            recordings: those of `estimate`.
        Returns:
            mirrored -> family -> (n, n).
        """
        plain = {False: self._between(self.curves, self.features)}
        if self.views.body is not None and self.views.mirrors:
            # k(x, y), k(Mx, y) -> their mean, made symmetric
            image = self._raw([self.views.body.reflect(x) for x in recordings])
            plain[True] = {
                family: [_symmetric((a + b) / 2) for a, b in zip(plain[False][family], image[family])]
                for family in FAMILIES
            }
        for mirrored, kernels in plain.items():
            for family in FAMILIES:
                self.centring[family, mirrored] = [Centring.estimate(k) for k in kernels[family]]
        return {mirrored: self._combine(kernels, mirrored) for mirrored, kernels in plain.items()}

    def kernels(self, recordings: Sequence[Tensor], mirrored: bool) -> Gram:
        """Kernels between new recordings and the training ones.

        Args:
            recordings: m of them, without missing values.
            mirrored: whether mirror images count as the same motion.
        Returns:
            family -> (m, n).
        Raises:
            MvnetError: mirrored, and the recordings have no mirror image.
        """
        raw = self._raw(recordings)
        if mirrored:
            if self.views.body is None:
                raise MvnetError(f"mirrored: found True for {self.views.kind}, expected positions of a skeleton")
            image = self._raw([self.views.body.reflect(x) for x in recordings])
            raw = {family: [(a + b) / 2 for a, b in zip(raw[family], image[family])] for family in FAMILIES}
        return self._combine(raw, mirrored)

    def _combine(self, raw: dict[str, list[np.ndarray]], mirrored: bool) -> Gram:
        """The mean of the centred kernels of each family."""
        return {
            family: np.mean([c(k) for c, k in zip(self.centring[family, mirrored], raw[family])], 0)
            for family in FAMILIES
        }

    def _raw(self, recordings: Sequence[Tensor]) -> dict[str, list[np.ndarray]]:
        samples = next(iter(self.curves.values())).shape[1]
        # recordings -> views -> curves and features -> kernels with the training curves
        seen = sample_views(recordings, self.views, _samples(self.curves, self.filters, samples))
        curves = {name: seen[name, samples] for name in self.curves}
        return self._between(curves, {name: f(seen[name, FILTER_SAMPLES]) for name, f in self.filters.items()})

    def _between(self, seen: dict[str, Tensor], features: dict[str, Tensor]) -> dict[str, list[np.ndarray]]:
        """family -> (m, n) of each view, between curves and features of m recordings and those of training."""
        elastic = []
        for name, curves in self.curves.items():
            # curves -> d -> exp(-d / median)
            distance = warped_distance(seen[name], curves)
            if name not in self.median:
                self.median[name] = max(float(distance.median()), 1e-9)
            elastic.append(torch.exp(-distance / self.median[name]).double().numpy())
        filters = []
        for name, known in self.features.items():
            # f(x), f(y) -> f(x) . f(y) / count
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
