"""What a user can mend is one line and exit status 2; a defect is one line, a file with the traceback, and 1."""

from __future__ import annotations

import os
import signal
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from mvnet.apps.common.errors import STOPPING, UserError, one_line, run_cli
from mvnet.data_loaders.errors import DataError
from mvnet.errors import MvnetError, MvnetWarning


def broken() -> np.ndarray:
    """A defect as it comes: numpy does not like what our code gives it."""
    return np.ones(2) + np.ones(3)


def out_of_gpu_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def out_of_cpu_memory() -> None:
    torch.empty(2**60, dtype=torch.uint8)


def raising(error: BaseException):
    def work() -> None:
        raise error

    return work


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_defect_is_one_line_and_a_file(debug, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MVNET_DEBUG", debug)
    if debug:
        with pytest.raises(ValueError, match="broadcast"):
            run_cli(broken)
        assert list(tmp_path.iterdir()) == []
        return
    assert run_cli(broken) == 1
    line = capsys.readouterr().err
    (path,) = tmp_path.iterdir()
    assert line.startswith("mvnet: error: defect of mvnet: ValueError: operands could not be broadcast")
    assert line.count("\n") == 1 and str(path) in line and path.name.startswith("mvnet-error-")
    text = path.read_text()
    assert "Traceback" in text and "np.ones(2) + np.ones(3)" in text


def test_a_traceback_goes_where_it_can(tmp_path, monkeypatch, capsys):
    def nowhere() -> Path:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "cwd", nowhere)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run_cli(broken) == 1 and len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    assert run_cli(broken) == 1 and "MVNET_DEBUG=1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (raising(MvnetError("strength: found 2,\n  expected a number in [0, 1]")), "strength: found 2, expected"),
        (raising(UserError("--order: found 'x', expected fsl")), "--order: found 'x'"),
        (raising(DataError("x.nii: found nothing, expected an image")), "x.nii: found nothing"),
        (raising(PermissionError(13, "Permission denied", "x.nii")), "x.nii: Permission denied"),
        (raising(MemoryError()), "not enough memory"),
        (out_of_gpu_memory, "not enough memory"),
        (out_of_cpu_memory, "not enough memory"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_status_2(work, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_cli(work) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"mvnet: error: {words}") and line.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_status_is_that_of_the_work():
    assert run_cli(lambda: 1) == 1 and run_cli(lambda: None) == 0


def test_ctrl_c_is_130(capsys):
    assert run_cli(raising(KeyboardInterrupt())) == 130 and run_cli(lambda: 130) == 130
    assert capsys.readouterr().err == 2 * "mvnet: error: interrupted\n"


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("number", STOPPING)
def test_termination_unwinds(number, capsys):
    cleaned = []

    def work():
        try:
            os.kill(os.getpid(), number)
        finally:
            cleaned.append(True)

    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as stopped:
        run_cli(work)
    assert stopped.value.code == 128 + number and cleaned == [True]
    assert capsys.readouterr().err.removeprefix("mvnet: error: ").strip() in ("terminated", "the terminal was closed")
    assert signal.getsignal(number) is before


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_cli(lambda: os.kill(os.getpid(), signal.SIGHUP)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_one_line():
    assert one_line(ValueError("a\n  b")) == "a b"
    assert one_line(FileNotFoundError(2, "No such file", "x.nii")) == "x.nii: No such file"
    assert one_line(OSError(28, "No space left on device")) == "no space left on the disk"


def test_a_warning_of_mvnet_is_one_line(capsys):
    def work():
        for _ in range(2):
            warnings.warn("device: found too little", MvnetWarning, stacklevel=1)

    assert run_cli(work) == 0
    assert capsys.readouterr().err == 2 * "mvnet: warning: device: found too little\n"
