"""An option that is given twice, or takes another option for its value, is refused, by every command."""

from __future__ import annotations

from typing import Annotated

import pytest
import typer

from mvnet.apps.common.commands import Command
from mvnet.apps.common.errors import UserError


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["denoise", "dti", "x.nii", "-o", "out", "--bval", "a", "--bval", "a"], "--bval"),
        (["denoise", "dti", "x.nii", "-o", "out", "--output", "other"], "--output"),
        (["denoise", "dti", "x.nii", "-o", "out", "-q", "--quiet"], "--quiet"),
        (["denoise", "insar", "x.tif", "-o", "out", "--tile", "64", "--tile", "128"], "--tile"),
        (["train", "dti", "-o", "out", "--steps", "1", "--steps=2"], "--steps"),
        (["verify", "dti", "--seed", "1", "--seed", "2"], "--seed"),
    ],
)
def test_options_given_twice_are_refused(arguments, option, run):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err == f"mvnet: error: {option}: found it 2 times, expected it once\n"


@pytest.mark.parametrize(
    ("arguments", "option", "value"),
    [
        (["predict", "activity", "run", "x.npz", "--report", "--overwrite"], "--report", "--overwrite"),
        (["denoise", "dti", "x.nii", "-o", "--quiet"], "--output", "--quiet"),
        (["denoise", "dti", "x.nii", "-o", "out", "--bval=--bvec"], "--bval", "--bvec"),
        (["denoise", "insar", "x.tif", "-o", "out", "--model", "--json"], "--checkpoint", "--json"),
        (["train", "activity", "--data", "--up", "z", "-o", "out"], "--data", "--up"),
        (["train", "motion", "-o", "out", "--data", "--steps", "3"], "--data", "--steps"),
        (["export", "dti", "--output", "--size"], "--output", "--size"),
    ],
)
def test_an_option_is_no_value_of_another(arguments, option, value, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*arguments)
    assert (status, out, list(tmp_path.iterdir())) == (2, "", [])
    assert (
        err == f"mvnet: error: {option}: found {value} as its value, expected one (a file of that name is ./{value})\n"
    )


def test_options_of_several_values_stay_repeatable():
    app = typer.Typer()
    seen = []

    @app.command(cls=Command)
    def show(scan: Annotated[list[str], typer.Option()], loud: bool = False) -> None:
        seen.append((scan, loud))

    app(["--scan", "a", "--scan", "b"], standalone_mode=False)
    assert seen == [(["a", "b"], False)]
    with pytest.raises(UserError, match="--loud: found it 2 times"):
        app(["--scan", "a", "--loud", "--no-loud"], standalone_mode=False)
