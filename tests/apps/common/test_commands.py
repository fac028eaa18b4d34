"""An option that is given twice is refused, by every command."""

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
