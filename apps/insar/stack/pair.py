"""One pair of a stack: all of its files or none, and only if that was not done before."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mvnet.apps.common.errors import USER_ERROR, UserError, failure
from mvnet.apps.common.pool import Work
from mvnet.apps.insar.options import InSAROptions
from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, Pair, keep, state_of
from mvnet.data_loaders.insar.stacks.registry import find_kind
from mvnet.storage import Staging, is_own_folder, json_text, parse_json, write_json

DONE, SKIPPED, FAILED = "done", "skipped", "failed"
_PARTS = ("Counts", "Statistics", "Messages")
_RECORD = ".record.json"  # while a pair is staged


@dataclass(frozen=True)
class Task:
    """What a worker needs to know.

    kind: of the stack, "" where the pair waits as two rasters until all are there.
    is_complex: whether the pair is written as complex values.
    options: of every pair; input, layer and output are set from the pair.
    target: folder that the files of a pair go to.  state: folder of the records, and of what is unfinished.
    fingerprint: digest of what the result depends on.
    replaces: whether files that are there are replaced.
    """

    pair: Pair
    kind: str
    is_complex: bool
    options: InSAROptions
    target: Path
    state: Path
    fingerprint: str
    replaces: bool


@dataclass(frozen=True)
class Outcome:
    """How a pair went.

    status: `DONE`, `SKIPPED` (done before) or `FAILED`.
    exit_status: 0, or that of the error.  message: the error in one line.
    counts, statistics, messages: of the summary of one scene.
    seconds: of work.
    """

    name: str
    status: str
    exit_status: int = 0
    message: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    statistics: dict[str, float] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    seconds: float = 0.0


def denoise_pair(task: Task) -> Outcome:
    """Denoise a pair; an error is part of the outcome, so that it ends nothing else."""
    from mvnet.apps.common.timing import Clock

    name, clock = task.pair.name, Clock()
    try:
        record = read_record(task.state, name)
        same = record is not None and record["Fingerprint"] == task.fingerprint
        files = [task.target / output for output in task.pair.outputs]
        if record is not None and same and all(file.is_file() for file in files):
            shutil.rmtree(staging(task.state, name), ignore_errors=True)  # of a run that was killed at its end
            return Outcome(name, SKIPPED, **{key.lower(): record[key] for key in _PARTS})
        if not (same or task.replaces):
            _refuse(files)
        summary = _denoise(task)
        parts = {key.lower(): summary[key.lower()] for key in _PARTS}
        return Outcome(name, DONE, **parts, seconds=clock.total())
    except Exception as error:
        if os.environ.get("MVNET_DEBUG"):
            raise
        return Outcome(name, FAILED, *failure(error), seconds=clock.total())


def lost_pair(task: Task, text: str) -> Outcome:
    """The outcome of a pair whose worker died."""
    return Outcome(task.pair.name, FAILED, USER_ERROR, text)


WORK = Work(denoise_pair, lost_pair)


def read_record(state: Path, name: str) -> dict[str, Any] | None:
    """What a pair that was done says of itself, None where there is no such record."""
    try:
        found = parse_json((state / f"{name}.json").read_text(encoding="utf-8"))
        return found if {"Fingerprint", *_PARTS} <= set(found) else None
    except (OSError, ValueError, TypeError):
        return None


def fingerprint_of(pair: Pair, options: InSAROptions, weights: dict[str, str], states: dict[Path, str]) -> str:
    """A digest of all that a result depends on: inputs, options, weights and version.

    Args:
        states: of the inputs seen before, to which those of the pair are added.
    """
    from mvnet import __version__

    for path in pair.inputs:
        states.setdefault(path, state_of(path))
    content = {
        "version": __version__,
        "weights": weights["sha256"],
        "options": [options.strength, options.looks, options.coherence, options.nodata],
        "inputs": {str(path.resolve()): states[path] for path in pair.inputs},
        "layer": pair.layer,
    }
    return hashlib.sha256(json_text(content, sort_keys=True).encode()).hexdigest()


def _refuse(files: list[Path]) -> None:
    """UserError where files are in the way."""
    existing = [file for file in files if file.exists()]
    if existing:
        raise UserError(f"output: found other results in {existing[-1]}, expected none, or --overwrite to replace them")


def _denoise(task: Task) -> dict[str, Any]:
    """Denoise a pair beside its place, where an unfinished run goes on, then move its files there."""
    from mvnet.apps.insar.denoise import run

    pair, folder = task.pair, staging(task.state, task.pair.name)
    make_own_folder(folder)
    output = folder / "pair.tif"
    try:
        own = {"input": pair.path, "layer": pair.layer, "output": output, "complex": task.is_complex}
        summary = run(replace(task.options, **own, report=False, overwrite=True))
        if task.options.report:
            from mvnet.apps.insar.stack.thumbnails import write_thumbnails

            before = replace(task.options, **own)
            write_thumbnails(task.state / f"{pair.name}.npz", before, DenoisedPair(output, _quality(output)))
        _place(task, DenoisedPair(output, _quality(output)), summary)
    except DataError:
        with suppress(OSError):  # tiles are kept in it
            folder.rmdir()
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return summary


def make_own_folder(folder: Path) -> None:
    """A hidden folder of ours, made where it is missing. UserError: something else is there."""
    if os.path.lexists(folder) and not is_own_folder(folder):
        raise UserError(f"output: found a link, or something of another user, at {folder}, expected nothing")
    folder.mkdir(parents=True, exist_ok=True)


def staging(state: Path, name: str) -> Path:
    """Where a pair is worked on; what is there belongs to an unfinished run."""
    return state / f".{name}.partial"


def _quality(output: Path) -> Path:
    return output.with_name(f"{output.stem}_quality{output.suffix}")


def _place(task: Task, denoised: DenoisedPair, summary: dict[str, Any]) -> None:
    """Make the files of a pair and move them into place, with the record of it."""
    record = {"Fingerprint": task.fingerprint, **{key: summary[key.lower()] for key in _PARTS}}
    with Staging(task.target) as staging:
        store = find_kind(task.kind).store if task.kind else keep
        store(task.pair, denoised, staging.new, task.options.access)
        write_json(staging.path(_RECORD), record)
        moves = {name: task.target / name for name in task.pair.outputs}
        staging.commit(moves | {_RECORD: task.state / f"{task.pair.name}.json"}, through=False)
