"""An input that is replaced, cut off or unreadable while a run is at work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
import rasterio

from mvnet.models.insar import raster as insar_tiles
from mvnet.storage import Inputs
from tests.data_loaders.insar.files import tiff

SHAPE = (90, 180)  # six tiles of 64


@pytest.fixture
def source(tmp_path) -> Path:
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, SHAPE).astype(np.float32)
    return tiff(tmp_path / "in.tif", phase)


@pytest.fixture
def during(monkeypatch) -> Callable[..., None]:
    """during(work, after=3): work() once, when that many tiles have been read."""

    def set_up(work: Callable[[], object], after: int = 3) -> None:
        usual, calls = insar_tiles.read_tile, []

        def read_tile(*arguments):
            calls.append(1)
            if len(calls) == after + 1:
                work()
            return usual(*arguments)

        monkeypatch.setattr(insar_tiles, "read_tile", read_tile)

    return set_up


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def replace(source: Path) -> None:
    other = source.with_name("other.tif")
    with rasterio.open(source) as file:
        values, profile = file.read(1), file.profile
    with rasterio.open(other, "w", **profile) as file:
        file.write(-values, 1)
    os.replace(other, source)


@pytest.mark.parametrize("after", [3, 5])
def test_an_input_that_is_replaced_is_an_error(after, source, filtered, during, tmp_path):
    during(lambda: replace(source), after)
    status, _, err = filtered(source, "-o", tmp_path / "out.tif", "--tile", 64, "--workers", 1, "--quiet")
    assert status == 2 and f"{source}: found that it was changed during the run" in err
    assert names(tmp_path) == ["in.tif"]  # tiles of two inputs are no tiles


def test_a_read_error_keeps_the_finished_tiles(source, filtered, during, tmp_path):
    arguments = source, "-o", tmp_path / "out.tif", "--tile", 64, "--workers", 1
    away = tmp_path.parent / f"{tmp_path.name}-away.tif"
    with pytest.MonkeyPatch.context() as patch:
        usual, calls = insar_tiles.read_tile, []

        def read_tile(image, tile):
            calls.append(1)
            if len(calls) == 4:
                os.rename(source, away)
            return usual(image, tile)

        patch.setattr(insar_tiles, "read_tile", read_tile)
        status, _, err = filtered(*arguments)
    assert status == 2 and "3 of 6 tiles are kept" in err and ".out.tif.partial" in names(tmp_path)
    os.rename(away, source)
    status, _, err = filtered(*arguments)
    assert status == 0 and "going on with 3 of 6 tiles" in err
    assert names(tmp_path) == [
        "in.tif",
        "out.qml",
        "out.tif",
        "out_mask.tif",
        "out_quality.qml",
        "out_quality.tif",
    ]


def test_a_scan_that_is_replaced_is_an_error(scan, denoise, tmp_path, monkeypatch):
    from mvnet.apps.dti import denoise as command

    usual, copy = command._denoise, tmp_path / "dwi.nii.gz"
    shutil.copyfile(scan.dwi, copy)

    def work(*arguments):
        copy.write_bytes(copy.read_bytes()[:-1] + b"x")
        return usual(*arguments)

    monkeypatch.setattr(command, "_denoise", work)
    status, _, err = denoise(copy, "--bval", scan.bval, "--bvec", scan.bvec, "-o", tmp_path / "out", "--quiet")
    assert status == 2 and "dwi.nii.gz: found that it was changed during the run" in err
    assert names(tmp_path) == ["dwi.nii.gz"]


CHANGES = {
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "touched": lambda path: os.utime(path, ns=(1, 1)),
    "replaced by a copy": lambda path: (shutil.copy2(path, path.with_name("b")), os.replace(path.with_name("b"), path)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_counts_as_a_change(change, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 1024)
    inputs = Inputs([path, tmp_path / "missing"])
    assert inputs.changed() is None
    CHANGES[change](path)
    assert inputs.changed() == path == inputs.changed(thoroughly=False)


def test_other_bytes_under_the_same_time_and_size_are_seen(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1" * 200_000)
    state = path.stat()
    inputs = Inputs([path])
    with open(path, "r+b") as file:
        file.seek(-10, os.SEEK_END)
        file.write(b"2")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert inputs.changed(thoroughly=False) is None and inputs.changed() == path


def test_a_folder_is_its_files(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_text("x")
    inputs = Inputs([tmp_path / "a"])
    (tmp_path / "a/b/d").write_text("x")
    assert inputs.changed() == tmp_path / "a" and inputs.changed(thoroughly=False) is None
