"""`mvnet denoise dti` on bad input: one line on stderr, exit status 2, nothing written, nothing lost."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.apps.files import tree


def save(path: Path, values: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), path)
    return path


def edited(path: Path, source: Path, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """A copy of a NIfTI with its values changed."""
    image = nibabel.Nifti1Image.from_filename(source)
    nibabel.save(nibabel.Nifti1Image(change(image.get_fdata().astype(np.float32)), image.affine), path)
    return path


def empty_file(scan, folder):
    (folder / "empty.nii.gz").touch()
    return [folder / "empty.nii.gz"], "empty"


def truncated_header(scan, folder):
    (folder / "short.nii.gz").write_bytes(gzip.compress(b"\0" * 100))
    return [folder / "short.nii.gz"], "cannot be read as a NIfTI"


def truncated_gzip(scan, folder):
    data = scan.dwi.read_bytes()
    (folder / "half.nii.gz").write_bytes(data[: len(data) // 2])
    return [folder / "half.nii.gz", "--bval", scan.bval, "--bvec", scan.bvec], "truncated"


def truncated_tensor_gzip(scan, folder):
    data = scan.tensors.read_bytes()
    (folder / "half.nii.gz").write_bytes(data[: len(data) // 2])
    return [folder / "half.nii.gz"], "truncated"


def not_an_image(scan, folder):
    (folder / "text.nii.gz").write_text("hello")
    return [folder / "text.nii.gz"], "cannot be read as a NIfTI"


def wrong_bvec_count(scan, folder):
    np.savetxt(folder / "few.bvec", np.loadtxt(scan.bvec)[:, :-1])
    return [scan.dwi, "--bval", scan.bval, "--bvec", folder / "few.bvec"], "13"


def wrong_bval_count(scan, folder):
    np.savetxt(folder / "few.bval", np.loadtxt(scan.bval)[None, :-1])
    return [scan.dwi, "--bval", folder / "few.bval", "--bvec", scan.bvec], "13"


def bval_of_words(scan, folder):
    (folder / "words.bval").write_text("zero one two")
    return [scan.dwi, "--bval", folder / "words.bval", "--bvec", scan.bvec], "words.bval"


def nan_dwi(scan, folder):
    path = edited(folder / "nan.nii.gz", scan.dwi, lambda v: v * np.nan)
    return [path, "--bval", scan.bval, "--bvec", scan.bvec], "finite"


def nan_tensors(scan, folder):
    return [edited(folder / "nan.nii.gz", scan.tensors, lambda v: v * np.nan)], "finite"


def flat_image(scan, folder):
    return [save(folder / "flat.nii.gz", np.ones((8, 9), np.float32))], "2-D"


def scalar_image(scan, folder):
    return [save(folder / "scalar.nii.gz", np.ones((8, 9, 7), np.float32))], "(8, 9, 7)"


def zero_mask(scan, folder):
    return [scan.tensors, "--mask", edited(folder / "none.nii.gz", scan.mask, np.zeros_like)], "mask"


def small_mask(scan, folder):
    return [scan.tensors, "--mask", save(folder / "small.nii.gz", np.ones((4, 4, 4), np.uint8))], "(4, 4, 4)"


def missing_mask(scan, folder):
    return [scan.tensors, "--mask", folder / "nowhere.nii.gz"], "mask"


def negative_tensors(scan, folder):
    return [edited(folder / "negative.nii.gz", scan.tensors, np.negative)], "positive"


def negative_tensors_in_mask(scan, folder):
    path = edited(folder / "negative.nii.gz", scan.tensors, np.negative)
    return [path, "--mask", scan.mask, "--order", "fsl"], "positive definite"


def missing_input(scan, folder):
    return [folder / "nowhere.nii.gz"], "input: found no "


def folder_as_input(scan, folder):
    return [folder], "a folder"


def bval_without_bvec(scan, folder):
    return [scan.dwi, "--bval", scan.bval], "--bvec"


def bvec_without_bval(scan, folder):
    return [scan.dwi, "--bvec", scan.bvec], "--bval"


def unknown_order(scan, folder):
    return [scan.tensors, "--order", "ants"], "'ants', expected one of fsl"


def unknown_unit(scan, folder):
    return [scan.tensors, "--unit", "cm2/s"], "'cm2/s', expected one of mm2/s"


def unknown_frame(scan, folder):
    return [scan.tensors, "--bvec-frame", "lps"], "'lps', expected one of voxel"


def order_of_a_dwi(scan, folder):
    return [scan.dwi, "--bval", scan.bval, "--bvec", scan.bvec, "--order", "fsl"], "--order"


def strength_above_one(scan, folder):
    return [scan.tensors, "--strength", "1.5"], "1.5, expected a number in [0, 1]"


def strength_below_zero(scan, folder):
    return [scan.tensors, "--strength", "-0.1"], "[0, 1]"


def strength_nan(scan, folder):
    return [scan.tensors, "--strength", "nan"], "[0, 1]"


def strength_word(scan, folder):
    return [scan.tensors, "--strength", "full"], "--strength"


def adapt_without_dwi(scan, folder):
    return [scan.tensors, "--adapt"], "--adapt: found a tensor image as input"


def optimizer_without_adapt(scan, folder):
    return [scan.tensors, "--optimizer", "soap"], "--optimizer: found no --adapt with it"


def memory_without_adapt(scan, folder):
    return [scan.tensors, "--memory", "low"], "--memory: found no --adapt with it"


def unknown_memory(scan, folder):
    return [scan.tensors, "--memory", "large"], "'--memory': found 'large', expected one of plain, low"


def unknown_optimizer(scan, folder):
    words = ["--bval", scan.bval, "--bvec", scan.bvec, "--adapt", "--optimizer", "magic"]
    return [scan.dwi, *words], "--optimizer: found 'magic', expected one of adamw"


def adapt_with_few_directions(scan, folder):
    path = edited(folder / "few.nii.gz", scan.dwi, lambda v: v[..., :9])
    np.savetxt(folder / "few.bval", np.loadtxt(scan.bval)[None, :9])
    np.savetxt(folder / "few.bvec", np.loadtxt(scan.bvec)[:, :9])
    arguments = [
        path,
        "--bval",
        folder / "few.bval",
        "--bvec",
        folder / "few.bvec",
        "--mask",
        scan.mask,
        "--adapt",
    ]
    return arguments, "at least 12"


def unknown_device(scan, folder):
    return [scan.tensors, "--device", "abacus"], "'abacus'"


def missing_checkpoint(scan, folder):
    return [scan.tensors, "--checkpoint", folder / "nothing"], "checkpoint"


def device_without_memory(scan, folder):
    return [scan.tensors, "--device", "meta"], "device: found 'meta', which cannot be used"


def damaged_weights(scan, folder):
    (folder / "x.json").write_text('{"architecture": "DTIDenoiser", "config": {}}')
    (folder / "x.safetensors").write_bytes(b"junk")
    return [scan.tensors, "--checkpoint", folder / "x"], "x that cannot be loaded"


def another_card(scan, folder):
    (folder / "x.v2.json").write_text("{}")
    (folder / "x.v2.safetensors").touch()
    return [scan.tensors, "--checkpoint", folder / "x.v2"], "x.v2 that cannot be loaded"


def checkpoint_of_another_network(scan, folder):
    (folder / "y.json").write_text('{"architecture": "InSARDenoiser", "config": {}}')
    (folder / "y.safetensors").touch()
    return [scan.tensors, "--checkpoint", folder / "y"], "found a InSARDenoiser"


def folder_as_checkpoint(scan, folder):
    return [scan.tensors, "--checkpoint", "."], "checkpoint: found no file"


def unknown_option(scan, folder):
    return [scan.tensors, "--sharpen"], "--sharpen"


CASES = [
    empty_file,
    truncated_header,
    truncated_gzip,
    truncated_tensor_gzip,
    not_an_image,
    wrong_bvec_count,
    wrong_bval_count,
    bval_of_words,
    nan_dwi,
    nan_tensors,
    flat_image,
    scalar_image,
    zero_mask,
    small_mask,
    missing_mask,
    negative_tensors,
    negative_tensors_in_mask,
    missing_input,
    folder_as_input,
    bval_without_bvec,
    bvec_without_bval,
    unknown_order,
    unknown_unit,
    unknown_frame,
    order_of_a_dwi,
    strength_above_one,
    strength_below_zero,
    strength_nan,
    strength_word,
    adapt_without_dwi,
    optimizer_without_adapt,
    memory_without_adapt,
    unknown_memory,
    unknown_optimizer,
    adapt_with_few_directions,
    unknown_device,
    missing_checkpoint,
    device_without_memory,
    damaged_weights,
    another_card,
    checkpoint_of_another_network,
    folder_as_checkpoint,
    unknown_option,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_bad_input_is_one_line_and_leaves_nothing(case, scan, run, checkpoint, tmp_path):
    arguments, words = case(scan, tmp_path)
    before = tree(tmp_path), tree(scan.dwi.parent)
    defaults = ["-o", tmp_path / "out", "--quiet", "--json"]
    for name, value in (("--device", "cpu"), ("--checkpoint", checkpoint)):
        defaults += [] if name in arguments else [name, value]  # an option is given once
    status, out, err = run("denoise", "dti", *defaults, *arguments)
    assert status == 2
    assert out == "" and err.count("\n") == 1 and err.startswith("mvnet: error: ")
    assert words in err
    assert "Traceback" not in err and len(err) < 400
    assert (tree(tmp_path), tree(scan.dwi.parent)) == before
