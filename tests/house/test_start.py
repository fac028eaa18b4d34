"""What starting costs: nothing heavy is imported before a command runs, and every command has its help."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from mvnet.apps.main import app

HEAVY = ("torch", "numpy", "scipy", "nibabel", "dipy", "rasterio", "matplotlib", "geomstats", "sklearn")


@pytest.mark.parametrize("module", ["mvnet", "mvnet.apps.main"])
def test_nothing_heavy_is_imported(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert module.partition(".")[0] in run.stdout.split()
    assert sorted(set(run.stdout.split()) & set(HEAVY)) == []


def commands(command: object, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The words of every command and group, () of the program itself."""
    below = getattr(command, "commands", {})
    return [words, *(found for name, sub in below.items() for found in commands(sub, (*words, name)))]


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage" in result.output


def test_every_command_is_found() -> None:
    assert {("denoise", "dti"), ("denoise", "insar"), ("train", "activity"), ("verify",), ("demo",)} <= set(COMMANDS)
