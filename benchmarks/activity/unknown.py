"""What is known: two classes left out of the training, motions made up, and whether probabilities are calibrated.

Florence3D and RacketSports: the classes of the two largest numbers are never learned from, and are the unknown among
the test sequences. AUROC is of `known_probability`; noise has the mean and spread of the training values. The expected
calibration error is that of the largest probability of known test sequences, in ten bins. --quick takes one split.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from benchmarks.activity import accuracy, sensors
from benchmarks.activity.setup import Setup
from benchmarks.harness import Target
from mvnet.data_loaders.motion import splits
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.novelty import rank_quality

NAMES = ("Florence3D", "RacketSports")
SPLITS, OUT, BINS = 5, 2, 10


def calibration_error(probabilities: np.ndarray, right: np.ndarray) -> float:
    """sum over bins of their share times |accuracy - mean probability|, of largest probabilities (n,)."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    parts = [bins == b for b in np.unique(bins)]
    return float(sum(p.mean() * abs(right[p].mean() - probabilities[p].mean()) for p in parts))


def _data(
    setup: Setup, name: str
) -> tuple[list[np.ndarray], np.ndarray, Any, Any, list[tuple[np.ndarray, np.ndarray]]]:
    """Sequences, labels, subjects, the tree of the skeleton, and splits."""
    if name in accuracy.NAMES:
        motions = accuracy.load(setup.root, name)
        found = [(s.train, s.test) for s in splits(motions)]
        return list(motions.sequences), motions.require_labels(), motions.subjects, motions.parent, found
    sequences, labels, train = sensors.load(setup.root, name)
    return sequences, labels, None, None, [sensors.resample(labels, train, k) for k in range(sensors.RESAMPLES)]


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    rows = []
    for name in [name for name in setup.data or NAMES if name in NAMES]:
        sequences, labels, subjects, parent, found = _data(setup, name)
        out = np.unique(labels)[-OUT:]
        measured: dict[str, list[float]] = {"auroc": [], "known_called_unknown": [], "unknown_found": []}
        measured |= {"noise_found": [], "still_found": [], "calibration_error": []}
        for train, test in found[: 1 if setup.quick else min(SPLITS, setup.splits or SPLITS)]:
            known = train[~np.isin(labels[train], out)]
            groups = None if subjects is None else np.asarray(subjects)[known]
            classifier = MotionClassifier(parent).fit([sequences[i] for i in known], labels[known], groups)
            new = np.isin(labels[test], out)
            p, q, unknown = classifier.assess([sequences[i] for i in test])
            values = np.concatenate([sequences[i].reshape(len(sequences[i]), -1) for i in known])
            random = np.random.default_rng(0)
            noise = [
                (np.nanmean(values, 0) + np.nanstd(values, 0) * random.normal(size=(len(x), values.shape[1]))).reshape(
                    x.shape
                )
                for x in (sequences[i] for i in known[:20])
            ]
            still = [np.repeat(x[len(x) // 2 :][:1], len(x), 0) for x in (sequences[i] for i in test[:20])]
            right = classifier.classes_[p.argmax(1)] == labels[test]
            for key, value in {
                "auroc": rank_quality(q[~new], q[new]),
                "known_called_unknown": unknown[~new].mean(),
                "unknown_found": unknown[new].mean(),
                "noise_found": classifier.is_unknown(noise).mean(),
                "still_found": classifier.is_unknown(still).mean(),
                "calibration_error": calibration_error(p[~new].max(1), right[~new]),
            }.items():
                measured[key].append(float(value))
        rows.append({"unknown": name, **{key: float(np.mean(values)) for key, values in measured.items()}})
        print(rows[-1], file=sys.stderr)
    found_targets = []
    for row in rows:
        auroc, error = row["auroc"], row["calibration_error"]
        found_targets += [
            Target(f"{row['unknown']}: AUROC of unknown", auroc, ">= 0.9", auroc >= 0.9),
            Target(f"{row['unknown']}: expected calibration error", error, "<= 0.05", error <= 0.05),
        ]
    return rows, found_targets
