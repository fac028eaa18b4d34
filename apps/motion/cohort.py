"""`mvnet denoise motion FOLDER`: every recording of a folder, into a folder of the same shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError, failure
from mvnet.apps.common.pool import Work, run_tasks
from mvnet.apps.common.timing import Clock
from mvnet.apps.motion.denoise import run
from mvnet.apps.motion.options import MotionOptions, check_numbers

ENDINGS = (".bvh", ".c3d", ".trc", ".npz")
DONE, SKIPPED, FAILED = "done", "skipped", "failed"


@dataclass(frozen=True)
class Outcome:
    """recording: in the folder. status: DONE, SKIPPED (it was there) or FAILED. message: why. counts: of DONE."""

    recording: str
    status: str
    message: str = ""
    exit_status: int = 0
    counts: dict[str, int] | None = None


def run_folder(options: MotionOptions, jobs: int = 1, console: Console | None = None) -> dict[str, Any]:
    """Denoise all recordings of a folder; one that fails stops no other, one whose output is there is skipped.

    Args:
        options: input and output are folders; with overwrite nothing is skipped.
        jobs: processes.
    Returns:
        the summary: counts, recordings, timings, and "exit_status": 1 after a defect, 2 where one failed, 0.
    Raises:
        UserError: no recordings, an output that cannot be, wrong options.
    """
    from mvnet import __version__
    from mvnet.models.checkpoint import load_identified

    console, clock = Console(quiet=True) if console is None else console, Clock()
    check_numbers(options)
    recordings = find_recordings(options.input)
    _check_output(options)
    _, weights = load_identified("motion", options.model)
    options.output.mkdir(exist_ok=True)
    outcomes: dict[str, Outcome] = {}
    work = Work(partial(_denoise_one, options), lambda name, why: Outcome(name, FAILED, why, 2))
    with console.progress("recordings") as progress:
        for done, outcome in enumerate(run_tasks(recordings, jobs, None, work), start=1):
            outcomes[outcome.recording] = outcome
            if outcome.status == FAILED:
                console.say(f"{outcome.recording}: {outcome.message}")
            progress(done, len(recordings))
    ordered = [outcomes[name] for name in recordings]
    return {
        "version": __version__,
        "weights": weights,
        "output": str(options.output),
        "counts": {status: sum(o.status == status for o in ordered) for status in (DONE, SKIPPED, FAILED)},
        "recordings": [asdict(outcome) for outcome in ordered],
        "timings": {"total": clock.total()},
        "device": options.device,
        "options": options.to_json(),
        "exit_status": min({outcome.exit_status for outcome in ordered} - {0}, default=0),
    }


def find_recordings(folder: Path) -> list[str]:
    """The recordings of a folder, relative to it, sorted; hidden files are none.

    Raises:
        UserError: none, or two whose results would have one name.
    """
    files = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.suffix.lower() in ENDINGS]
    files = [file for file in files if (folder / file).is_file() and not any(p.startswith(".") for p in file.parts)]
    if not files:
        raise UserError(f"input: found no recordings in {folder}, expected some with {', '.join(ENDINGS)}")
    seen: dict[Path, Path] = {}
    for file in files:
        other = seen.setdefault(file.with_suffix(""), file)
        if other != file:
            raise UserError(
                f"input: found {other} and {file}, expected another name: both have {file.stem}_confidence.npz"
            )
    return [file.as_posix() for file in files]


def _check_output(options: MotionOptions) -> None:
    output, source = options.output.resolve(), options.input.resolve()
    if options.output.exists() and not options.output.is_dir():
        raise UserError(f"output: found a file at {options.output}, expected a folder, as the input is one")
    if output == source or source in output.parents:
        raise UserError(f"output: found {options.output} in the folder of the input, expected another place")
    if not output.parent.is_dir():
        raise UserError(f"output: found no folder {output.parent}, expected the parent of the output")


def _denoise_one(options: MotionOptions, name: str) -> Outcome:
    """One recording, whatever happens."""
    target = options.output / name
    if target.exists() and not options.overwrite:
        return Outcome(name, SKIPPED)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        summary = run(replace(options, input=options.input / name, output=target))
    except Exception as error:
        status, message = failure(error)
        return Outcome(name, FAILED, message, status)
    return Outcome(name, DONE, counts=summary["counts"])


def table(summary: dict[str, Any]) -> str:
    """A line for every recording that failed, then how many there are of each kind."""
    failed: Sequence[dict[str, Any]] = [one for one in summary["recordings"] if one["status"] == FAILED]
    lines = [f"{one['recording']}: {one['message']}" for one in failed]
    counts = ", ".join(f"{count} {status}" for status, count in summary["counts"].items())
    return "\n".join([*lines, f"{counts}, {summary['timings']['total']:.1f} s"])
