"""Classes of motions: `python -m benchmarks.activity [--quick] [--data NAMES] [--json FILE|-]`, MVNET_DATA set.

Florence3D and MSR-Action3D (action sets 1 to 3, and all 20 classes) on the 10 published cross-subject splits, half of
the subjects for training; BasicMotions on its published split. Everything is fitted on training subjects only, our
settings are chosen by leaving out one training subject at a time. Accuracies in per cent: mean and standard deviation
over the splits, which share subjects. mvnet-no-tree: the same without names of joints and tree. --quick takes 2 splits.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.activity.peers import ON_SIGNALS, PEERS
from benchmarks.harness import Benchmark, Target
from mvnet.data_loaders.motion import MotionSet, load_motion, splits, subset
from mvnet.data_loaders.motion.skeleton.recognition import find_tree
from mvnet.models.activity.classifier import MotionClassifier

ACTION_SETS = {
    "MSR AS1": (2, 3, 5, 6, 10, 13, 18, 20),
    "MSR AS2": (1, 4, 7, 8, 9, 11, 12, 14),
    "MSR AS3": (6, 14, 15, 16, 17, 18, 19, 20),
}
"""Li, Zhang, Liu, Action recognition based on a bag of 3D points, CVPR workshops (2010), table 1."""
TARGETS = {"Florence3D": 93.0, "MSR AS mean": 95.0, "MSR all": 91.0, "BasicMotions": 100.0}
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


OURS = {"mvnet": ours, "mvnet-no-tree": ours_without_tree}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default=",".join(NAMES), help="names with commas")
    parser.add_argument("--methods", default=",".join((*OURS, *PEERS)), help="names with commas")


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
    return found


def main() -> None:
    benchmark = Benchmark("activity", __doc__, add_options=options)
    if "MVNET_DATA" not in os.environ:
        sys.exit("MVNET_DATA: not set, expected the folder that holds motion/skeleton")
    root, rows = Path(os.environ["MVNET_DATA"]), []
    methods = benchmark.options.methods.split(",")
    for name in benchmark.options.data.split(","):
        motions = load(root, name)
        chosen = splits(motions)[: 2 if benchmark.quick else None]
        for method in methods:
            if motions.kind == "signals" and method not in ("mvnet", *ON_SIGNALS):
                continue
            classify = OURS.get(method) or PEERS[method]
            start = time.perf_counter()
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
                    "seconds_per_split": (time.perf_counter() - start) / len(chosen),
                }
            )
            print(f"{name:12} {method:14} {rows[-1]['accuracy']:.2f} +- {rows[-1]['sd']:.2f}", file=sys.stderr)
    benchmark.report(rows, targets(rows))


if __name__ == "__main__":
    main()
