"""Sensors: rings, watches and whatever else aeon ships, beside MiniRocket and MultiRocket-Hydra.

ERing and RacketSports from MVNET_DATA, the others from aeon: the published split and two stratified ones with as many
training sequences of every class. Sequences of unequal length are stretched for the peers. Accuracies in per cent, CPU
seconds of fitting and predicting on one thread after a first run that compiles. Which views and which filters are used,
and the shares that the classifier chooses among, were fixed while looking at these sets. --quick takes the published
splits.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.activity.setup import Setup
from benchmarks.harness import Target
from mvnet.models.activity.classifier import MotionClassifier

OWN = ("ERing", "RacketSports")
SHIPPED = (
    "BasicMotions",
    "JapaneseVowels",
    "PickupGestureWiimoteZ",
    "GunPoint",
    "ArrowHead",
    "ItalyPowerDemand",
    "OSULeaf",
    "ACSF1",
)
RESAMPLES = 3
Classify = Callable[[list[np.ndarray], np.ndarray, list[np.ndarray]], np.ndarray]
"""(training sequences (frames, channels), labels, new sequences) -> labels."""


def load(root: Path, name: str) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Sequences (frames, channels), labels, and which are for training as published."""
    if name in OWN:
        arrays = np.load(root / "motion" / "uea" / f"{name}.npz")
        count = sum(key.startswith("seq_") for key in arrays.files)
        sequences = [arrays[f"seq_{i:04d}"] for i in range(count)]
        return sequences, arrays["label"], arrays["train_sequences"][0].astype(bool)
    from aeon.datasets import load_classification

    (known, known_labels, *_), (new, new_labels, *_) = (load_classification(name, split=s) for s in ("train", "test"))
    labels = np.unique(np.r_[known_labels, new_labels], return_inverse=True)[1]
    return [np.asarray(x).T for x in [*known, *new]], labels, np.arange(len(labels)) < len(known_labels)


def resample(labels: np.ndarray, train: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices for training and for testing; number 0 is the published split."""
    if number == 0:
        return np.flatnonzero(train), np.flatnonzero(~train)
    random, chosen = np.random.default_rng(number), []
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        chosen.append(random.permutation(mine)[: train[mine].sum()])
    known = np.sort(np.concatenate(chosen))
    return known, np.setdiff1d(np.arange(len(labels)), known)


def _stack(sequences: list[np.ndarray], frames: int) -> np.ndarray:
    """(n, channels, frames)."""
    at = np.linspace(0, 1, frames)
    return np.stack([[np.interp(at, np.linspace(0, 1, len(x)), column) for column in x.T] for x in sequences])


def _ours(known: list[np.ndarray], labels: np.ndarray, new: list[np.ndarray]) -> np.ndarray:
    return MotionClassifier().fit(known, labels).predict(new)


def _minirocket(known: list[np.ndarray], labels: np.ndarray, new: list[np.ndarray]) -> np.ndarray:
    from aeon.transformations.collection.convolution_based import MiniRocket
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frames = max(map(len, [*known, *new]))
    x = _stack(known, frames)
    rocket = MiniRocket(random_state=0).fit(x)
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(0, 6, 13)))
    return model.fit(rocket.transform(x), labels).predict(rocket.transform(_stack(new, frames)))


def _multirocket_hydra(known: list[np.ndarray], labels: np.ndarray, new: list[np.ndarray]) -> np.ndarray:
    from aeon.classification.convolution_based import MultiRocketHydraClassifier

    frames = max(map(len, [*known, *new]))
    return MultiRocketHydraClassifier(random_state=0).fit(_stack(known, frames), labels).predict(_stack(new, frames))  # type: ignore[attr-defined]


METHODS: dict[str, Classify] = {
    "mvnet": _ours,
    "minirocket": _minirocket,
    "multirocket-hydra": _multirocket_hydra,
}


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    names = [name for name in setup.data or (*OWN, *SHIPPED) if name in (*OWN, *SHIPPED)]
    methods = [name for name in setup.methods or METHODS if name in METHODS]
    rows: list[dict[str, Any]] = []
    for method in methods:
        warm, labels, train = load(setup.root, OWN[0])
        METHODS[method]([warm[i] for i in np.flatnonzero(train)], labels[train], warm[:2])
    for name in names:
        sequences, labels, train = load(setup.root, name)
        for method in methods:
            accuracies, seconds = [], []
            for number in range(1 if setup.quick else min(RESAMPLES, setup.splits or RESAMPLES)):
                known, new = resample(labels, train, number)
                start = time.process_time()
                found = METHODS[method]([sequences[i] for i in known], labels[known], [sequences[i] for i in new])
                seconds.append(time.process_time() - start)
                accuracies.append(100 * float((found == labels[new]).mean()))
            rows.append(
                {
                    "sensors": name,
                    "method": method,
                    "accuracy": float(np.mean(accuracies)),
                    "resamples": len(accuracies),
                    "cpu_seconds": float(np.median(seconds)),
                }
            )
            print(f"{name:22} {method:18} {rows[-1]['accuracy']:.2f}", file=sys.stderr)
    return rows, targets(rows)


def targets(rows: list[dict[str, Any]]) -> list[Target]:
    """At most half a point behind MiniRocket on any set, a point ahead on average, at most five times its CPU."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        table.setdefault(row["sensors"], {})[row["method"]] = row
    whole = [found for found in table.values() if len(found) == len(METHODS)]
    if not whole:
        return []
    lead = {
        peer: [found["mvnet"]["accuracy"] - found[peer]["accuracy"] for found in whole] for peer in list(METHODS)[1:]
    }
    least, mean = min(lead["minirocket"]), float(np.mean(lead["minirocket"]))
    hydra = float(np.mean(lead["multirocket-hydra"]))
    slower = max(found["mvnet"]["cpu_seconds"] / found["minirocket"]["cpu_seconds"] for found in whole)
    return [
        Target("least lead over MiniRocket, points", least, ">= -0.5", least >= -0.5),
        Target("mean lead over MiniRocket, points", mean, ">= 1", mean >= 1),
        Target("mean lead over MultiRocket-Hydra, points", hydra, ">= 0", hydra >= 0),
        Target("CPU over MiniRocket's, most", slower, "<= 5", slower <= 5),
    ]
