"""`mvnet train dti`: what it takes, and options that cannot be."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from nibabel.nifti1 import Nifti1Image

from mvnet.models import load_checkpoint


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
        (["--memory", "large"], "'--memory': found 'large', expected one of plain, low"),
        (["--convolutions", "8,x"], "--convolutions: found '8,x', expected a number for every stage"),
        (["--network", "certified", "--convolutions", "8"], "--convolutions: found the certified network"),
        (["--network", "certified", "--memory", "low"], "--memory: found the certified network"),
    ],
)
def test_bad_options_of_train_are_one_line_and_leave_nothing(arguments, words, scan, run, tmp_path):
    files = {"DWI": scan.dwi, "BVAL": scan.bval, "BVEC": scan.bvec}
    defaults = ["--workers", 0, *(() if "--simulated" in arguments else ("--simulated", 0))]
    status, out, err = run("train", "dti", "-o", tmp_path / "run", *defaults, *(files.get(a, a) for a in arguments))
    assert status == 2 and out == "" and err.count("\n") == 1 and err.startswith("mvnet: error: ") and words in err
    assert list(tmp_path.iterdir()) == []


def test_several_scans_with_masks_and_one_of_a_simulated_scanner(scan, run, tmp_path):
    """A slab of one slice is enough."""
    data = np.asarray(Nifti1Image.from_filename(scan.dwi).dataobj, dtype=np.float32) + 1
    arrays: dict[str, Any] = {"noisy": data, "clean": data, "mask": data.mean(-1) > 2, "spacing": np.ones(3)}
    np.savez(tmp_path / "scan.npz", **arrays, bvals=np.loadtxt(scan.bval), bvecs=np.loadtxt(scan.bvec).T)
    words = ["--steps", 1, "--batch", 2, "--patch", 8, "--workers", 0, "--threads", 1, "--simulated", 0, "--quiet"]
    words += ["--device", "cpu", "--scanned", tmp_path, "--exclude", "1:99"]
    for _ in range(2):
        words += ["--dwi", scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "--mask", scan.mask]
    done = run("train", "dti", "-o", tmp_path / "run", *words)
    assert done.status == 0, done.err
    card = json.loads((tmp_path / "run" / "dti.json").read_text())
    slabs = [f"{scan.dwi.name} without slices 1:99"] * 2
    assert card["training_data"] == [*slabs, "1 scans of a simulated scanner"]
    refused = run("train", "dti", "-o", tmp_path / "other", *words, "--bval", scan.bval)
    assert refused.status == 2 and "--bval: found 3, expected 2, one for every --dwi" in refused.err


def test_a_reversible_network_is_trained_in_little_memory_as_in_much(run, tmp_path):
    words = ["--simulated", 1, "--steps", 2, "--batch", 1, "--patch", 6, "--workers", 0, "--device", "cpu", "--quiet"]
    words += ["--network", "reversible", "--convolutions", "2,3"]
    weights = {}
    for memory in ("plain", "low"):
        done = run("train", "dti", "-o", tmp_path / memory, *words, "--memory", memory)
        assert done.status == 0, done.err
        model, card = load_checkpoint(tmp_path / memory / "dti")
        assert card["config"]["trunk"] == "reversible" and card["config"]["convolutions"] == [2, 3]
        weights[memory] = model.state_dict()
    for name, value in weights["plain"].items():
        torch.testing.assert_close(weights["low"][name], value, rtol=1e-3, atol=1e-5)
