"""`mvnet denoise dti` with files in the way or a full disk: one line, status 2, nothing lost."""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.apps.files import tree


def test_existing_outputs_are_found_before_any_work(scan, denoise, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert denoise(scan.tensors, "--mask", scan.mask, "-o", out).status == 0
    before = tree(tmp_path)
    monkeypatch.setattr("mvnet.apps.dti.denoise._work", None)  # calling it would be a TypeError
    status, _, err = denoise(scan.tensors, "--mask", scan.mask, "-o", out, "--quiet")
    assert status == 2 and err.count("\n") == 1 and "--overwrite" in err
    assert tree(tmp_path) == before


def test_the_parent_of_the_output_folder_must_exist(scan, denoise, tmp_path):
    status, _, err = denoise(scan.tensors, "-o", tmp_path / "a" / "b", "--quiet")
    assert status == 2 and err.count("\n") == 1 and str(tmp_path / "a") in err
    assert not (tmp_path / "a").exists()


def test_the_output_must_not_be_a_file(scan, denoise, tmp_path):
    (tmp_path / "out").write_text("mine")
    status, _, err = denoise(scan.tensors, "-o", tmp_path / "out", "--overwrite", "--quiet")
    assert status == 2 and err.count("\n") == 1 and "found a file" in err
    assert (tmp_path / "out").read_text() == "mine"


def test_an_input_is_never_replaced(scan, denoise, tmp_path):
    source = tmp_path / "sub-01_model-DTI_param-tensor_dwimap.nii.gz"
    source.write_bytes(scan.tensors.read_bytes())
    status, _, err = denoise(source, "-o", tmp_path, "--overwrite", "--quiet")
    assert status == 2 and "found the input" in err
    assert tree(tmp_path) == {source.name: hashlib.sha256(scan.tensors.read_bytes()).hexdigest()}


def test_a_defect_is_not_blamed_on_the_user(scan, denoise, tmp_path, tmp_path_factory, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("a defect")

    monkeypatch.setattr("mvnet.apps.dti.denoise._denoise", broken)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    status, out, err = denoise(scan.tensors, "--mask", scan.mask, "-o", tmp_path / "out", "--quiet")
    assert status == 1 and out == "" and "RuntimeError: a defect" in err and err.count("\n") == 1
    assert tree(tmp_path) == {} and len(list(Path.cwd().iterdir())) == 1
    monkeypatch.setenv("MVNET_DEBUG", "1")
    with pytest.raises(RuntimeError, match="a defect"):
        denoise(scan.tensors, "--mask", scan.mask, "-o", tmp_path / "out", "--quiet")
    assert tree(tmp_path) == {}


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of `size` bytes mounted at `folder`; skips where mounting is not allowed."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command")
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("existing", [False, True], ids=["new folder", "existing folder"])
def test_a_full_disk_leaves_nothing(existing, scan, denoise, tmp_path):
    with small_disk(tmp_path / "disk", 32768) as disk:
        out = disk / "out"
        if existing:
            out.mkdir()
            (out / "notes.txt").write_text("mine")
        before = tree(disk)
        status, _, err = denoise(scan.tensors, "--mask", scan.mask, "-o", out, "--quiet")
        assert status == 2 and err.count("\n") == 1 and "no space left" in err
        assert tree(disk) == before


def test_a_full_disk_keeps_the_results_to_be_replaced(scan, denoise, tmp_path):
    with small_disk(tmp_path / "disk", 131072) as disk:
        assert denoise(scan.tensors, "--mask", scan.mask, "-o", disk).status == 0
        free = os.statvfs(disk)
        (disk / "ballast").write_bytes(b"\0" * (free.f_bavail * free.f_bsize - 8192))
        before = tree(disk)
        status, _, err = denoise(scan.tensors, "--mask", scan.mask, "-o", disk, "--overwrite", "--quiet")
        assert status == 2 and "no space left" in err
        assert tree(disk) == before


def test_a_limit_on_file_size_leaves_nothing(scan, denoise, tmp_path):
    """What a quota looks like to a program; works without root."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, limits[1]))
    try:
        status, _, err = denoise(scan.tensors, "--mask", scan.mask, "-o", tmp_path / "out", "--quiet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 2 and err.count("\n") == 1 and "larger than the system allows" in err
    assert tree(tmp_path) == {}
