"""`mvnet predict activity` without its options: answers for recordings, and the intervals of windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mvnet.apps.activity import models
from mvnet.apps.activity.answers.windows import Answer, classify, intervals, spans
from mvnet.apps.activity.card import Trained
from mvnet.apps.activity.compare import align
from mvnet.apps.activity.inventory import inventory, tell
from mvnet.apps.activity.reading import Given, read
from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError, one_line
from mvnet.apps.common.outputs import Outputs
from mvnet.data_loaders.motion import MotionSet
from mvnet.data_loaders.motion.stand_in import StandIn
from mvnet.errors import MvnetError


@dataclass(frozen=True)
class Run:
    """A trained classifier. classes: names by label; trained: what it knows of its motions."""

    folder: Path
    classifier: Any
    card: dict[str, Any]
    trained: Trained

    @classmethod
    def open(cls, folder: Path) -> Run:
        """MvnetError: files that are missing or hold something else."""
        classifier, card = models.load(folder)
        return cls(folder, classifier, card, Trained.of(card, folder))

    @property
    def classes(self) -> list[str]:
        """Names, by label."""
        return self.card["classes"]

    @property
    def stand_in(self) -> StandIn | None:
        """What stands in for joints that are never seen."""
        return None if self.trained.pose is None else StandIn(self.trained.pose)

    def answer(self, sequence: Any, parts: Sequence[tuple[int, int]], windows: bool = True) -> list[Answer]:
        """See `classify`."""
        return classify(self.classifier, self.classes, sequence, parts, self.stand_in, self.trained.names, windows)


def check_window(window: float | None, step: float | None) -> None:
    """UserError: no positive numbers of seconds."""
    for name, seconds in {"--window": window, "--step": step}.items():
        if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
            raise UserError(f"{name}: found {seconds}, expected a number of seconds above 0")


def predict(
    folder: Path,
    files: Sequence[Path],
    given: Given,
    window: float | None,
    step: float | None,
    report: Path | None,
    overwrite: bool,
    console: Console,
    as_json: bool,
) -> dict[str, Any]:
    """Class and probability of every recording, or of every window of it and of the intervals they merge into.

    Of several files one that cannot be read is left out, said.
    """
    check_window(window, step)
    outputs = report and Outputs(report.absolute().parent, [report.name], overwrite=overwrite, inputs=files)
    run = Run.open(folder)
    predictions, merged, inventories, notes = [], [], {}, []
    shown: list[tuple[str, MotionSet]] = []
    for file in files:
        try:
            motions = align(read(file, given, run.trained)[0], run.trained)
            rate = motions.rate or run.card["rate"]
            if window is not None and rate is None:
                raise UserError(f"--window: found no frames per second in {file}, expected a recording with a rate")
            found = [
                (name, run.answer(x, parts, windows=len(parts) > 1))
                for name, x in zip(motions.names, motions.sequences)
                for parts in [spans(len(x), rate, window, step)]
            ]
        except MvnetError as error:
            if len(files) == 1 or not file.exists():
                raise
            notes.append(f"left out {file}: {one_line(error)}")
            console.say(f"note: {notes[-1]}")
            continue
        tell(console, motions, as_json)
        notes += [f"{file}: {note}" if len(files) > 1 else note for note in motions.notes]
        inventories[str(file)] = inventory(motions)
        for name, answers in found:
            predictions += [_entry(file, name, answer, rate) for answer in answers]
            labels = [run.classes[int(label)] for label in run.classifier.classes_]
            merged += [_interval(file, name, part, rate) for part in intervals(answers, labels)]
        shown.append((str(file), motions))
    if not shown:
        raise UserError(f"files: found none that can be used ({notes[0]}), expected at least one")
    summary: dict[str, Any] = {"run": str(folder), "predictions": predictions, "notes": notes, "read": inventories}
    if window is not None:
        summary["intervals"] = merged
    if outputs:
        from mvnet.apps.activity.answers.timeline import write_timeline

        with outputs:
            write_timeline(outputs.path(outputs.names[0]), run.classes, shown, summary, merged, run.stand_in)
        summary["outputs"] = {"report": str(report)}
    return summary


def _entry(file: Path, sequence: str, answer: Answer, rate: float | None) -> dict[str, Any]:
    entry = _interval(file, sequence, (answer.start, answer.stop, answer.name, answer.probability), rate)
    entry |= {"nearest": answer.nearest, "known": round(answer.known, 4)}
    return entry | ({"reason": answer.reason} if answer.reason else {})


def _interval(file: Path, sequence: str, part: tuple[int, int, str, float], rate: float | None) -> dict[str, Any]:
    start, stop, name, probability = part
    return {
        "file": str(file),
        "sequence": sequence,
        "start": start / rate if rate else start,
        "stop": stop / rate if rate else stop,
        "seconds": rate is not None,
        "class": name,
        "probability": round(probability, 4),
    }


def format_predictions(summary: dict[str, Any]) -> str:
    """A line for every recording, or for every interval of it."""
    lines = []
    for entry in summary.get("intervals", summary["predictions"]):
        unit = "s" if entry["seconds"] else "frames"
        span = f"{entry['start']:.6g} to {entry['stop']:.6g} {unit}"
        line = f"{entry['file']}  {entry['sequence']}  {span}  {entry['class']}  {entry['probability']:.3f}"
        lines.append(line + (f"  ({entry['reason']})" if entry.get("reason") else ""))
    return "\n".join(lines)
