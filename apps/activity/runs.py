"""What `mvnet train|evaluate|crossval activity` do, without their options."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.apps.activity import models
from mvnet.apps.activity.card import Trained
from mvnet.apps.activity.compare import align
from mvnet.apps.activity.inventory import inventory, tell
from mvnet.apps.activity.metrics import measure
from mvnet.apps.activity.options import ModelOptions
from mvnet.apps.activity.preparation import prepare
from mvnet.apps.activity.reading import Given, read_labelled
from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.outputs import Outputs
from mvnet.data_loaders.motion import MotionSet, Split, splits
from mvnet.data_loaders.motion.stand_in import StandIn
from mvnet.storage import json_text

_NAMES = ("activity.safetensors", "activity.json", "metrics.json", "report.html")


def train(
    data: Path,
    output: Path,
    given: Given,
    split: str,
    classes: str | None,
    options: ModelOptions,
    overwrite: bool,
    console: Console,
    as_json: bool,
) -> dict[str, Any]:
    """Fit on the training part of one split, measure on its test part, write the run folder.

    The checkpoint of a network that was interrupted stays in the folder; with options.resume it is continued.
    """
    from mvnet.apps.activity.report import write_page

    start = time.perf_counter()
    outputs = Outputs(output, _NAMES, overwrite=overwrite, inputs=[data] if data.is_file() else [])
    options.check()
    place = options.place
    motions, read_as = read_labelled(data, given, classes)
    part, scheme = _part(motions, split)
    motions, declared, stand_in = prepare(motions, part.train)
    options.check_data(motions)
    motions = replace(motions, notes=(*motions.notes, f"split {scheme}: {part.note}"))
    if options.network == "lie":
        models.prepare_checkpoint(output, options.resume, overwrite)
    tell(console, motions, as_json)
    classifier = _fit(motions, part.train, options, console, output, place)
    choice = models.choice_of(classifier)
    if choice is not None:
        console.say(f"note: {choice['note']}")
        motions = replace(motions, notes=(*motions.notes, choice["note"]))
    with outputs:
        known = list(motions.classes)
        metrics = measure(classifier, motions, part.test, known) if len(part.test) else {"accuracy": None, "test": 0}
        seconds = round(time.perf_counter() - start, 2)
        card = {
            "task": "classify motions",
            "network": options.network,
            "data": str(data),
            "format": given.format,
            "only_classes": classes,
            "classes": known,
            "split": scheme,
            "train_sequences": part.train.tolist(),
            "test_sequences": part.test.tolist(),
            "rate": motions.rate,
            "seconds": seconds,
            "notes": list(motions.notes),
            "motions": Trained.on(motions, declared, stand_in, given.options(), read_as).entries(),
        }
        models.save(outputs.path("activity.safetensors").with_suffix(""), classifier, card)
        summary = {
            "network": options.network,
            **metrics,
            "train": len(part.train),
            "inner_accuracy": classifier.inner_accuracy_,
            **({} if choice is None else {"choice": choice}),
            "seconds": seconds,
            "notes": list(motions.notes),
            "read": inventory(motions),
        }
        outputs.path("metrics.json").write_text(json_text(summary, indent=2) + "\n", encoding="utf-8")
        write_page(outputs.path("report.html"), motions, part.train, part.test, summary, classifier.settings_)
    if options.network == "lie":
        from mvnet.models.activity.training import CHECKPOINT
        from mvnet.training import Run

        Run.drop(output, CHECKPOINT)
    return {**summary, "outputs": {Path(n).stem: str(output / n) for n in _NAMES[1:]}}


def _fit(
    motions: MotionSet, training: np.ndarray, options: ModelOptions, console: Console, output: Path, place: str
) -> Any:
    usually = {"kernels": ", usually under a minute", "auto": ", and on parts of them to choose a classifier"}
    console.say(f"training on {len(training)} sequences, {place}{usually.get(options.network, '')}")
    if options.network == "kernels":
        return models.fit(motions, training, options)
    with console.progress(f"epochs on {place}") as progress:
        return models.fit(motions, training, options, progress, output)


def evaluate(run: Path, data: Path | None, given: Given, console: Console, as_json: bool) -> dict[str, Any]:
    """Metrics of a run on its test part, or on other data, whose classes are matched by name."""
    start = time.perf_counter()
    classifier, card = models.load(run)
    trained = Trained.of(card, run)
    own = data is None
    path = Path(card["data"]) if data is None else data
    if data is None and given.format is None:
        given = replace(given, format=card["format"])
    motions, _ = read_labelled(path, given, card["only_classes"] if own else None, trained)
    index = np.array(card["test_sequences"], dtype=int) if own else np.arange(len(motions))
    if own and list(motions.classes) != card["classes"]:
        raise UserError(f"data: found classes {', '.join(motions.classes)}, expected {', '.join(card['classes'])}")
    if not len(index):
        raise UserError(f"data: found no test part in {run}, expected --data")
    if index.max() >= len(motions):
        raise UserError(f"data: found {len(motions)} sequences in {path}, expected the data of the training, or --data")
    motions = align(motions.take(index), trained)
    if trained.pose is not None:
        motions = StandIn(trained.pose).complete(motions)
    metrics = measure(classifier, motions, np.arange(len(motions)), card["classes"])
    untrained = metrics["unknown"]["untrained"]
    if untrained and not own:
        words = f"classes that the run was not trained on count as unknown: {', '.join(untrained)}"
        motions = replace(motions, notes=(*motions.notes, words))
    tell(console, motions, as_json)
    more = {"notes": list(motions.notes), "read": inventory(motions)}
    return {**metrics, **more, "seconds": round(time.perf_counter() - start, 2)}


def crossval(
    data: Path,
    given: Given,
    scheme: str,
    classes: str | None,
    options: ModelOptions,
    first: int | None,
    console: Console,
    as_json: bool,
) -> dict[str, Any]:
    """Accuracy on every split: mean, standard deviation over the splits, each."""
    options.check()
    motions, _ = read_labelled(data, given, classes)
    chosen = splits(motions, scheme)[:first]
    options.check_data(prepare(motions, chosen[0].train).motions)
    motions = replace(motions, notes=(*motions.notes, f"split {scheme}: {chosen[0].note}"))
    tell(console, motions, as_json)
    entries, notes = [], list(motions.notes)
    with console.progress("splits") as progress:
        for number, split in enumerate(chosen):
            progress(number, len(chosen))
            entry, found = _measure_split(motions, split, options)
            entries.append(entry)
            notes += [note for note in found if note not in notes]
            progress(number + 1, len(chosen))
    for note in notes[len(motions.notes) :]:
        console.say(f"note: {note}")
    accuracies = [entry["accuracy"] for entry in entries]
    return {
        "data": str(data),
        "sequences": len(motions),
        "mean": float(np.mean(accuracies)),
        "sd": float(np.std(accuracies)),
        "splits": entries,
        "notes": notes,
        "read": inventory(motions),
    }


def _measure_split(motions: MotionSet, split: Split, options: ModelOptions) -> tuple[dict[str, Any], list[str]]:
    """Entry of one split, and what was found and said in preparing it."""
    start = time.perf_counter()
    prepared = prepare(motions, split.train).motions
    classifier = models.fit(prepared, split.train, options)
    metrics = measure(classifier, prepared, split.test, list(motions.classes))
    entry = {
        "name": split.name,
        "accuracy": metrics["accuracy"],
        "train": len(split.train),
        "test": len(split.test),
        "rejected": metrics["unknown"]["rejected"],
        "inner_accuracy": classifier.inner_accuracy_,
        "settings": classifier.settings_,
        "seconds": round(time.perf_counter() - start, 2),
        "note": split.note,
    }
    choice = models.choice_of(classifier)
    found = [*prepared.notes, *([] if choice is None else [f"split {split.name}: {choice['note']}"])]
    return entry, [note for note in found if note not in motions.notes]


def _part(motions: MotionSet, split: str) -> tuple[Split, str]:
    """The split "none", the first of a scheme, or the N-th of "scheme:N" and "folds:K:N"; and what it is called."""
    if split == "none":
        return Split(np.arange(len(motions)), np.arange(0), "none", "all sequences train"), "none"
    scheme, _, number = split.rpartition(":") if split.rpartition(":")[2].isdecimal() else (split, "", "1")
    if scheme == "folds":  # folds:K, the number being that of the folds
        scheme, number = split, "1"
    found = splits(motions, scheme)
    if not 1 <= int(number) <= len(found):
        raise UserError(f"--split: found split {number}, expected 1 to {len(found)}")
    chosen = found[int(number) - 1]
    return chosen, f"{scheme}, split {chosen.name}"
