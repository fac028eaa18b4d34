"""`mvnet denoise insar` stopped and started again, and on several workers: the same files."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import rasterio

from mvnet.models.insar import raster as insar_tiles
from tests.data_loaders.insar.files import tiff

SHAPE = (90, 180)  # six tiles of 64
FILES = ["in.tif", "out.qml", "out.tif", "out_mask.tif", "out_quality.qml", "out_quality.tif"]


@pytest.fixture
def source(tmp_path) -> Path:
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, SHAPE).astype(np.float32)
    phase[:64, 128:] = -9999  # a tile without data
    return tiff(tmp_path / "in.tif", phase, nodata=-9999)


@pytest.fixture
def whole(source, filtered, tmp_path_factory) -> np.ndarray:
    """The result of a run that nothing stops."""
    path = tmp_path_factory.mktemp("whole") / "out.tif"
    assert filtered(source, "-o", path, "--tile", 64).status == 0
    return band(path)


def band(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


ONE = ["--workers", 1]  # tiles in turn: a count of tiles is exact


def stopping(monkeypatch, after: int, stop) -> None:
    """Calls `stop` before the network once `after` tiles have been computed."""
    usual, calls = insar_tiles.filter_tile, []

    def filter_tile(*arguments):
        calls.append(1)
        if len(calls) > after:
            stop()
        return usual(*arguments)

    monkeypatch.setattr(insar_tiles, "filter_tile", filter_tile)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_goes_on(number, status, source, whole, filtered, tmp_path, monkeypatch, listening):
    arguments = source, "-o", tmp_path / "out.tif", "--tile", 64, *ONE
    with monkeypatch.context() as patch:
        stopping(patch, 3, lambda: os.kill(os.getpid(), number))
        if number == signal.SIGINT:
            result = filtered(*arguments)
            assert result.status == status and "3 of 6 tiles are kept" in result.err and "interrupted" in result.err
        else:
            with pytest.raises(SystemExit) as ended:
                filtered(*arguments)
            assert ended.value.code == status
    assert names(tmp_path) == [".out.tif.partial", "in.tif"]
    result = filtered(*arguments, "--json")
    counts = json.loads(result.out)["counts"]
    assert (counts["tiles"], counts["resumed"]) == (6, 3) and "going on with 3 of 6" in result.err
    np.testing.assert_array_equal(band(tmp_path / "out.tif"), whole)
    assert names(tmp_path) == FILES


def test_other_options_start_anew(source, whole, filtered, tmp_path, monkeypatch, listening):
    def run(*more):
        return filtered(source, "-o", tmp_path / "out.tif", "--tile", 64, "--json", *more)

    with monkeypatch.context() as patch:
        stopping(patch, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert run("--strength", 0.5).status == 130
    assert json.loads(run().out)["counts"]["resumed"] == 0
    np.testing.assert_array_equal(band(tmp_path / "out.tif"), whole)


SLOWLY = """
import sys, time
from mvnet.models.insar import raster as insar_tiles
from mvnet.apps.main import run
usual = insar_tiles.filter_tile
insar_tiles.filter_tile = lambda *more: (time.sleep(0.3), usual(*more))[1]
run(sys.argv[1:])
"""


def test_a_killed_run_goes_on(source, whole, filtered, circle_checkpoint, tmp_path):
    options = ["-o", tmp_path / "out.tif", "--tile", 64]
    command = ["denoise", "insar", source, *options, "--model", circle_checkpoint, "--device", "cpu", "--quiet"]
    process = subprocess.Popen([sys.executable, "-c", SLOWLY, *(str(part) for part in command)])
    done = tmp_path / ".out.tif.partial" / "done.txt"
    while process.poll() is None and (not done.is_file() or len(done.read_text().splitlines()) < 2):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL and not (tmp_path / "out.tif").exists()
    assert json.loads(filtered(source, *options, "--json").out)["counts"]["resumed"] >= 2
    np.testing.assert_array_equal(band(tmp_path / "out.tif"), whole)
    assert names(tmp_path) == FILES


@pytest.mark.parametrize("workers", [ONE, ["--workers", 2]], ids=["one", "two"])
def test_a_full_disk_keeps_the_tiles(workers, source, whole, filtered, tmp_path, monkeypatch):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        stopping(patch, 4, full)
        status, _, err = filtered(source, "-o", tmp_path / "out.tif", "--tile", 64, *workers)
    assert status == 2 and "no space left" in err and "4 of 6 tiles are kept" in err
    assert filtered(source, "-o", tmp_path / "out.tif", "--tile", 64).status == 0
    np.testing.assert_array_equal(band(tmp_path / "out.tif"), whole)


def test_a_cluster_that_is_gone_keeps_the_tiles(source, filtered, tmp_path, monkeypatch, listening):
    pytest.importorskip("distributed", reason="needs mvnet[insar]")
    arguments = source, "-o", tmp_path / "out.tif", "--tile", 64
    with monkeypatch.context() as patch:
        stopping(patch, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert filtered(*arguments, *ONE).status == 130
    monkeypatch.setattr("mvnet.apps.common.cluster._PATIENCE", 1)
    status, _, err = filtered(*arguments, "--scheduler", "tcp://127.0.0.1:9")
    assert status == 2 and "2 of 6 tiles are kept" in err
    assert json.loads(filtered(*arguments, "--json").out)["counts"]["resumed"] == 2


def test_a_defect_is_not_blamed_on_the_user(source, filtered, tmp_path, tmp_path_factory, monkeypatch):
    def broken():
        raise RuntimeError("a defect")

    stopping(monkeypatch, 0, broken)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    status, out, err = filtered(source, "-o", tmp_path / "out.tif", "--tile", 64, "--quiet")
    assert status == 1 and out == "" and "RuntimeError: a defect" in err and err.count("\n") == 1
    assert names(tmp_path) == ["in.tif"]


def test_workers_give_the_same(source, whole, filtered, tmp_path):
    pytest.importorskip("distributed", reason="needs mvnet[insar]")
    result = filtered(source, "-o", tmp_path / "out.tif", "--tile", 64, "--workers", 2, "--quiet", "--json")
    assert result.status == 0 and result.err == ""
    assert json.loads(result.out)["counts"]["computed"] == SHAPE[0] * SHAPE[1]
    assert band(tmp_path / "out.tif") == pytest.approx(whole, abs=1e-5)


def test_a_stopped_run_of_workers_goes_on(source, whole, filtered, tmp_path, monkeypatch, listening):
    pytest.importorskip("distributed", reason="needs mvnet[insar]")
    arguments = source, "-o", tmp_path / "out.tif", "--tile", 64, "--workers", 2
    usual, calls = insar_tiles.read_tile, []

    def read_tile(*more):  # in this process, when tiles are under way
        calls.append(1)
        if len(calls) > 5:
            os.kill(os.getpid(), signal.SIGINT)
        return usual(*more)

    with monkeypatch.context() as patch:
        patch.setattr(insar_tiles, "read_tile", read_tile)
        assert filtered(*arguments).status == 130
    assert names(tmp_path) == [".out.tif.partial", "in.tif"]
    result = filtered(source, "-o", tmp_path / "out.tif", "--tile", 64, "--json")  # the workers are not part of the job
    assert 0 < json.loads(result.out)["counts"]["resumed"] < 6
    assert band(tmp_path / "out.tif") == pytest.approx(whole, abs=1e-5)


def test_a_cluster_by_its_address_gives_the_same(source, whole, filtered, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="needs mvnet[insar]")
    local = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(protocol="tcp", silence_logs=50, **local) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tcp://")
        result = filtered(source, "-o", tmp_path / "out.tif", "--tile", 64, "--scheduler", address)
        assert result.status == 0 and f"denoising on {address}" in result.err
        assert band(tmp_path / "out.tif") == pytest.approx(whole, abs=1e-5)
        cluster.scale(0)
        monkeypatch.setattr("mvnet.apps.common.cluster._PATIENCE", 1)
        status, _, err = filtered(source, "-o", tmp_path / "b.tif", "--scheduler", address, "--quiet")
        assert status == 2 and "found no worker" in err


def test_tiles_under_way_are_bounded(source, filtered, tmp_path, monkeypatch):
    pytest.importorskip("distributed", reason="needs mvnet[insar]")
    monkeypatch.setattr("mvnet.models.tiling._AHEAD", 1)
    usual_read, usual_result, under_way, most = insar_tiles.read_tile, None, set(), []
    from mvnet.apps.insar import denoise as denoise_insar

    usual_result = denoise_insar._result

    def read_tile(image, tile):
        under_way.add((tile.inner[0].start, tile.inner[1].start))
        most.append(len(under_way))
        return usual_read(image, tile)

    def result(options, image, tile, filtered):
        under_way.remove((tile.inner[0].start, tile.inner[1].start))
        return usual_result(options, image, tile, filtered)

    monkeypatch.setattr(insar_tiles, "read_tile", read_tile)
    monkeypatch.setattr(denoise_insar, "_result", result)
    assert filtered(source, "-o", tmp_path / "out.tif", "--tile", 64, "--workers", 2, "--quiet").status == 0
    assert max(most) <= 3  # two at work, one being read
