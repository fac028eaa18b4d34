"""Brackets in brackets without end, in every file of JSON that a command reads: one line, and exit status 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvnet.apps.main import run

DEEP = "[" * 100_000


def activity(folder: Path) -> list[str]:
    (folder / "run").mkdir()
    (folder / "run/activity.json").write_text(DEEP)
    (folder / "run/activity.safetensors").write_bytes(b"")
    return ["predict", "activity", f"{folder}/run", f"{folder}/a.npz"]


def checkpoint(folder: Path) -> list[str]:
    (folder / "net.json").write_text(DEEP)
    (folder / "net.safetensors").write_bytes(b"")
    return ["verify", f"{folder}/net"]


def split(folder: Path) -> list[str]:
    (folder / "split.json").write_text(DEEP)
    motions: dict[str, Any] = {f"seq_{k:04d}": np.random.default_rng(k).normal(size=(12, 3, 3)) for k in range(8)}
    np.savez(folder / "m.npz", label=np.arange(8) % 2, subject=np.arange(8) // 2, **motions)
    return ["train", "activity", "--data", f"{folder}/m.npz", "--split", f"{folder}/split.json", "-o", f"{folder}/out"]


def poses(folder: Path) -> list[str]:
    (folder / "a.json").write_text('{"people": ' + DEEP)
    return ["denoise", "motion", f"{folder}/a.json", "-o", f"{folder}/out.npz"]


def store(folder: Path) -> list[str]:
    (folder / "a.zarr").mkdir()
    (folder / "a.zarr/zarr.json").write_text(DEEP)
    return ["denoise", "insar", f"{folder}/a.zarr", "-o", f"{folder}/out.tif"]


@pytest.mark.parametrize("write", [activity, checkpoint, split, poses, store])
def test_a_line_and_status_2(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(write(tmp_path)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mvnet: error: ") and "found" in line and "expected" in line
