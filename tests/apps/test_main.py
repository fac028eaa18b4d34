"""The `mvnet` command itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import mvnet


def test_version(run):
    assert run("--version") == (0, f"mvnet {mvnet.__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [[], ["denoise"], ["denoise", "dti"], ["train", "insar"], ["evaluate", "activity"], ["verify"], ["demo"]],
)
def test_help(run, arguments):
    result = run(*arguments, "--help")
    assert result.status == 0 and "Usage" in result.out and result.err == ""


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from mvnet.apps import main; status = main.run(['denoise', 'dti', '--help']); "
        "main.run(['train', 'dti', '--help']); "
        "heavy = {'torch', 'numpy', 'nibabel', 'dipy', 'matplotlib', 'scipy'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else status)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("kind", ["dti", "insar", "motion"])
def test_training_is_reachable(kind, run):
    result = run("train", kind, "--help")
    assert result.status == 0 and "--steps" in result.out


def test_help_tells_exit_statuses_and_completion(run):
    text = run("--help").out
    assert "Exit status" in text and "--install-completion" in text
    assert "completion" not in run("train", "--help").out


def test_the_shell_completes_commands():
    asked = {"_MVNET_COMPLETE": "complete_bash", "COMP_WORDS": "mvnet den", "COMP_CWORD": "1"}
    code = "import sys; from mvnet.apps.main import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **asked}
    )
    assert result.stdout.split() == ["denoise"], result.stderr


@pytest.mark.parametrize("arguments", [["polish"], ["denoise", "sound"], ["--loud"], ["denoise", "dti"]])
def test_a_wrong_command_is_one_line(run, arguments):
    status, out, err = run(*arguments)
    assert status == 2 and out == "" and err.startswith("mvnet: error: ") and err.count("\n") == 1
