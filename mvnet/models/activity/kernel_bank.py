"""The kernels a motion classifier adds up, fitted to training curves.

| family      | kernel of two curves                                                          |
|-------------|-------------------------------------------------------------------------------|
| "elastic"   | exp(-d / median), d their distance by time warping                            |
| "filters"   | product of their shares of time above thresholds of filters                   |
| "competing" | product of their counts of filters that win                                   |

Each is centred and scaled to mean diagonal 1; those of a family are averaged. Where mirror images count as the same
motion, all are averaged over the mirror M: k(x, y) becomes (k(x, y) + k(Mx, y)) / 2 of elastic kernels, which do not
change when both curves are mirrored, and f(x) becomes (f(x) + f(Mx)) / 2 of features, of which that is not true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mvnet.models.activity.kernel_ridge import Centring
from mvnet.models.activity.kernels import CompetingFilters, Filters, warped_distance
from mvnet.models.activity.views import Views, sample_views

ELASTIC_SAMPLES = 32
FEWEST = {"signals": 24}
MOST_SAMPLES = 2048
"""Filters see curves of as many samples as nine tenths of the recordings have frames at most, within these bounds."""
_POSITIONS = {
    "elastic": ("facing", "facing/length", "bones", "bones/length"),
    "filters": ("facing", "facing/length", "bones", "distances", "distances/length"),
    "competing": (),
}
SEEN = {
    "positions": _POSITIONS,
    "poses": _POSITIONS,
    "rotations": {
        "elastic": ("turns", "turns/length", "pairs", "pairs/length"),
        "filters": ("pairs", "velocity"),
        "competing": (),
    },
    "signals": {
        "elastic": ("signals", "sum"),
        "filters": ("signals", "steps"),
        "competing": ("signals", "steps"),
    },
}
"""kind -> family -> the views it sees."""
FAMILIES = ("elastic", "filters", "competing")
FILTERS: dict[str, type[Filters] | type[CompetingFilters]] = {"filters": Filters, "competing": CompetingFilters}
Shares = dict[str, float]
"""family -> its weight; those of weight 0 are not computed."""


class Likeness(NamedTuple):
    """m recordings beside n of training, by family.

    Args:
        kernels: family -> (m, n), centred.
        distances: family -> (m, n), at least 0; of a recording or of its mirror image, whichever is nearer. Those of
            filters are between their plain shares and counts, which small training sets cannot blow up.
    """

    kernels: dict[str, np.ndarray]
    distances: dict[str, np.ndarray]

    def kernel(self, shares: Shares) -> np.ndarray:
        """The kernels added up.

        Args:
            shares: family -> its weight.
        Returns:
            (m, n).
        """
        return sum((share * self.kernels[family] for family, share in shares.items() if share), np.zeros(()))


@dataclass
class KernelBank:
    """Training curves, and the statistics of them that each kernel uses.

    Attributes:
        views: normalisation of the recordings.
        curves: view -> (n, samples, channels) of the elastic kernels.
        median: view -> median of their training distances.
        filters: family -> view -> fitted filters.
        features: family -> view -> features (n, count) of training curves, or their means with those of their images.
        centring: (family, mirrored) -> centring of each kernel of the family.
        samples: number of samples of the curves that filters see.
        low_pass: whether samples are means of frames; False in files of version 0.1.0.
        averaged: whether features are averaged over the mirror; files of version 0.1.0 average products with them.
    """

    views: Views
    curves: dict[str, Tensor]
    median: dict[str, float]
    filters: dict[str, dict[str, Filters | CompetingFilters]]
    features: dict[str, dict[str, Tensor]]
    centring: dict[tuple[str, bool], list[Centring]]
    samples: int = 64
    low_pass: bool = False
    averaged: bool = False

    @classmethod
    def estimate(cls, recordings: Sequence[Tensor], parent: Tensor | None, count: int, seed: int) -> KernelBank:
        """Views, filters and features from training recordings.

        Args:
            recordings: without missing values, shapes as in `views`.
            parent: (joints,) of a skeleton, -1 at the root, or None.
            count: about how many shares of time for each view with filters.
            seed: random seed of the filters.
        Returns:
            the bank, medians and centring not yet fitted.
        """
        views = Views.estimate(recordings, parent)
        lengths = torch.tensor([float(len(x)) for x in recordings])
        samples = int(min(max(float(lengths.quantile(0.9)), FEWEST.get(views.kind, 64)), MOST_SAMPLES))
        bank = cls(views, {}, {}, {}, {}, {}, samples, low_pass=True, averaged=True)
        seen = _families(views)
        elastic_samples = ELASTIC_SAMPLES if max(map(len, recordings)) > 1 else 1
        # recordings -> views -> curves of the elastic kernels; filters -> features
        curves = bank._sample(recordings, seen["elastic"], elastic_samples, list(FILTERS), seen)
        bank.curves = {name: curves[name, elastic_samples] for name in seen["elastic"]}
        for family, kind in FILTERS.items():
            bank.filters[family], bank.features[family] = {}, {}
            size = {"count": count} if kind is Filters else {}
            for name in seen[family]:
                fitted = kind.estimate(curves[name, samples], seed=seed, **size)
                bank.filters[family][name], bank.features[family][name] = fitted, fitted(curves[name, samples])
        return bank

    def training(self, recordings: Sequence[Tensor]) -> dict[bool, Likeness]:
        """The training recordings beside each other; fits medians and centring.

        Args:
            recordings: those of `estimate`.
        Returns:
            mirrored -> (n, n).
        """
        raw = {False: self._between(self.curves, self.features)}
        self.images: Features = {}
        if self.views.mirrors:
            # k(x, y), k(Mx, y) -> their mean, made symmetric; f(x), f(Mx) -> their mean
            curves, features = self._see([self.views.reflect(x) for x in recordings], FAMILIES)
            elastic = _average(self._between(self.curves, {}), self._between(curves, {}), _symmetric)
            self.images = _mean_features(self.features, features)
            raw[True] = {**elastic, **self._between({}, self.images, self.images)}
        for mirrored, found in raw.items():
            for family, (kernels, _) in found.items():
                self.centring[family, mirrored] = [Centring.estimate(k) for k in kernels]
        return {mirrored: self._combine(found, mirrored) for mirrored, found in raw.items()}

    def settle(self, mirrored: bool) -> None:
        """Keep what one of the answers of `training` needs.

        Args:
            mirrored: whether mirror images count as the same motion.
        """
        if mirrored:
            self.features = self.images
        self.images = {}

    def likeness(self, recordings: Sequence[Tensor], mirrored: bool, families: Sequence[str] = FAMILIES) -> Likeness:
        """New recordings beside the training ones.

        Args:
            recordings: m of them, without missing values.
            mirrored: whether mirror images count as the same motion.
            families: those wanted.
        Returns:
            (m, n), of these families.
        Raises:
            MvnetError: mirrored, and the recordings have no mirror image.
        """
        curves, features = self._see(recordings, families)
        if not mirrored:
            return self._combine(self._between(curves, features), mirrored)
        images = self._see([self.views.reflect(x) for x in recordings], families)
        if self.averaged:
            elastic = _average(self._between(curves, {}), self._between(images[0], {}))
            raw = {**elastic, **self._between({}, _mean_features(features, images[1]))}
        else:
            raw = _average(self._between(curves, features), self._between(*images))
        return self._combine(raw, mirrored)

    def _combine(self, raw: Raw, mirrored: bool) -> Likeness:
        """The mean of the centred kernels of each family."""
        raw = {family: found for family, found in raw.items() if found[0]}
        kernels = {
            family: np.mean([c(k) for c, k in zip(self.centring[family, mirrored], found)], 0)
            for family, (found, _) in raw.items()
        }
        return Likeness(kernels, {family: distance for family, (_, distance) in raw.items()})

    def sampled(self, recordings: Sequence[Tensor], families: Sequence[str]) -> dict[tuple[str, int], Tensor]:
        """The curves that kernels of some families see.

        Args:
            recordings: m of them, without missing values.
            families: those wanted.
        Returns:
            (view, number of samples) -> (m, samples, channels), float32.
        """
        elastic = list(self.curves) if "elastic" in families else []
        filters = [family for family in families if family in self.filters]
        return self._sample(
            recordings, elastic, self.elastic_samples, filters, {f: list(self.filters[f]) for f in filters}
        )

    @property
    def elastic_samples(self) -> int:
        """Number of samples of the curves of the elastic kernels."""
        return next(iter(self.curves.values())).shape[1]

    def _see(self, recordings: Sequence[Tensor], families: Sequence[str]) -> tuple[dict[str, Tensor], Features]:
        """recordings -> views -> curves of the elastic kernels, and features."""
        seen = self.sampled(recordings, families)
        features = {
            family: {name: f(seen[name, self.samples]) for name, f in self.filters[family].items()}
            for family in families
            if family in self.filters
        }
        elastic = self.curves if "elastic" in families else {}
        return {name: seen[name, self.elastic_samples] for name in elastic}, features

    def _sample(
        self,
        recordings: Sequence[Tensor],
        elastic: Sequence[str],
        count: int,
        families: Sequence[str],
        seen: dict[str, list[str]],
    ) -> dict[tuple[str, int], Tensor]:
        """Curves of `count` samples of the elastic views, and of `self.samples` of those with filters."""
        names = dict.fromkeys(name for family in families for name in seen[family])
        wanted = dict.fromkeys([(name, count) for name in elastic] + [(name, self.samples) for name in names])
        return sample_views(recordings, self.views, list(wanted), self.low_pass)

    def _between(self, curves: dict[str, Tensor], features: Features, others: Features | None = None) -> Raw:
        """Kernels of each view and mean distances, between curves and features of m recordings and of training."""
        others = self.features if others is None else others
        result: Raw = {}
        if curves:
            kernels = []
            for name, seen in curves.items():
                # curves -> d -> exp(-d / median)
                distance = warped_distance(seen, self.curves[name])
                if name not in self.median:
                    self.median[name] = max(float(distance.median()), 1e-9)
                kernels.append((-distance / self.median[name]).double().numpy())
            result["elastic"] = [np.exp(k) for k in kernels], -np.mean(kernels, 0)
        for family, seen in features.items():
            kernels, distances = [], []
            for name, f in seen.items():
                # f(x), f(y) -> f(x) . f(y) / count; |s (f(x) - f(y))|^2 / count, s the scale that f was divided by
                known, scale = others[family][name], self.filters[family][name].scale
                kernels.append((f @ known.mT / known.shape[1]).double().numpy())
                f, known = f * scale, known * scale
                cross = (f @ known.mT / known.shape[1]).double().numpy()
                distances.append(np.sqrt(np.maximum(_square(f)[:, None] + _square(known) - 2 * cross, 0)))
            result[family] = kernels, np.mean(distances, 0) if distances else np.zeros(())
        return result


Features = dict[str, dict[str, Tensor]]
"""family -> view -> features (m, count)."""
Raw = dict[str, tuple[list[np.ndarray], np.ndarray]]
"""family -> the kernel (m, n) of each view, not centred, and the mean of its distances (m, n)."""


def _square(f: Tensor) -> np.ndarray:
    """|f|^2 / count of each row."""
    return f.square().mean(1).double().numpy()


def _symmetric(kernel: np.ndarray) -> np.ndarray:
    return (kernel + kernel.T) / 2


def _mean_features(one: Features, image: Features) -> Features:
    """(f(x) + f(Mx)) / 2."""
    return {
        family: {name: (f + image[family][name]) / 2 for name, f in features.items()}
        for family, features in one.items()
    }


def _average(one: Raw, image: Raw, finish=lambda kernel: kernel) -> Raw:
    """Means of kernels, the smaller of distances."""
    return {
        family: (
            [finish((a + b) / 2) for a, b in zip(kernels, image[family][0])],
            finish(np.minimum(distance, image[family][1])),
        )
        for family, (kernels, distance) in one.items()
    }


def _families(views: Views) -> dict[str, list[str]]:
    """family -> the views that this kind of recording has."""
    absent = set()
    if views.body is not None and views.parent is None:
        absent.add("bones")
    if views.joints == 1:
        absent |= {"distances", "pairs"}
    found = {
        family: [name for name in names if name.partition("/")[0] not in absent]
        for family, names in SEEN[views.kind].items()
    }
    return {**found, "filters": found["filters"] or found["elastic"][:1]}
