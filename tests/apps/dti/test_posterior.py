"""`--uncertainty`, `--samples` and `--seed` of `mvnet denoise dti`, and `mvnet train dti --posterior`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mvnet.apps.dti.posterior import options as posterior_options
from mvnet.models.checkpoint import load_checkpoint, save_checkpoint, weights_hash
from mvnet.models.dti.posterior.network import DTIPosterior
from tests.apps.files import tree
from tests.conftest import read_nifti

STEM = "sub-01_model-DTI_param"
MAPS = ("FAsd", "FAlow", "FAhigh", "MDsd", "MDlow", "MDhigh", "V1cone")


@pytest.fixture(scope="module")
def fitted(checkpoint, tmp_path_factory) -> Path:
    """The untrained network with a posterior beside it."""
    folder = tmp_path_factory.mktemp("posterior")
    for end in ("json", "safetensors"):
        shutil.copy(checkpoint.with_suffix(f".{end}"), folder / f"net.{end}")
    model, _ = load_checkpoint(folder / "net")
    head = DTIPosterior(model.config["fields"], {"trivial": 4}, generator=torch.Generator().manual_seed(0))
    save_checkpoint(
        folder / "net-posterior", head, {"denoiser": {"name": "net", "sha256": weights_hash(folder / "net")}}
    )
    return folder / "net"


@pytest.fixture
def call(run, fitted):
    def call(*arguments: object, page: bool = False):
        shown = "--report" if page else "--no-report"
        return run("denoise", "dti", *arguments, "--checkpoint", fitted, "--device", "cpu", shown, "--quiet")

    return call


def values(folder: Path, param: str) -> np.ndarray:
    return np.asarray(read_nifti(folder / f"{STEM}-{param}_dwimap.nii.gz").dataobj)


def test_maps_and_samples_with_sidecars_and_page(call, scan, tmp_path):
    plain, sure = tmp_path / "plain", tmp_path / "sure"
    words = (scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "--mask", scan.mask)
    assert call(*words, "-o", plain).status == 0
    done = call(*words, "-o", sure, "--uncertainty", "--samples", 2, "--seed", 3, page=True)
    assert done.status == 0, done.err
    new = set(tree(sure)) - set(tree(plain))
    expected = {f"{STEM}-{name}_dwimap.{end}" for name in MAPS for end in ("nii.gz", "json")}
    expected |= {f"{STEM}-tensor_desc-sample000{k}_dwimap.{end}" for k in (1, 2) for end in ("nii.gz", "json")}
    assert {Path(name).name for name in new} == expected | {"sub-01_model-DTI_report.html"}
    # the result itself is the same
    for name in ("tensor", "FA", "V1", "confidence"):
        assert np.array_equal(values(plain, name), values(sure, name))
    inside = values(sure, "FA") > 0
    low, high = values(sure, "FAlow"), values(sure, "FAhigh")
    assert (low[inside] <= high[inside]).all() and (values(sure, "V1cone")[inside] > 0).all()
    first, second = (read_nifti(sure / f"{STEM}-tensor_desc-sample000{k}_dwimap.nii.gz").get_fdata() for k in (1, 2))
    assert first.shape == values(sure, "tensor").shape and np.abs(first - second)[inside].max() > 0
    about = json.loads((sure / f"{STEM}-MDsd_dwimap.json").read_text())
    assert about["Units"] == "mm^2/s" and about["Interval"] == 0.9 and about["Posterior"]["seed"] == 3
    sample = json.loads((sure / f"{STEM}-tensor_desc-sample0002_dwimap.json").read_text())
    assert sample["Sample"] == 2 and sample["Options"]["samples"] == 2 and "ComponentOrder" in sample
    html = (sure / "sub-01_model-DTI_report.html").read_text()
    assert "How sure is it" in html and 'type="range"' in html and "Region of" in html


def test_without_the_options_nothing_is_said_of_them(call, scan, tmp_path):
    done = call(scan.tensors, "--mask", scan.mask, "-o", tmp_path / "out", "--json")
    summary = json.loads(done.out)
    assert "posterior" not in summary and not {"uncertainty", "samples", "seed"} & set(summary["options"])


def test_summary_of_a_tensor_image_has_no_check(call, scan, tmp_path):
    done = call(scan.tensors, "--mask", scan.mask, "-o", tmp_path / "out", "--uncertainty", "--json")
    said = json.loads(done.out)["posterior"]
    assert said["own_scan"] is None and said["draws"] == 256 and said["fa_sd"] > 0 and said["seed"] == 0


def test_summary_says_how_a_scan_was_checked(call, scan, tmp_path):
    words = (scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "--mask", scan.mask)
    done = call(*words, "-o", tmp_path / "out", "--uncertainty", "--json")
    summary = json.loads(done.out)
    check = summary["posterior"]["own_scan"]
    assert 0 <= check["share_inside"] <= 1 and check["voxels"] > 100
    assert check["too_narrow"] == any("too narrow for this scan" in m for m in summary["messages"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--samples", 0], "--samples: found 0, expected a number from 1 to 1000"),
        (["--samples", 1001], "--samples: found 1001, expected a number from 1 to 1000"),
        (["--uncertainty", "--strength", 0.5], "--uncertainty: found --strength 0.5, expected 1"),
        (["--seed", 1], "--seed: found no --uncertainty or --samples with it"),
        (["--samples", 1, "--seed", -1], "--seed: found -1, expected a number from 0"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(options, words, call, scan, tmp_path):
    status, out, err = call(scan.tensors, "-o", tmp_path / "out", *options)
    assert status == 2 and out == "" and err.count("\n") == 1 and words in err
    assert list(tmp_path.iterdir()) == []


def test_options_that_do_not_go_together_with_adapt_or_the_certified_network(run, call, scan, tmp_path):
    words = (scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "-o", tmp_path / "out")
    adapted = call(*words, "--uncertainty", "--adapt")
    assert adapted.status == 2 and "--uncertainty: found --adapt, expected none" in adapted.err
    for option in (["--uncertainty"], ["--samples", 3]):
        status, _, err = run("denoise", "dti", *words, "--model", "certified", *option)
        assert status == 2 and err.count("\n") == 1 and f"{option[0]}: found the certified network" in err
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_without_a_head_or_with_that_of_other_weights(run, checkpoint, fitted, scan, tmp_path):
    words = ("denoise", "dti", scan.tensors, "-o", tmp_path / "out", "--uncertainty", "--checkpoint")
    status, _, err = run(*words, checkpoint)
    assert status == 2 and err.count("\n") == 1 and f"mvnet train dti --posterior --from {checkpoint}" in err
    other = tmp_path / "other"
    other.mkdir()
    for end in (".json", ".safetensors", "-posterior.json", "-posterior.safetensors"):
        shutil.copy(f"{fitted}{end}", f"{other / 'net'}{end}")
    model, card = load_checkpoint(fitted)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    save_checkpoint(other / "net", model, card)
    status, _, err = run(*words, other / "net")
    assert status == 2 and err.count("\n") == 1 and "of a denoiser with SHA-256" in err
    assert not (tmp_path / "out").exists()


def test_samples_that_the_disk_does_not_hold_are_refused_before_work(call, scan, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(posterior_options.shutil, "disk_usage", lambda path: usage._replace(free=10))
    status, _, err = call(scan.tensors, "-o", tmp_path / "out", "--samples", 2)
    assert status == 2 and "GB free" in err and list(tmp_path.iterdir()) == []


def test_a_head_is_fitted_and_belongs_to_its_denoiser(run, fitted, scan, tmp_path, monkeypatch):
    from mvnet.apps.dti.posterior import train
    from mvnet.models.posterior import load_posterior

    monkeypatch.setattr(train, "_PATCHES", 6)
    monkeypatch.setattr(train, "_VOLUMES", 1)
    monkeypatch.setattr(train, "_SIDE", 12)
    for end in ("json", "safetensors"):
        shutil.copy(fitted.with_suffix(f".{end}"), tmp_path / f"net.{end}")
    words = ["--steps", 3, "--patch", 6, "--workers", 0, "--threads", 1, "--simulated", 1, "--quiet", "--device", "cpu"]
    words += ["--dwi", scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "--mask", scan.mask, "--exclude", "0:2"]
    done = run("train", "dti", "--posterior", "--from", tmp_path / "net", "-o", tmp_path, *words)
    assert done.status == 0, done.err
    head, identity = load_posterior(tmp_path / "net")
    card = json.loads((tmp_path / "net-posterior.json").read_text())
    assert identity["name"] == "net-posterior" and card["denoiser"]["name"] == "net"
    assert card["training_data"] == [f"{scan.dwi.name} without slices 0:2", "1 simulated brains"]
    assert abs(float(head.taps.square().sum()) - 1) < 1e-5
    verified = run("verify", tmp_path / "net")
    assert "posterior: error of the inverse, float64" in verified.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--posterior: found no --from"),
        (["--from", "insar"], "--from: found a InSARDenoiser, expected a DTIDenoiser"),
        (["--from", "dti", "--simulated", 0], "--simulated: found no brain"),
    ],
)
def test_what_a_head_cannot_be_fitted_to(options, words, run, tmp_path):
    brains = [] if "--simulated" in options else ["--simulated", 1]
    status, _, err = run("train", "dti", "--posterior", "-o", tmp_path / "run", *options, *brains, "--workers", 0)
    assert status == 2 and words in err and list(tmp_path.iterdir()) == []
