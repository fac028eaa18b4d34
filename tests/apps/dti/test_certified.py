"""`mvnet denoise dti --model certified`: what it writes, what it says, what it refuses."""

from __future__ import annotations

import json

import pytest

from mvnet.models.checkpoint import save_checkpoint
from tests.models.dti.test_certified import small_model


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small"
    save_checkpoint(path, small_model().float(), {})
    return path


def gradients(scan):
    return ["--bval", scan.bval, "--bvec", scan.bvec, "--mask", scan.mask]


def test_no_map_of_an_error_is_written(run, scan, certified, tmp_path):
    options = [*gradients(scan), "--checkpoint", certified, "--device", "cpu", "--json", "-o", tmp_path]
    status, out, err = run("denoise", "dti", scan.dwi, *options)
    assert status == 0, err
    summary = json.loads(out)
    assert not {"confidence", "sigmaFA", "sigmaMD"} & set(summary["outputs"]) and "FA" in summary["outputs"]
    assert "expected_error" not in summary["statistics"] and "no confidence map" in str(summary["messages"])
    page = next(tmp_path.glob("*.html")).read_text()
    assert "this network has no confidence map" in page and "not estimated by this network" in page


def test_a_tensor_image_has_no_noise_maps(run, scan, certified, tmp_path):
    options = ["--model", "certified", "--checkpoint", certified, "--device", "cpu", "--no-report", "-o", tmp_path]
    status, _, err = run("denoise", "dti", scan.tensors, *options)
    assert status == 0 and "the certificate holds, the filter is weaker" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--adapt"], "--adapt: found the certified network"),
        (["--trust-region", "0.9"], "--trust-region: found the certified network"),
        (["--maps", "FA,confidence"], "--maps: found confidence, expected others"),
    ],
)
def test_what_the_certificate_excludes(run, scan, certified, tmp_path, options, message):
    out = tmp_path / "out"
    status, _, err = run("denoise", "dti", scan.dwi, *gradients(scan), "--checkpoint", certified, *options, "-o", out)
    assert status == 2 and message in err and not out.exists()


def test_a_checkpoint_of_another_kind(run, scan, checkpoint, certified, tmp_path):
    for model, file, found in (("certified", checkpoint, "DTIDenoiser"), ("dti", certified, "CertifiedDenoiser")):
        out = tmp_path / "out"
        status, _, err = run("denoise", "dti", scan.tensors, "--model", model, "--checkpoint", file, "-o", out)
        assert status == 2 and f"--checkpoint: found a {found}" in err and not out.exists()
    status, _, err = run("denoise", "dti", scan.tensors, "--model", certified, "--checkpoint", certified, "-o", out)
    assert status == 2 and "expected one of them" in err
