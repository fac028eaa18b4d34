"""All pairs of a stack: what is to be done, who does it, and what comes of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.pool import run_tasks
from mvnet.apps.common.timing import Clock
from mvnet.apps.insar.options import NO_COHERENCE, InSAROptions, check, to_json
from mvnet.apps.insar.outputs import REPORT
from mvnet.apps.insar.stack.pair import (
    DONE,
    FAILED,
    SKIPPED,
    WORK,
    Outcome,
    Task,
    fingerprint_of,
    make_own_folder,
    read_record,
)
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, Stack, in_two_rasters, kept
from mvnet.data_loaders.insar.stacks.linking import edges_of, link_pairs
from mvnet.data_loaders.insar.stacks.registry import find_kind
from mvnet.storage import Staging, parse_json, recover, replacing, write_json

_RECORDS = ".mvnet"
_JOB = "job.json"


@dataclass(frozen=True)
class StackJob:
    """A stack and who does the work: processes on this machine, or the dask cluster of a scheduler.

    joint: whether the denoised phases are brought to the differences of one phase for every date.
    """

    stack: Stack
    jobs: int = 1
    scheduler: str | None = None
    joint: bool = False


@dataclass(frozen=True)
class _Places:
    """output: the file or folder asked for.  target: folder that the files of pairs go to.  state: of the records.

    gathered: whether the pairs wait in `state` until all are done.
    """

    output: Path
    target: Path
    state: Path
    is_file: bool
    gathered: bool

    @property
    def job(self) -> Path:
        """What says of a finished file from what it was made."""
        return self.output.with_name(f".{self.output.name}.{_JOB}")

    @property
    def report(self) -> Path:
        """The page."""
        return self.output.with_name(f"{self.output.stem}_{REPORT}") if self.is_file else self.output / REPORT


def run_stack(job: StackJob, options: InSAROptions, console: Console | None = None) -> dict[str, Any]:
    """Denoise the pairs of a stack; one that fails stops no other.

    What was done before with the same inputs and options is not done again.

    Args:
        job: which stack, and by whom.
        options: of every pair; the output is a file like the stack, or a folder.
    Returns:
        outputs, counts, pairs, messages, timings, and "exit_status": 1 after a defect, 2 where a pair failed otherwise.
    Raises:
        UserError: what concerns all of them: options that a stack has not, an output that cannot be.
    """
    console, clock = Console(quiet=True) if console is None else console, Clock()
    check(options)
    places = _check(job, options)
    for message in _introduction(job):
        console.say(message)
    from mvnet import __version__
    from mvnet.models.checkpoint import load_identified

    _, weights = load_identified("insar", options.model)
    for folder in (places.output.parent, places.output, places.state):
        recover(folder)
    tasks = _tasks(job, options, weights, places)
    outcomes, written = _do(job, options, tasks, places, console, clock)
    troubles = {outcome.exit_status for outcome in outcomes} - {0}
    counts = {status: sum(o.status == status for o in outcomes) for status in (DONE, SKIPPED, FAILED)}
    summary = {
        "version": __version__,
        "outputs": {"stack": str(places.output)} if written else {},
        "kind": job.stack.kind,
        "counts": counts | {"left_out": len(job.stack.left_out)},
        "pairs": [vars(outcome) for outcome in outcomes],
        "left_out": list(job.stack.left_out),
        "weights": weights,
        "device": options.device if job.scheduler is None else job.scheduler,
        "options": to_json(options) | {"jobs": job.jobs, "joint": job.joint},
        "messages": _introduction(job),
        "exit_status": min(troubles, default=0),
    }
    if options.report and any(outcome.statistics for outcome in outcomes):
        from mvnet.apps.insar.stack.report import write_report

        with replacing(places.report) as path:
            write_report(path, summary, places.state)
        summary["outputs"]["report"] = str(places.report)
    if places.gathered and written and not troubles:
        shutil.rmtree(places.state, ignore_errors=True)
    summary["timings"] = clock.laps | {"total": clock.total()}
    return summary


def _introduction(job: StackJob) -> list[str]:
    stack, messages = job.stack, list(job.stack.messages)
    if job.joint:
        dates = 1 + max(max(edge) for edge in edges_of([pair.name for pair in stack.pairs]))
        text = f"the phases of {len(stack.pairs)} pairs are brought to those of {dates} dates; residues, quality and "
        messages.append(text + "pictures of a pair are those before")
    return [f"{stack.path.name}: a stack of {len(stack.pairs)} pairs ({stack.kind})", *messages]


def _check(job: StackJob, options: InSAROptions) -> _Places:
    """Where everything goes; UserError for what would be wrong with every pair."""
    stack = job.stack
    posterior = (("samples", options.samples), ("seed", options.seed))
    for name, value in (("unwrap", options.unwrap), *posterior, ("header", options.header), ("format", options.format)):
        if value is not None:
            raise UserError(f"--{name}: found it beside a stack, expected it for one pair only, with --pair")
    if options.complex:
        raise UserError("--complex: found it beside a stack, expected none: a stack is written in its own form")
    if options.coherence not in (None, NO_COHERENCE):
        raise UserError(
            f"--coherence: found {options.coherence} for {len(stack.pairs)} pairs, expected {NO_COHERENCE}, or nothing "
            "to take the one of every pair"
        )
    output, kind = options.output, find_kind(stack.kind)
    _check_output(stack, output, kind.suffixes)
    if not kind.suffixes and not job.joint:
        return _Places(output, output, output / _RECORDS, False, False)
    state = output.with_name(f".{output.name}.partial")
    return _Places(output, state, state, bool(kind.suffixes), True)


def _check_output(stack: Stack, output: Path, suffixes: tuple[str, ...]) -> None:
    root, place = stack.path.resolve(), output.resolve()
    form = f"a name ending in {' or '.join(suffixes)}" if suffixes else "a folder"
    ending = output.suffix.lower()
    if ending not in suffixes if suffixes else output.is_file() or ending in (".tif", ".tiff"):
        raise UserError(
            f"output: found {output} for a stack of {len(stack.pairs)} pairs, expected {form}, or one pair by --pair"
        )
    if place == root or place in root.parents or root in place.parents:
        raise UserError(f"output: found {output}, which is or holds the stack or lies in it, expected another place")
    if suffixes and output.is_dir() and ending != ".zarr":
        raise UserError(f"output: found a folder at {output}, expected a file or nothing")
    if not place.parent.is_dir():
        raise UserError(f"output: found no folder {place.parent}, expected the parent of the output")


def _tasks(job: StackJob, options: InSAROptions, weights: dict[str, str], places: _Places) -> list[Task]:
    stack, states = job.stack, dict[Path, str]()
    settings = (replace(options, overwrite=False, scheduler=None), places.target, places.state)
    replaces = options.overwrite or places.gathered
    return [
        Task(
            in_two_rasters(pair) if places.gathered else pair,
            "" if places.gathered else stack.kind,
            stack.is_complex,
            *settings,
            fingerprint_of(pair, options, weights, states),
            replaces,
        )
        for pair in stack.pairs
    ]


def _do(
    job: StackJob, options: InSAROptions, tasks: Sequence[Task], places: _Places, console: Console, clock: Clock
) -> tuple[list[Outcome], bool]:
    """The outcomes in the order of the pairs, and whether there is a result."""
    fingerprints = {task.pair.name: task.fingerprint for task in tasks} | {"joint": str(job.joint)}
    if places.gathered and places.output.exists() and not options.overwrite:
        if not _is_ours(places, fingerprints):
            raise UserError(f"output: found that {places.output} exists, expected no such file, or --overwrite")
        if not places.state.is_dir():
            console.say(f"{places.output} holds all pairs already")
            return [Outcome(task.pair.name, SKIPPED) for task in tasks], True
    existed = places.output.exists()
    make_own_folder(places.state)
    outcomes: dict[str, Outcome] = {}
    with _goes_on(places, console), console.progress("pairs") as progress:
        for done, outcome in enumerate(run_tasks(tasks, job.jobs, job.scheduler, WORK), start=1):
            _tell(outcome, console, first=not outcomes)
            outcomes[outcome.name] = outcome
            progress(done, len(tasks))
    clock.lap("denoise")
    ordered = [outcomes[task.pair.name] for task in tasks]
    if all(outcome.status == FAILED for outcome in ordered):
        _remove_empty(places, existed)
        return ordered, False
    if places.gathered:
        _gather(job, ordered, places, fingerprints, console)
        clock.lap("write")
    return ordered, True


@contextmanager
def _goes_on(places: _Places, console: Console) -> Iterator[None]:
    """Says what is kept of a run that is stopped."""
    try:
        yield
    except BaseException:
        console.say(f"the pairs that are done are kept in {places.target}; the same command goes on")
        raise


def _is_ours(places: _Places, fingerprints: dict[str, str]) -> bool:
    """Whether the output was made of these pairs by these options."""
    try:
        return parse_json(places.job.read_text(encoding="utf-8")) == fingerprints
    except (OSError, ValueError):
        return False


def _gather(
    job: StackJob, outcomes: Sequence[Outcome], places: _Places, fingerprints: dict[str, str], console: Console
) -> None:
    """Write the copy of the stack, or the folder, with the pairs that were done, and what it was made of."""
    failed = {outcome.name for outcome in outcomes if outcome.status == FAILED}
    pairs = [pair for pair in job.stack.pairs if pair.name not in failed]
    denoised = {pair.name: kept(in_two_rasters(pair), places.state) for pair in pairs}
    if job.joint:
        with console.progress("linking dates") as progress:
            denoised = link_pairs(denoised, _empty(places.state / "linked"), progress)
    with console.progress("writing the stack") as progress:
        progress(0, 1)
        _write(job.stack, denoised, places, fingerprints)
        progress(1, 1)
    if failed:
        kept_as = "stay as they were read, with quality 0" if places.is_file else "are not there"
        console.say(
            f"{len(failed)} pairs {kept_as}; {len(denoised)} denoised ones are kept in {places.state}, and the same "
            "command tries the others again"
        )


def _write(stack: Stack, denoised: Mapping[str, DenoisedPair], places: _Places, fingerprints: dict[str, str]) -> None:
    """Make the files beside their place, then move them there."""
    kind = find_kind(stack.kind)
    with Staging(places.output.parent) as staging:
        write_json(staging.path(_JOB), fingerprints)
        moves = {_JOB: places.job}
        if kind.gather is not None:
            fresh = f"stack{places.output.suffix}"
            kind.gather(stack, denoised, staging.path(fresh))
            moves[fresh] = places.output
        else:
            for pair in stack.pairs:
                if pair.name in denoised:
                    kind.store(pair, denoised[pair.name], staging.new, stack.access)
                    moves |= {name: places.output / name for name in pair.outputs}
        staging.commit(moves, through=False)


def _empty(folder: Path) -> Path:
    _remove(folder)
    folder.mkdir()
    return folder


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_empty(places: _Places, existed: bool) -> None:
    """Leave nothing of a run in which nothing was done."""
    if not any(read_record(places.state, file.stem) for file in places.state.glob("*.json")):
        shutil.rmtree(places.state, ignore_errors=True)
        if not places.gathered and not existed:
            shutil.rmtree(places.output, ignore_errors=True)


def _tell(outcome: Outcome, console: Console, *, first: bool) -> None:
    """What the user reads of a pair as soon as it is known: all of the first, warnings of the others."""
    for message in outcome.messages:
        if first or message.startswith("warning: "):
            console.say(f"{outcome.name}: {message}")
    if outcome.status == FAILED:
        console.say(f"{outcome.name} failed: {outcome.message}")
