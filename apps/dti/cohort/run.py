"""All chosen subjects of a data set: what is to be done, who does it, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.pool import run_tasks
from mvnet.apps.common.summary import aligned
from mvnet.apps.dti import bids
from mvnet.apps.dti.cohort.dataset import Subject, find_subjects
from mvnet.apps.dti.cohort.group import PAGE, write_group
from mvnet.apps.dti.cohort.subject import DONE, EMPTY, FAILED, SKIPPED, WORK, Outcome, Task
from mvnet.apps.dti.options import Options, check
from mvnet.apps.dti.posterior.options import check_posterior
from mvnet.storage import recover, write_atomically, write_json

_README = """Diffusion tensor images denoised by mvnet {version} (`mvnet denoise dti --bids`), from the data set that
dataset_description.json links to as "raw". Names follow the BIDS extension proposal 16; files that the standard does
not know yet are listed in .bidsignore. sub-*_desc-mvnet_summary.json says what was found in a subject.
"""
_MOST_ERRORS = 3  # of the validator, in one line


@dataclass(frozen=True)
class Cohort:
    """Which subjects of which data set, and who does the work.

    root: of the BIDS data set.  output: folder of the derivative.
    labels: of the subjects, all when empty.  sessions: of each, whole subjects when empty.
    validate: whether the data set is validated first.
    jobs: processes on this machine.  scheduler: address of a dask cluster instead.
    """

    root: Path
    output: Path
    labels: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    validate: bool = True
    jobs: int = 1
    scheduler: str | None = None


def run_cohort(cohort: Cohort, options: Options, console: Console | None = None) -> dict[str, Any]:
    """Denoise the subjects; one that fails stops no other.

    Args:
        cohort: which, and by whom.
        options: of every series; files that it names are ignored.
    Returns:
        counts, subjects and messages, and "exit_status": 1 after a defect, 2 where a subject failed otherwise, 0.
    Raises:
        UserError: what concerns all of them: no such data set or subject, an output that cannot be, wrong options.
    """
    console = Console(quiet=True) if console is None else console
    subjects = find_subjects(cohort.root, cohort.labels, cohort.sessions)
    _check(cohort, options, subjects)
    messages = _validate(cohort)
    for message in messages:
        console.say(message)
    from mvnet import __version__
    from mvnet.models.checkpoint import load_identified

    _, weights = load_identified(*options.weights)
    _describe(cohort, __version__)
    recover(cohort.output)
    tasks = [Task(subject, cohort.root, cohort.output, options, weights) for subject in subjects]
    outcomes: dict[str, Outcome] = {}
    try:
        with console.progress("subjects") as progress:
            for done, outcome in enumerate(run_tasks(tasks, cohort.jobs, cohort.scheduler, WORK), start=1):
                outcomes[outcome.label] = outcome
                _tell(outcome, console)
                progress(done, len(tasks))
    finally:
        recover(cohort.output)  # what workers that were killed have left
    ordered = [outcomes[subject.label] for subject in subjects]
    group = write_group(cohort.output)
    troubles = {outcome.exit_status for outcome in ordered} - {0}
    return {
        "version": __version__,
        "weights": weights,
        "output": str(cohort.output),
        "counts": {status: sum(o.status == status for o in ordered) for status in (DONE, SKIPPED, FAILED, EMPTY)},
        "subjects": [vars(outcome) for outcome in ordered],
        "outliers": [row.name for row in group if row.outliers],
        "messages": messages,
        "exit_status": min(troubles, default=0),
    }


def _check(cohort: Cohort, options: Options, subjects: Sequence[Subject]) -> None:
    """UserError for what would be wrong with every subject."""
    root, output = cohort.root.resolve(), cohort.output.resolve()
    if cohort.output.exists() and not cohort.output.is_dir():
        raise UserError(f"output: found a file at {cohort.output}, expected a folder")
    if output == root or output in root.parents:
        raise UserError(f"output: found {cohort.output}, the data set itself, expected another folder")
    if not cohort.output.exists() and not output.parent.is_dir():
        raise UserError(f"output: found no folder {output.parent}, expected the parent of the output")
    series = [one for subject in subjects for one in subject.series]
    if not series:
        raise UserError(f"--bids: found no *_dwi.nii.gz of {len(subjects)} subjects in {cohort.root}, expected some")
    one = next((one for one in series if one.bval is not None), None)
    if one is not None:
        check(replace(options, input=one.image, bval=one.bval, bvec=one.bvec, output=cohort.output))
        check_posterior(options)


def _validate(cohort: Cohort) -> list[str]:
    """Messages on the data set; UserError where the validator finds errors."""
    if not cohort.validate:
        return []
    from mvnet.apps.dti.cohort.validator import errors_in

    errors = errors_in(cohort.root)
    if errors is None:
        return ["the data set was not validated: bids-validator-deno is not installed, or does not run"]
    if errors:
        first = "; ".join(errors[:_MOST_ERRORS])
        raise UserError(
            f"--bids: found {len(errors)} errors of the BIDS validator in {cohort.root} ({first}), "
            "expected none, or --skip-bids-validation"
        )
    return []


def _describe(cohort: Cohort, version: str) -> None:
    """The files that describe the derivative, where they are missing."""
    cohort.output.mkdir(exist_ok=True)
    description, ignored, readme = (cohort.output / name for name in (bids.DATASET, bids.IGNORE, "README"))
    if not description.exists():
        write_json(description, bids.dataset_description(version, cohort.root))
    if not ignored.exists():
        write_atomically(ignored, bids.ignore_text().encode())
    if not readme.exists():
        write_atomically(readme, _README.format(version=version).encode())


def _tell(outcome: Outcome, console: Console) -> None:
    """What the user reads of a subject as soon as it is known."""
    for series in outcome.series:
        for message in series["Messages"]:
            if message.startswith("warning: "):
                console.say(f"warning: {series['Name']}: {message.removeprefix('warning: ')}")
    if outcome.status == FAILED:
        console.say(f"sub-{outcome.label} failed: {outcome.message}")


def table(summary: dict[str, Any]) -> list[str]:
    """One line for every series, under a header."""
    rows: list[tuple[str, ...]] = [
        ("subject", "series", "status", "voxels", "repaired", "outliers", "b0/sigma", "change", "seconds")
    ]
    for subject in summary["subjects"]:
        start, end = f"sub-{subject['label']}", f"{subject['seconds']:.1f}"
        if not subject["series"]:
            rows.append((start, "", subject["status"], "", "", "", "", "", end))
        for series in subject["series"]:
            counts, numbers = series["Counts"], series["Statistics"]
            outliers = [counts[key] for key in ("outlier_volumes", "outlier_slices") if key in counts]
            cells = [str(counts.get(key, "")) for key in ("voxels", "repaired")]
            cells.append(str(sum(outliers)) if outliers else "")
            cells += [f"{numbers[key]:.3g}" if key in numbers else "" for key in ("snr_b0", "mean_change")]
            rows.append((start, series["Name"], subject["status"], *cells, end))
    lines = aligned(rows, 3)
    lines += [f"sub-{s['label']}: {s['message']}" for s in summary["subjects"] if s["status"] == FAILED]
    if summary["outliers"]:
        lines.append(f"unlike the others: {', '.join(summary['outliers'])}; see {PAGE}")
    return lines
