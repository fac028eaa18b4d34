"""One subject of a data set: all of its series, whole or not at all, and only if that was not done before."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from mvnet.apps.common.errors import USER_ERROR, UserError, failure, one_line
from mvnet.apps.common.pool import Work
from mvnet.apps.dti import bids
from mvnet.apps.dti.cohort.dataset import Series, Subject
from mvnet.apps.dti.options import Options
from mvnet.apps.dti.statistics import INPUTS, plain
from mvnet.errors import MvnetError
from mvnet.storage import Staging, json_text, parse_json, write_json

DONE, SKIPPED, FAILED, EMPTY = "done", "skipped", "failed", "no DWI"
_ELSEWHERE = (
    *INPUTS,
    "output",
    "dataset",
    "device",
    "overwrite",
    "model",
    "checkpoint",
)  # no part of what a result depends on


@dataclass(frozen=True)
class Task:
    """What a worker needs to know.

    root, output: folders of the data set and of the results.
    options: of every series; its input and output are set from the series.
    weights: what identifies the network.
    """

    subject: Subject
    root: Path
    output: Path
    options: Options
    weights: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """How a subject went.

    label: of the subject.
    status: `DONE`, `SKIPPED`, `FAILED` or `EMPTY`.
    exit_status: 0, or that of the error.
    message: the error in one line.
    series: one entry for every series: its name, counts, statistics and messages.
    seconds: of work.
    """

    label: str
    status: str
    exit_status: int = 0
    message: str = ""
    series: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


def denoise_subject(task: Task) -> Outcome:
    """Denoise the series of a subject; an error is part of the outcome, so that it ends nothing else."""
    from mvnet.apps.common.timing import Clock

    label, clock = task.subject.label, Clock()
    if not task.subject.series:
        return Outcome(label, EMPTY)
    try:
        fingerprint = fingerprint_of(task)
        before, complete = read_summary(task.output / task.subject.folder, label)
        same = before is not None and before["Fingerprint"] == fingerprint
        if before is not None and same and complete:
            return Outcome(label, SKIPPED, series=before["Series"])
        series = _denoise(task, fingerprint, replaces=same or task.options.overwrite)
        return Outcome(label, DONE, series=series, seconds=clock.total())
    except Exception as error:
        if os.environ.get("MVNET_DEBUG"):
            raise
        return Outcome(label, FAILED, *failure(error), seconds=clock.total())


def lost_subject(task: Task, text: str) -> Outcome:
    """The outcome of a subject whose worker died."""
    return Outcome(task.subject.label, FAILED, USER_ERROR, text)


WORK = Work(denoise_subject, lost_subject)


def summary_name(label: str) -> str:
    """Name of the file in a subject's folder that says that it is finished, and with what result."""
    return f"sub-{label}_desc-mvnet_summary.json"


def read_summary(folder: Path, label: str) -> tuple[dict[str, Any] | None, bool]:
    """What a finished subject says of itself, None where it is not finished; whether all of its files are there."""
    try:
        found = parse_json((folder / summary_name(label)).read_text(encoding="utf-8"))
        complete = all((folder / name).is_file() for name in found["Files"])
        return (found, complete) if {"Fingerprint", "Series"} <= set(found) else (None, False)
    except (OSError, ValueError, KeyError, TypeError):
        return None, False


def fingerprint_of(task: Task) -> str:
    """A digest of all that the results depend on: inputs, options, weights and version."""
    from mvnet import __version__
    from mvnet.apps.dti.posterior.options import denoiser_of
    from mvnet.models.posterior import load_posterior

    record = {k: v for k, v in plain(task.options.record()).items() if k not in _ELSEWHERE}
    noise = task.options.fit.noise
    files = [path for s in task.subject.series for path in (s.image, s.bval, s.bvec, s.mask) if path is not None]
    files += [noise] if isinstance(noise, Path) else []
    content = {
        "version": __version__,
        "weights": task.weights["sha256"],
        "options": record,
        "inputs": {_name(path, task.root): bids.sha256(path) for path in files},
    }
    if task.options.has_posterior:
        content["posterior"] = load_posterior(denoiser_of(task.options))[1]["sha256"]
    return hashlib.sha256(json_text(content, sort_keys=True, default=str).encode()).hexdigest()


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _denoise(task: Task, fingerprint: str, *, replaces: bool) -> list[dict[str, Any]]:
    label = task.subject.label
    target = task.output / task.subject.folder
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and any(target.iterdir()) and not replaces:
        raise UserError(f"output: found other results in {target}, expected none, or --overwrite to replace them")
    with Staging(task.output) as staging:
        folder = staging.path("")
        series = [_denoise_series(task, one, folder) for one in task.subject.series]
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        summary = {"Fingerprint": fingerprint, "Weights": task.weights, "Files": files, "Series": series}
        write_json(folder / summary_name(label), summary)
        files.append(summary_name(label))
        old = [target / name for name in _files_of(target / summary_name(label)) if name not in files]
        staging.commit({name: target / name for name in files}, remove=old, through=False)
    return series


def _denoise_series(task: Task, one: Series, folder: Path) -> dict[str, Any]:
    """Denoise one series into the folder of its subject."""
    from mvnet.apps.dti.denoise import run

    entry: dict[str, Any] = {"Name": one.image.name}
    if one.bval is None or one.bvec is None:
        raise UserError(f"{one.image.name}: found no b-values and b-vectors, expected .bval and .bvec files")
    if not is_weighted(one.bval, task.options.fit.b0_threshold):
        text = f"warning: {one.image.name} has no diffusion weighting and was left out"
        return entry | {"Counts": {}, "Statistics": {}, "Messages": [text]}
    output = folder / one.folder
    output.parent.mkdir(parents=True, exist_ok=True)
    how = {"input": one.image, "bval": one.bval, "bvec": one.bvec, "mask": one.mask, "output": output}
    try:
        summary = run(replace(task.options, **how, dataset=task.root))
    except MvnetError as error:
        error.args = (f"{one.image.name}: {one_line(error)}",)
        raise
    parts = ("counts", "statistics", "messages")
    return entry | {name.capitalize(): summary[name] for name in parts}


def is_weighted(bval: Path, threshold: float) -> bool:
    """Whether any b-value reaches the threshold; a file that holds no numbers is left for the reader to refuse."""
    try:
        return any(float(word) >= threshold for word in bval.read_text(encoding="utf-8-sig").replace(",", " ").split())
    except (OSError, ValueError):
        return True


def _files_of(summary: Path) -> list[str]:
    """Files below its folder that a summary names, none where there is no sound one."""
    try:
        names = [PurePosixPath(name) for name in parse_json(summary.read_text(encoding="utf-8"))["Files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [str(name) for name in names if not name.is_absolute() and ".." not in name.parts]
