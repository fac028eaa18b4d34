"""What the activity commands do, without their options."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.apps.activity import models
from mvnet.apps.activity.options import ModelOptions
from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.outputs import Outputs
from mvnet.data_loaders.motion import MotionSet, load_motion, splits, subset
from mvnet.storage import json_text

_NAMES = ("activity.safetensors", "activity.json", "metrics.json", "report.html")


def load(path: Path, format: str | None, classes: str | None) -> MotionSet:
    """Labelled motions, of some classes only where `classes` names them."""
    motions = load_motion(path, format)
    motions.require_labels()
    if classes:
        wanted = [int(c) if c.strip().isdecimal() else c.strip() for c in classes.split(",")]
        motions = subset(motions, wanted)
    return motions


def train(
    data: Path,
    output: Path,
    format: str | None,
    split: str,
    classes: str | None,
    options: ModelOptions,
    overwrite: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Fit on the training part of one split, measure on its test part, write the run folder.

    The checkpoint of a network that was interrupted stays in the folder; with options.resume it is continued.
    """
    from mvnet.apps.activity.report import write_page

    console, start = Console(quiet), time.perf_counter()
    outputs = Outputs(output, _NAMES, overwrite=overwrite, inputs=[data] if data.is_file() else [])
    options.check()
    place = options.place
    motions = load(data, format, classes)
    options.check_data(motions)
    training, test, name = _part(motions, split)
    usually = ", usually under a minute" if options.network == "kernels" else ""
    console.say(f"training on {len(training)} sequences, {place}{usually}")
    folder = None
    if options.network == "lie":
        models.prepare_checkpoint(output, options.resume, overwrite)
        folder = output
        with console.progress(f"epochs on {place}") as progress:
            classifier = models.fit(motions, training, options, progress, folder)
    else:
        classifier = models.fit(motions, training, options)
    with outputs:
        metrics = _metrics(classifier, motions, test) if len(test) else {"accuracy": None, "test": 0}
        seconds = round(time.perf_counter() - start, 2)
        card = {
            "task": "classify motions",
            "network": options.network,
            "data": str(data),
            "format": format,
            "only_classes": classes,
            "classes": list(motions.classes),
            "split": name,
            "train_sequences": training.tolist(),
            "test_sequences": test.tolist(),
            "rate": motions.rate,
            "seconds": seconds,
        }
        models.save(outputs.path("activity.safetensors").with_suffix(""), classifier, card)
        summary = {
            "network": options.network,
            **metrics,
            "train": len(training),
            "inner_accuracy": classifier.inner_accuracy_,
            "seconds": seconds,
        }
        outputs.path("metrics.json").write_text(json_text(summary, indent=2) + "\n", encoding="utf-8")
        write_page(outputs.path("report.html"), motions, training, test, summary, classifier.settings_)
    if folder is not None:
        from mvnet.models.activity.training import CHECKPOINT
        from mvnet.training import Run

        Run.drop(folder, CHECKPOINT)
    return {**summary, "outputs": {Path(n).stem: str(output / n) for n in _NAMES[1:]}}


def evaluate(run: Path, data: Path | None, format: str | None) -> dict[str, Any]:
    """Metrics of a run on its test part, or on other data."""
    start = time.perf_counter()
    classifier, card = models.load(run)
    path = Path(card["data"]) if data is None else data
    motions = load(path, card["format"] if data is None else format, card["only_classes"])
    index = np.array(card["test_sequences"], dtype=int) if data is None else np.arange(len(motions))
    if list(motions.classes) != card["classes"]:
        raise UserError(f"data: found classes {', '.join(motions.classes)}, expected {', '.join(card['classes'])}")
    if not len(index):
        raise UserError(f"data: found no test part in {run}, expected --data")
    if index.max() >= len(motions):
        raise UserError(f"data: found {len(motions)} sequences in {path}, expected the data of the training, or --data")
    return {**_metrics(classifier, motions, index), "seconds": round(time.perf_counter() - start, 2)}


def crossval(
    data: Path,
    format: str | None,
    scheme: str,
    classes: str | None,
    options: ModelOptions,
    first: int | None,
    quiet: bool,
) -> dict[str, Any]:
    """Accuracy on every split: mean, standard deviation over the splits, each."""
    options.check()
    console, motions = Console(quiet), load(data, format, classes)
    options.check_data(motions)
    chosen = splits(motions, scheme)[:first]
    entries = []
    with console.progress("splits") as progress:
        for number, split in enumerate(chosen):
            progress(number, len(chosen))
            start = time.perf_counter()
            classifier = models.fit(motions, split.train, options)
            entries.append(
                {
                    "name": split.name,
                    "accuracy": _metrics(classifier, motions, split.test)["accuracy"],
                    "train": len(split.train),
                    "test": len(split.test),
                    "inner_accuracy": classifier.inner_accuracy_,
                    "settings": classifier.settings_,
                    "seconds": round(time.perf_counter() - start, 2),
                }
            )
            progress(number + 1, len(chosen))
    accuracies = [entry["accuracy"] for entry in entries]
    return {
        "data": str(data),
        "sequences": len(motions),
        "mean": float(np.mean(accuracies)),
        "sd": float(np.std(accuracies)),
        "splits": entries,
    }


def predict(
    run: Path, files: Sequence[Path], format: str | None, window: float | None, step: float | None
) -> dict[str, Any]:
    """Class and probability of every recording, or of every window of it."""
    for name, seconds in {"--window": window, "--step": step}.items():
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise UserError(f"{name}: found {seconds}, expected a number of seconds above 0")
    classifier, card = models.load(run)
    entries = []
    for file in files:
        motions = load_motion(file, format)
        rate = motions.rate or card["rate"]
        if window is not None and rate is None:
            raise UserError(f"--window: found no frames per second in {file}, expected a recording with a rate")
        for name, sequence in zip(motions.names, motions.sequences):
            spans = _spans(len(sequence), rate, window, step)
            probabilities = classifier.predict_proba([sequence[a:b] for a, b in spans])
            for (a, b), p in zip(spans, probabilities):
                best = int(p.argmax())
                entries.append(
                    {
                        "file": str(file),
                        "sequence": name,
                        "start": a / rate if rate else a,
                        "stop": b / rate if rate else b,
                        "seconds": rate is not None,
                        "class": card["classes"][int(classifier.classes_[best])],
                        "probability": round(float(p[best]), 4),
                    }
                )
    return {"run": str(run), "predictions": entries}


def _spans(frames: int, rate: float | None, window: float | None, step: float | None) -> list[tuple[int, int]]:
    """First frame and the one after the last of every window; the last window ends with the recording."""
    if window is None or rate is None or (length := max(2, round(window * rate))) >= frames:
        return [(0, frames)]
    stride = max(1, round((step or window / 2) * rate))
    starts = list(range(0, frames - length + 1, stride))
    if starts[-1] + length < frames:
        starts.append(frames - length)
    return [(a, a + length) for a in starts]


def _part(motions: MotionSet, split: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Training and test indices of "none", a scheme, or "scheme:N" (the N-th split, the first by default)."""
    if split == "none":
        return np.arange(len(motions)), np.arange(0), "none"
    scheme, _, number = split.rpartition(":") if split.rpartition(":")[2].isdecimal() else (split, "", "1")
    found = splits(motions, scheme)
    if not 1 <= int(number) <= len(found):
        raise UserError(f"--split: found split {number}, expected 1 to {len(found)}")
    chosen = found[int(number) - 1]
    return chosen.train, chosen.test, f"{scheme}, split {chosen.name}"


def _metrics(classifier: Any, motions: MotionSet, index: np.ndarray) -> dict[str, Any]:
    part = motions.take(index)
    truth, found = part.require_labels(), classifier.predict(list(part.sequences))
    confusion = np.zeros((len(motions.classes),) * 2, dtype=int)
    np.add.at(confusion, (truth, found), 1)
    present = confusion.sum(1) > 0
    recall = np.diag(confusion)[present] / confusion.sum(1)[present]
    return {
        "accuracy": float((truth == found).mean()),
        "mean_class_accuracy": float(recall.mean()),
        "test": len(index),
        "confusion": confusion.tolist(),
    }
