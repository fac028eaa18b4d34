"""Cases in forked workers, so that a crash, a hang and a lack of memory end one case and are seen.

A worker announces every case before it begins, and reports its outcome; the parent knows from the announcement which
case a worker died of, and forks the next one behind it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import json
import os
import resource
import selectors
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from benchmarks.faults.case import SECONDS, Bench, Hang, Kind, Outcome

SPARE = 400 * 2**20
"""Bytes beyond what a worker holds before its cases, and four times the size of the input."""
_BATCH, _SILENCE = 250, 120.0  # cases of a worker; seconds without a word after which it is killed


class Result(NamedTuple):
    """kind, seed: which case. file: what was damaged."""

    kind: str
    seed: int
    file: str
    outcome: Outcome


@dataclass
class _Worker:
    """A process and what it is to do."""

    name: str
    seeds: Sequence[int]
    process: int
    pipe: int
    folder: Path
    heard: float = field(default_factory=time.monotonic)
    text: bytes = b""
    done: int = 0


def run(kinds: dict[str, Kind], seeds: dict[str, range], jobs: int) -> Iterator[Result]:
    """Every seed of every kind, in order of completion.

    Raises:
        RuntimeError: a valid input is not read.
    """
    batches = [(name, all_[k : k + _BATCH]) for name, all_ in seeds.items() for k in range(0, len(all_), _BATCH)]
    waiting = iter(batches)
    left: list[tuple[str, Sequence[int]]] = []
    with tempfile.TemporaryDirectory(prefix="mvnet-faults-") as home, selectors.DefaultSelector() as selector:
        running: set[int] = set()
        while True:
            while len(running) < jobs and (batch := left.pop() if left else next(waiting, None)):
                worker = _start(*batch, kinds[batch[0]], Path(home))
                running.add(worker.process)
                selector.register(worker.pipe, selectors.EVENT_READ, worker)
            if not running:
                return
            ready = selector.select(1.0)
            for key, _ in ready:
                worker = key.data
                chunk = os.read(worker.pipe, 65536)
                worker.text, worker.heard = worker.text + chunk, time.monotonic()
                yield from _results(worker)
                if not chunk:
                    selector.unregister(worker.pipe)
                    running.discard(worker.process)
                    yield from _ended(worker, left)
            for key in list(selector.get_map().values()):
                if time.monotonic() - key.data.heard > _SILENCE:
                    os.kill(key.data.process, signal.SIGKILL)


def _start(name: str, seeds: Sequence[int], kind: Kind, home: Path) -> _Worker:
    folder = Path(tempfile.mkdtemp(dir=home))
    _make_inputs(Bench(name, kind, home / name))
    shutil.copytree(home / name, folder, dirs_exist_ok=True)
    read, write = os.pipe()
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        os.close(read)
        try:
            _work(Bench(name, kind, folder), seeds, write)
        finally:
            os._exit(0)
    os.close(write)
    return _Worker(name, seeds, process, read, folder)


def _make_inputs(bench: Bench) -> None:
    """Make the inputs of a kind, once and in a process of their own: this one stays free of threads and open files."""
    if bench.folder.exists():
        return
    process = os.fork()
    if process == 0:
        try:
            for name in bench.kind.inputs:
                bench.whole(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(process, 0)[1]:
        raise RuntimeError(f"{bench.name}: found inputs that cannot be made, expected valid ones")


def _work(bench: Bench, seeds: Iterable[int], pipe: int) -> None:
    """The life of a worker."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    faulthandler.disable()  # the parent tells
    _one_arena()
    try:
        size = _warm_up(bench)
    except BaseException as error:
        _send(pipe, {"seed": -1, "file": "valid", "outcome": ["traceback", f"{type(error).__name__}: {error}"]})
        return
    base = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = base + 4 * size + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, _on_alarm)
    for seed in seeds:
        _send(pipe, {"begins": seed})
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            file, outcome = bench.try_seed(seed)
        except Hang as error:
            file, outcome = "", Outcome("hang", str(error))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        _send(pipe, {"seed": seed, "file": file, "outcome": list(outcome)})


def _warm_up(bench: Bench) -> int:
    """Every input read whole, so that what is imported and kept counts as the base; the largest size of one."""
    sizes = []
    for name, given in bench.kind.inputs.items():
        path, files = bench.whole(name)
        outcome = bench.read(name, path)
        if outcome.kind != "ok":
            raise RuntimeError(f"{name}: {outcome}")
        given.read(path)
        sizes.append(sum(map(len, files.values())))
    gc.collect()
    gc.freeze()
    return max(sizes)


def _one_arena() -> None:
    """glibc reserves 128 MiB of addresses for every thread; here one arena serves all."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-8, 1)  # M_ARENA_MAX


def _on_alarm(number: int, frame: object) -> None:
    raise Hang(f"more than {SECONDS} s of the processor")


def _send(pipe: int, content: dict[str, object]) -> None:
    os.write(pipe, json.dumps(content).encode() + b"\n")


def _results(worker: _Worker) -> Iterator[Result]:
    """The outcomes reported since the last call."""
    *lines, worker.text = worker.text.split(b"\n")
    for line in lines:
        content = json.loads(line)
        if content.get("seed") == -1:
            raise RuntimeError(f"{worker.name}: found a valid input that is not read: {content['outcome'][1]}")
        if "begins" in content:
            continue
        worker.done += 1
        yield Result(worker.name, content["seed"], content["file"], Outcome(*content["outcome"]))


def _ended(worker: _Worker, left: list[tuple[str, Sequence[int]]]) -> Iterator[Result]:
    """What a worker died of, and the cases behind it."""
    os.close(worker.pipe)
    _, status = os.waitpid(worker.process, 0)
    shutil.rmtree(worker.folder, ignore_errors=True)
    if worker.done == len(worker.seeds):
        return
    seed = worker.seeds[worker.done]
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    kind = "hang" if number == signal.SIGKILL else "crash"
    yield Result(worker.name, seed, "", Outcome(kind, signal.Signals(number).name if number else f"exit {status}"))
    rest = worker.seeds[worker.done + 1 :]
    if rest:
        left.append((worker.name, rest))
