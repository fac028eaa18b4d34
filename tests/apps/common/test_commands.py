"""An option that is given twice is refused, by every command."""

from __future__ import annotations

import pytest


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
