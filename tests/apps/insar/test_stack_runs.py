"""Stacks stopped and started again, with pairs that fail, on several workers: the same result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")

from mvnet.models.insar import raster as insar_tiles
from tests.apps.files import tree
from tests.data_loaders.insar.files import tiff
from tests.data_loaders.insar.stack_files import NAMES, WRITERS, output_name, pairs

h5py: Any = pytest.importorskip("h5py", reason="needs mvnet[insar]")

Z, G = pairs()


@pytest.fixture
def stack(filtered, tmp_path):
    """`mvnet denoise insar STACK -o OUT --json`: status, statuses of the pairs, summary and errors."""
    (tmp_path / "in").mkdir()

    def call(kind: str, *arguments: object, output: str | None = None):
        path = tmp_path / "in"
        if not any(path.iterdir()):
            WRITERS[kind](path, Z, G)
        path = path / "ifgramStack.h5" if kind == "mintpy" else path
        result = filtered(path, "-o", tmp_path / (output or output_name(kind)), "--json", *arguments)
        summary = json.loads(result.out) if result.out else {}
        return result.status, [pair["status"] for pair in summary.get("pairs", [])], result.err

    return call


def damage(folder: Path, kind: str) -> None:
    """No pixel of the second pair has data."""
    if kind == "mintpy":
        with h5py.File(folder / "ifgramStack.h5", "r+") as file:
            file["wrapPhase"][1] = 0
    else:
        tiff(folder / f"interferograms/{NAMES[1]}.int.tif", 0 * Z[1])


@pytest.mark.parametrize("kind", ["mintpy", "dolphin"])
def test_one_failing_pair_does_not_stop_the_rest(kind, stack, tmp_path):
    stack(kind, output=f"whole{output_name(kind)}")
    damage(tmp_path / "in", kind)
    status, found, err = stack(kind)
    assert status == 2 and found == ["done", "failed", "done"]
    assert f"{NAMES[1]} failed: " in err and "found no pixel with data" in err
    if kind == "dolphin":
        names = sorted(path.name for path in (tmp_path / "out/interferograms").iterdir())
        assert names == sorted(f"{NAMES[k]}.int{end}" for k in (0, 2) for end in (".tif", ".cor.tif"))
        tiff(tmp_path / f"in/interferograms/{NAMES[1]}.int.tif", Z[1])  # mended
        status, found, _ = stack(kind)
        assert status == 0 and found == ["skipped", "done", "skipped"]
        return
    with h5py.File(tmp_path / "out.h5") as new, h5py.File(tmp_path / "wholeout.h5") as whole:
        for name in ("wrapPhase", "mvnetQuality"):
            np.testing.assert_array_equal(new[name][::2], whole[name][::2])
            assert (new[name][1] == 0).all()
    assert "1 pairs stay as they were read" in err
    assert stack(kind)[:2] == (2, ["skipped", "failed", "skipped"])


def test_nothing_is_written_where_every_pair_fails(stack, tmp_path):
    for kind in ("dolphin", "mintpy"):
        WRITERS[kind](tmp_path / "in", np.zeros_like(Z), G)
        before = tree(tmp_path)
        status, found, _ = stack(kind)
        assert status == 2 and found == ["failed"] * 3 and tree(tmp_path) == before


def test_a_defect_in_one_pair_is_a_defect(stack, monkeypatch):
    from mvnet.apps.insar import denoise as module

    real = module.run

    def broken(options):
        if NAMES[0] in options.input.name:
            raise RuntimeError("a defect")
        return real(options)

    monkeypatch.setattr(module, "run", broken)
    status, found, err = stack("dolphin")
    assert status == 1 and found == ["failed", "done", "done"] and "defect of mvnet: RuntimeError: a defect" in err


def test_other_options_need_overwrite(stack, tmp_path):
    assert stack("dolphin")[0] == 0
    before = tree(tmp_path)
    status, found, err = stack("dolphin", "--strength", 0.5)
    assert status == 2 and found == ["failed"] * 3 and "found other results in" in err
    assert tree(tmp_path) == before
    assert stack("dolphin", "--strength", 0.5, "--overwrite")[:2] == (0, ["done"] * 3)
    assert tree(tmp_path / "out") != before
    assert stack("dolphin", "--strength", 0.5)[:2] == (0, ["skipped"] * 3)


def test_other_inputs_are_done_again(stack, tmp_path):
    assert stack("dolphin")[0] == 0
    tiff(tmp_path / f"in/interferograms/{NAMES[2]}.int.cor.tif", 0.9 * G[2])
    assert stack("dolphin")[1] == ["skipped", "skipped", "failed"]
    assert stack("dolphin", "--overwrite")[1] == ["skipped", "skipped", "done"]
    (tmp_path / f"out/interferograms/{NAMES[0]}.int.cor.tif").unlink()
    assert stack("dolphin")[1] == ["done", "skipped", "skipped"]


@pytest.mark.parametrize("kind", ["mintpy", "dolphin"])
def test_a_stopped_run_goes_on(kind, stack, tmp_path, monkeypatch, listening):
    assert stack(kind, output=f"whole{output_name(kind)}")[0] == 0
    usual, calls = insar_tiles.filter_tile, []

    def stopping(*arguments):
        calls.append(1)
        if len(calls) > 1:
            os.kill(os.getpid(), signal.SIGINT)
        return usual(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(insar_tiles, "filter_tile", stopping)
        status, _, err = stack(kind, "--workers", 1)
    assert status == 130 and "the same command goes on" in err
    status, found, _ = stack(kind)
    assert status == 0 and found == ["skipped", "done", "done"]
    same(tmp_path, kind)


def same(folder: Path, kind: str) -> None:
    """The result is that of a run that nothing stopped."""
    new, whole = folder / output_name(kind), folder / f"whole{output_name(kind)}"
    if kind == "dolphin":
        assert contents(new) == contents(whole)
        return
    with h5py.File(new) as one, h5py.File(whole) as other:
        assert set(one) == set(other)
        for name in one:
            np.testing.assert_array_equal(one[name][:], other[name][:])


def contents(folder: Path) -> dict[str, str]:
    return tree(folder / "interferograms")


SLOWLY = """
import sys, time
from mvnet.models.insar import raster as insar_tiles
from mvnet.apps.main import run
usual = insar_tiles.filter_tile
insar_tiles.filter_tile = lambda *more: (time.sleep(0.5), usual(*more))[1]
run(sys.argv[1:])
"""


def test_a_killed_run_goes_on(stack, circle_checkpoint, tmp_path):
    assert stack("dolphin", output="wholeout")[0] == 0
    options = ["-o", tmp_path / "out", "--model", circle_checkpoint, "--device", "cpu", "--quiet"]
    command = ["denoise", "insar", tmp_path / "in", *options]
    process = subprocess.Popen([sys.executable, "-c", SLOWLY, *(str(part) for part in command)])
    first = tmp_path / f"out/interferograms/{NAMES[0]}.int.tif"
    while process.poll() is None and not first.is_file():
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    status, found, _ = stack("dolphin")
    assert status == 0 and found[0] == "skipped" and found[2] == "done"
    same(tmp_path, "dolphin")
    assert not list(tmp_path.rglob(".*.partial"))


def test_processes_give_the_same(stack, tmp_path):
    assert stack("mintpy", output="wholeout.h5")[0] == 0
    assert stack("mintpy", "--jobs", 2)[:2] == (0, ["done"] * 3)
    same(tmp_path, "mintpy")


def test_a_cluster_gives_the_same(stack, tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs mvnet[insar]")
    assert stack("dolphin", output="wholeout")[0] == 0
    local = {"processes": False, "n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(protocol="tcp", silence_logs=50, **local) as cluster:
        assert stack("dolphin", "--scheduler", cluster.scheduler_address)[:2] == (0, ["done"] * 3)
    same(tmp_path, "dolphin")


def test_a_cluster_that_is_not_there(stack, monkeypatch):
    pytest.importorskip("distributed", reason="needs mvnet[insar]")
    monkeypatch.setattr("mvnet.apps.common.cluster._PATIENCE", 1)
    status, _, err = stack("dolphin", "--scheduler", "tcp://127.0.0.1:9")
    assert status == 2 and "--scheduler: found no dask scheduler" in err


@pytest.mark.parametrize("kind", ["mintpy", "dolphin"])
def test_pairs_of_a_stack_close_where_it_is_asked_for(kind, stack, tmp_path):
    alone = f"alone{output_name(kind)}"
    assert stack(kind, output=alone)[0] == 0
    status, found, err = stack(kind, "--joint")
    assert status == 0 and found == ["done"] * 3 and "brought to those of 3 dates" in err
    known = (Z != 0).all(0)
    before, after = (phases(tmp_path / name, kind) for name in (alone, output_name(kind)))

    def loop(pairs: np.ndarray) -> np.ndarray:
        return abs(np.angle(np.exp(1j * (pairs[0] + pairs[2] - pairs[1]))))[known]

    assert loop(before).mean() > 0.1 and loop(after).max() < 1e-3
    assert stack(kind, "--joint")[:2] == (0, ["skipped"] * 3)
    assert not list(tmp_path.rglob(".*.partial"))
    status, _, err = stack(kind, *(["--strength", 0.5, "--joint"]))
    assert status == 2 and "exists, expected no such file" in err


def phases(output: Path, kind: str) -> np.ndarray:
    """(3, h, w) in radians."""
    import rasterio

    if kind == "mintpy":
        with h5py.File(output) as file:
            return file["wrapPhase"][:]
    found = []
    for name in NAMES:
        with rasterio.open(output / f"interferograms/{name}.int.tif") as file:
            found.append(np.angle(file.read(1)))
    return np.stack(found)
