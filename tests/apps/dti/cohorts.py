"""A small BIDS data set, and work that is done or killed without a network."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

from mvnet.apps.dti.cohort.subject import DONE, Outcome, Task


def write_data_set(root: Path, scan, labels=("01", "02")) -> Path:
    """The scan as that of every subject, whose name is written into the sidecar."""
    root.mkdir()
    description = {"Name": "test", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    (root / "README").write_text("A simulated brain, the same for every subject, to test what reads data sets. " * 3)
    for label in labels:
        add_series(root, scan, label, "dwi", f"sub-{label}_dwi")
    return root


def add_series(root: Path, scan, label: str, folder: str, name: str) -> Path:
    """The scan under the name (without extension) in a folder of a subject."""
    place = root / f"sub-{label}" / folder
    place.mkdir(parents=True, exist_ok=True)
    for source, end in ((scan.dwi, ".nii.gz"), (scan.bval, ".bval"), (scan.bvec, ".bvec")):
        shutil.copy(source, place / f"{name}{end}")
    (place / f"{name}.json").write_text("{}")
    return place / f"{name}.nii.gz"


def killed_once(task: Task) -> Outcome:
    """Done, but for subject 02: its process is killed at the first attempt; 03 is killed always."""
    mark = task.output / f"{task.subject.label}-{os.getpid()}"
    mark.touch()
    attempts = len(list(task.output.glob(f"{task.subject.label}-*")))
    if task.subject.label == "03" or (task.subject.label == "02" and attempts == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome(task.subject.label, DONE)
