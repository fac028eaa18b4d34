"""The `mvnet` command itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

import mvnet
from mvnet.apps.common.errors import STOPPING, guarded, one_line


def test_version(run):
    assert run("--version") == (0, f"mvnet {mvnet.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["denoise", "--help"], ["denoise", "dti", "--help"], ["demo", "--help"]]
)
def test_help(run, arguments):
    result = run(*arguments)
    assert result.status == 0 and "Usage" in result.out and result.err == ""


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from mvnet.apps import main; status = main.run(['denoise', 'dti', '--help']); "
        "heavy = {'torch', 'numpy', 'nibabel', 'dipy', 'matplotlib', 'scipy'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else status)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_training_is_reachable(run):
    result = run("train", "dti", "--help")
    assert result.status == 0 and "--steps" in result.out
    assert "completion" not in run("train", "--help").out


@pytest.mark.parametrize("arguments", [["polish"], ["denoise", "sound"], ["--loud"], ["denoise", "dti"]])
def test_a_wrong_command_is_one_line(run, arguments):
    status, out, err = run(*arguments)
    assert status == 2 and out == "" and err.startswith("mvnet: error: ") and err.count("\n") == 1


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("number", STOPPING)
def test_termination_unwinds(number):
    cleaned = []

    def work():
        try:
            os.kill(os.getpid(), number)
        finally:
            cleaned.append(True)

    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as stopped:
        guarded(work)
    assert stopped.value.code == 128 + number and cleaned == [True]
    assert signal.getsignal(number) is before


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert guarded(lambda: os.kill(os.getpid(), signal.SIGHUP)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_one_line():
    assert one_line(ValueError("a\n  b")) == "a b"
    assert one_line(FileNotFoundError(2, "No such file", "x.nii")) == "x.nii: No such file"
    assert one_line(OSError(28, "No space left on device")) == "no space left on the disk"
