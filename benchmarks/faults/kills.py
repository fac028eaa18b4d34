"""SIGKILL before every file operation of everything that writes, and signals at random times of whole commands.

A committer (`committers`) is killed before each of its operations, on targets that are fresh, hold other files, or are
to be replaced; after the next start all files are old or all are new. A command (`COMMANDS`) is started, stopped at a
random time, three times in four by SIGKILL, else by SIGTERM or SIGINT, and started again: the files are those of a run
that nothing stops, byte for byte but for the seconds that a record holds, nothing else is left, and the inputs are as
they were.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.faults.commands import COMMANDS, Scene, normalised
from benchmarks.faults.committers import COMMITTERS
from benchmarks.faults.sweep import TARGETS, sweep
from benchmarks.harness import Target

if TYPE_CHECKING:
    from benchmarks.faults.setup import Setup

_KILLS = 100  # of every command
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL)
_SIGNALS += (signal.SIGKILL, signal.SIGINT)


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Rows and targets of both."""
    from mvnet import runtime

    with runtime.threads(1):  # a forked process has none of the threads of its parent
        committed = [_committer(name, target, setup.quick) for name in COMMITTERS for target in TARGETS]
        stopped = [_command(name, 4 if setup.quick else setup.cases or _KILLS) for name in COMMANDS]
    points = sum(row["kills"] for row in committed)
    landed = sum(row["landed"] for row in stopped)
    targets = [
        _target(f"{points} kills before file operations: mixed, left or other", committed),
        _target(f"{landed} kills of commands at work: mixed, left, other or inputs", stopped),
    ]
    return committed + stopped, targets


def _target(name: str, rows: list[dict[str, Any]]) -> Target:
    bad = sum(int(row[key]) for row in rows for key in ("mixed", "left", "other", "inputs") if key in row)
    return Target(name, bad, "0", bad == 0)


def _committer(name: str, target: str, quick: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        found = sweep(name, target, Path(folder), every=3 if quick else 1, again=4 if quick else 1)
    counts = {"mixed": len(found.mixed), "left": len(found.left), "other": len(found.other)}
    return {"committer": name, "target": target, "kills": found.points, **counts}


def _command(name: str, kills: int) -> dict[str, Any]:
    """Stop a command, start it again, and compare."""
    draw = random.Random(f"{name} {kills}")
    row: dict[str, Any] = {"command": name, "kills": 0, "landed": 0, "mixed": 0, "left": 0, "other": 0, "inputs": 0}
    with tempfile.TemporaryDirectory() as place:
        scene = Scene(Path(place), COMMANDS[name])
        seconds = min(_measure(scene) for _ in range(2))
        whole, inputs = normalised(scene.out), normalised(scene.inputs)
        for number in range(kills):
            scene.clear()
            process = _start(scene)
            time.sleep(draw.uniform(0, 1.05 * seconds))
            row["kills"] += 1
            row["landed"] += _stop(process, _SIGNALS[number % len(_SIGNALS)])
            row["mixed"] += not scene.is_all_or_nothing(whole)
            if (status := _wait(_start(scene))) not in (0, 2):
                raise RuntimeError(f"{name} ended with status {status} after kill {number}")
            after = normalised(scene.out)
            row["left"] += not set(after) <= set(whole)
            row["other"] += any(after.get(path) != content for path, content in whole.items())
            row["inputs"] += normalised(scene.inputs) != inputs
        row["seconds"] = round(seconds, 2)
    return row


def _measure(scene: Scene) -> float:
    """Seconds of a run that nothing stops."""
    scene.clear()
    begin = time.perf_counter()
    if (status := _wait(_start(scene))) != 0:
        raise RuntimeError(f"{scene.arguments()} ended with status {status}")
    return time.perf_counter() - begin


def _start(scene: Scene) -> int:
    """The command in a forked process, which has the imports done."""
    from mvnet.apps.main import run

    scene.work()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            with _silent():
                status = run(scene.arguments())
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 70
        finally:
            os._exit(status)
    return pid


@contextmanager
def _silent() -> Iterator[None]:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    for number in (signal.SIGINT, signal.SIGTERM):  # also where the benchmark was started with them ignored
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield


def _stop(pid: int, number: int) -> int:
    """Send a signal; whether it came before the end."""
    if os.waitpid(pid, os.WNOHANG)[0]:
        return 0
    os.kill(pid, number)
    status = _wait(pid)
    return int(status not in (0, 2))


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
