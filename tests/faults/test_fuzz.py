"""Damaged files of every kind: read, or refused in one line. And the harness itself: what it sees, it reports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
pytest.importorskip("ezc3d", reason="needs mvnet[motion]")

from benchmarks.faults import workers
from benchmarks.faults.case import Bench, Input, Kind
from benchmarks.faults.kinds import KINDS
from benchmarks.faults.mutations import mutate
from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.registry import FORMATS
from mvnet.models.registry import ARCHITECTURES
from tests.data_loaders.insar.files import WRITERS
from tests.data_loaders.insar.stack_files import WRITERS as STACK_WRITERS

ROOT = Path(__file__).parents[2]


def test_damaged_files_are_read_or_refused() -> None:
    """In a process of its own: forks of this one would lack the threads that other tests have started."""
    words = ["-m", "benchmarks.faults", "fuzz", "--cases", "40", "--jobs", "1", "--json", "-"]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {row["kind"] for row in report["rows"] if "kind" in row} == set(KINDS)
    assert [bar for bar in report["bars"] if not bar["holds"]] == [], done.stderr


def test_every_format_is_damaged() -> None:
    damaged = {name for kind in KINDS.values() for name in kind.inputs}
    assert set(WRITERS) | set(STACK_WRITERS) <= damaged
    assert {entry.name for entry in FORMATS} - {"quaternions", "imu", "release"} <= damaged | set(KINDS)
    assert set(ARCHITECTURES) <= damaged


def text_input(folder: Path) -> Path:
    (folder / "a.txt").write_text("1 2 3\n")
    return folder / "a.txt"


def kind_of(read: Any, holds: Any = lambda result: "") -> Kind:
    """A kind whose valid input is read, and whose damaged ones are given to `read`."""

    def unless_valid(path: Path) -> Any:
        return None if path.is_file() and path.read_text(errors="replace") == "1 2 3\n" else read(path)

    return Kind({"text": Input(text_input, unless_valid)}, holds)


def refuse(path: Path) -> None:
    raise DataError(f"{path}: found damage, expected none")


def raise_several_lines(path: Path) -> None:
    raise DataError("found\nseveral lines")


def take_memory(path: Path) -> Any:
    return np.ones(workers.SPARE // 8 + 2**24)


def loop(path: Path) -> None:
    while True:
        pass


def die(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


OUTCOMES = {
    "ok": kind_of(lambda path: None),
    "clear": kind_of(refuse),
    "traceback": kind_of(lambda path: {}["key"]),
    "memory": kind_of(take_memory),
    "hang": kind_of(loop),
    "crash": kind_of(die),
    "garbage": kind_of(lambda path: 1, lambda result: "one" if result else ""),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_is_seen(outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SECONDS", 0.2)
    found = list(workers.run({"kind": OUTCOMES[outcome]}, {"kind": range(5)}, jobs=2))
    assert sorted(result.seed for result in found) == list(range(5))
    assert {result.outcome.kind for result in found} <= {outcome, "ok"} and outcome in [r.outcome.kind for r in found]


def test_a_message_of_several_lines_is_none() -> None:
    found = list(workers.run({"kind": kind_of(raise_several_lines)}, {"kind": range(5)}, jobs=1))
    assert "traceback" in {result.outcome.kind for result in found}


def test_a_valid_input_that_is_not_read_is_an_error() -> None:
    broken = Kind({"text": Input(text_input, refuse)}, lambda result: "")
    with pytest.raises(RuntimeError, match="valid input that is not read"):
        list(workers.run({"kind": broken}, {"kind": range(5)}, jobs=1))


def test_the_same_seed_is_the_same_case(tmp_path: Path) -> None:
    seen: list[bytes] = []
    kind = Kind({"text": Input(text_input, lambda path: seen.append(path.read_bytes()))}, lambda result: "")
    for folder in ("a", "b"):
        bench = Bench("kind", kind, tmp_path / folder)
        for seed in range(40):
            bench.try_seed(seed)
        assert (tmp_path / folder / "text" / "a.txt").read_text() == "1 2 3\n"
    half = len(seen) // 2
    assert half > 30 and seen[:half] == seen[half:] and len(set(seen)) > 20


@pytest.mark.parametrize("data", [b"", b"x", b"\x1f\x8b", b'{"a": [1, {"b": null}]}', b"PK\x03\x04", b"1.5,2\n" * 9])
def test_any_bytes_can_be_damaged(data: bytes) -> None:
    mutants = {mutate(data, np.random.default_rng(seed)) for seed in range(200)}
    assert len(mutants) > 3
