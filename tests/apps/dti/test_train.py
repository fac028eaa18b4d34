"""`mvnet train dti`: options that cannot be."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--simulated", 0], "training data: found none"),
        (["--simulated", -1], "--simulated"),
        (["--dwi", "alone.nii.gz"], "--dwi: found no --bval and --bvec for alone.nii.gz, expected both"),
        (["--dwi", "DWI", "--bval", "x.bval", "--bvec", "BVEC"], "x.bval"),
        (["--exclude", "3-5"], "'3-5', expected START:STOP"),
        (["--exclude", "9:2"], "'9:2', expected START:STOP"),
        (["--hold-out", "9:2"], "--hold-out: found '9:2', expected START:STOP"),
        (["--dwi", "DWI", "--bval", "BVAL", "--bvec", "BVEC", "--exclude", "0:99", "--patch", 4], "patch: found 4"),
        (["--simulated", 1, "--patch", 49], "patch: found 49, expected 1 to 48"),
        (["--device", "abacus"], "'abacus'"),
        (["--steps", 0], "--steps"),
        (["--rate", "nan"], "'--rate': found nan, expected"),
        (["--seed", -1], "--seed"),
        (["--simulated", 1, "--optimizer", "magic"], "optimizer: found 'magic', expected one of"),
        (["--seed", 2**23], "--seed"),
    ],
)
def test_bad_options_of_train_are_one_line_and_leave_nothing(arguments, words, scan, run, tmp_path):
    files = {"DWI": scan.dwi, "BVAL": scan.bval, "BVEC": scan.bvec}
    defaults = ["--workers", 0, *(() if "--simulated" in arguments else ("--simulated", 0))]
    status, out, err = run("train", "dti", "-o", tmp_path / "run", *defaults, *(files.get(a, a) for a in arguments))
    assert status == 2 and out == "" and err.count("\n") == 1 and err.startswith("mvnet: error: ") and words in err
    assert list(tmp_path.iterdir()) == []
