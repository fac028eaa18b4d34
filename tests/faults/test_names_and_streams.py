"""Names that no file can have and streams that take nothing: found before the work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mvnet.apps.common import stdout
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.outputs import Outputs
from mvnet.errors import MvnetError
from mvnet.storage import check_names, write_json

ODD = os.fsdecode(b"s\xff")


def command(*arguments: object, **streams: object) -> subprocess.CompletedProcess[bytes]:
    line = [sys.executable, "-m", "mvnet.apps.main", *(os.fsencode(str(part)) for part in arguments)]
    return subprocess.run(line, stderr=subprocess.PIPE, check=False, **streams)  # type: ignore[call-overload]


@pytest.mark.parametrize("option", ["input", "output", "mask"])
def test_a_name_that_is_not_utf8_is_refused_at_once(option, scan, denoise, tmp_path):
    names = {"input": scan.dwi, "output": tmp_path / "out", "mask": scan.mask} | {option: tmp_path / ODD}
    gradients = ["--bval", scan.bval, "--bvec", scan.bvec]
    status, _, err = denoise(names["input"], *gradients, "-o", names["output"], "--mask", names["mask"])
    assert status == 2 and "found a name that is not UTF-8" in err and r"s\xff, expected" in err
    assert err.count("\n") == 1 and list(tmp_path.iterdir()) == []


def test_the_longest_names_can_be_written(tmp_path):
    most = os.pathconf(tmp_path, "PC_NAME_MAX")
    longest = "n" * (most - 5) + ".json"
    write_json(tmp_path / longest, {})
    with Outputs(tmp_path / ("o" * most), [longest]) as outputs:
        outputs.path(longest).write_text("x")
    assert (tmp_path / ("o" * most) / longest).read_text() == "x"


def test_longer_names_are_refused_at_once(tmp_path):
    most = os.pathconf(tmp_path, "PC_NAME_MAX")
    with pytest.raises(MvnetError, match=f"found a name of {most + 1} bytes, n+, expected at most {most} bytes"):
        Outputs(tmp_path / "out", ["n" * (most + 1)])
    with pytest.raises(MvnetError, match="found a name of"):
        check_names([Path("ä" * (most // 2 + 1))])


def test_a_long_name_of_an_interferogram(filtered, tmp_path):
    pytest.importorskip("rasterio", reason="needs mvnet[insar]")
    import numpy as np

    from tests.data_loaders.insar.files import tiff

    source = tiff(tmp_path / "in.tif", np.zeros((64, 64), np.float32))
    most = os.pathconf(tmp_path, "PC_NAME_MAX")
    fits, longer = ("n" * (most - len("_quality.tif") + more) + ".tif" for more in (0, 1))
    status, _, err = filtered(source, "-o", tmp_path / longer, "--quiet")
    assert status == 2 and f"found a name of {most + 1} bytes" in err
    assert filtered(source, "-o", tmp_path / fits, "--quiet").status == 0
    assert sorted(path.name[-12:] for path in tmp_path.iterdir()) == [
        "_quality.qml",
        "_quality.tif",
        "in.tif",
        "nnn_mask.tif",
        "nnnnnnnn.qml",
        "nnnnnnnn.tif",
    ]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_stdout_is_found_before_the_work(tmp_path):
    with open("/dev/full", "w") as full:
        done = command("demo", "-o", tmp_path / "out", "--quiet", "--json", stdout=full)
    assert done.returncode == 2 and b"stdout: found that it cannot be written to (no space left" in done.stderr
    assert done.stderr.count(b"\n") == 1 and list(tmp_path.iterdir()) == []


def test_a_stdout_that_nobody_reads_is_found_before_the_work(tmp_path):
    read, write = os.pipe()
    os.close(read)
    try:
        done = command("demo", "-o", tmp_path / "out", stdout=write)
    finally:
        os.close(write)
    assert done.returncode == 2 and b"(Broken pipe)" in done.stderr and list(tmp_path.iterdir()) == []


def test_a_stdout_that_fills_up_is_said_and_files_are_complete(monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("builtins.print", full)
    monkeypatch.setattr(stdout, "_silence", lambda: None)
    with pytest.raises(UserError, match=r"no space left on the disk.*all files of the command are complete"):
        stdout.print_result("x")


def test_a_closed_stdout_is_not_used(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    stdout.check_stdout()
    stdout.print_result("x")
