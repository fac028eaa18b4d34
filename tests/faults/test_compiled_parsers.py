"""Compiled parsers die in their own process: one line that names the file, and the next file is read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from benchmarks.faults.inputs.motion import C3D, MATLAB
from benchmarks.faults.mutations import mutate
from mvnet.data_loaders import isolated
from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.isolated import parse_isolated, stop_workers
from mvnet.data_loaders.motion import load_motion

VALUES = {
    "matrix": np.arange(6.0).reshape(2, 3),
    "single": np.float32(2.5),
    "complex": np.array([[1 + 2j, 3]]),
    "text": "words",
    "texts": np.array(["a", "bcd"]),
    "flags": np.array([[True, False]]),
    "struct": {"inner": np.ones((3, 1)), "name": "s"},
    "empty": np.zeros((0, 3)),
}


def plain(value: object) -> object:
    """Structs of scipy, and namespaces, as dictionaries."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [plain(item) for item in value.ravel()], value.shape
    names = getattr(value, "_fieldnames", None)
    fields = {name: getattr(value, name) for name in names} if names else getattr(value, "__dict__", None)
    return value if fields is None else {name: plain(item) for name, item in fields.items()}


@pytest.mark.parametrize("squeeze", [False, True])
def test_what_is_handed_back_is_what_the_parser_finds(squeeze: bool, tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", VALUES | {"cells": np.array([np.ones(2), {"a": 1.0}], dtype=object)})
    expected = loadmat(tmp_path / "a.mat", squeeze_me=squeeze, struct_as_record=False)
    found = vars(parse_isolated("MATLAB", tmp_path / "a.mat", squeeze=squeeze))
    assert set(found) == {name for name in expected if not name.startswith("__")}
    for name, value in found.items():
        np.testing.assert_equal(plain(value), plain(expected[name]))
        if isinstance(value, np.ndarray):
            assert (value.dtype, value.flags.f_contiguous) == (expected[name].dtype, expected[name].flags.f_contiguous)


def test_damaged_matlab_files(tmp_path: Path) -> None:
    MATLAB.inputs["release"].make(tmp_path)
    whole = {file: file.read_bytes() for file in sorted(tmp_path.glob("*.mat"))}
    died, random = 0, np.random.default_rng(1)
    for file, data in whole.items():
        for _ in range(100):
            file.write_bytes(mutate(data, random))
            try:
                load_motion(tmp_path)
            except DataError as error:
                assert file.name in str(error) or str(tmp_path) in str(error)
                died += "end its parser (SIG" in str(error)
        file.write_bytes(data)
    assert died > 0  # scipy dies of some of these bytes, which is what this is for
    load_motion(tmp_path)


def test_damaged_c3d_files(tmp_path: Path) -> None:
    path, random = C3D.inputs["c3d"].make(tmp_path), np.random.default_rng(3)
    data = path.read_bytes()
    for _ in range(40):
        path.write_bytes(mutate(data, random))
        try:
            load_motion(path)
        except DataError as error:
            assert "a.c3d" in str(error) and "\n" not in str(error)


def test_one_process_serves_many_files(tmp_path: Path) -> None:
    stop_workers()
    for k in range(3):
        savemat(tmp_path / f"{k}.mat", {"a": float(k)})
    assert [vars(parse_isolated("MATLAB", tmp_path / f"{k}.mat", squeeze=True)) for k in range(3)] == [
        {"a": float(k)} for k in range(3)
    ]
    assert len(isolated._workers) == 1
    worker = isolated._workers["MATLAB"]
    parse_isolated("MATLAB", tmp_path / "0.mat", squeeze=True)
    assert isolated._workers["MATLAB"] is worker


def test_a_killed_process_is_replaced(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"a": 1.0})
    parse_isolated("MATLAB", tmp_path / "a.mat", squeeze=True)
    worker = isolated._workers["MATLAB"]
    os.kill(worker.pid, signal.SIGKILL)
    while worker.poll() is None:
        time.sleep(0.01)
    assert vars(parse_isolated("MATLAB", tmp_path / "a.mat", squeeze=True)) == {"a": 1.0}


def test_memory_is_bounded_by_the_size_of_the_file(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"a": np.zeros((8000, 8000))}, do_compression=True)  # 512 MB in half a megabyte
    with pytest.raises(DataError, match=r"a\.mat: found \d+ bytes whose header asks for more than \d+ MiB, expected"):
        parse_isolated("MATLAB", tmp_path / "a.mat", squeeze=True)


def test_a_missing_file_is_said_by_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        parse_isolated("MATLAB", tmp_path / "none.mat", squeeze=True)


def test_processes_end_with_the_program(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"a": 1.0})
    code = f"""
from pathlib import Path
from mvnet.data_loaders import isolated
isolated.parse_isolated("MATLAB", Path({str(tmp_path / "a.mat")!r}), squeeze=True)
print(isolated._workers["MATLAB"].pid)
"""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", code], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not Path(f"/proc/{int(done.stdout)}/cmdline").is_file()
