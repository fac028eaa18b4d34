"""Every unusable file gives one clear line."""

import gzip

import nibabel
import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti import DataError, load_dwi, load_tensors
from mvnet.data_loaders.dti.simulation import gradient_scheme

SHAPE = (6, 5, 4)
SPD = np.broadcast_to(np.array([1, 0, 0, 0.8, 0, 0.5], dtype=np.float32) * 1e-3, (*SHAPE, 6))
RANDOM = np.random.default_rng(0).random((*SHAPE, 6)).astype(np.float32)


def _nifti(path, data):
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), path)
    return path


def _empty(path):
    path.write_bytes(b"")
    return path


def _truncated(path):
    whole = _nifti(path, RANDOM).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return path


def _truncated_plain(path):
    plain = path.with_name("plain.nii")
    whole = gzip.decompress(_nifti(path, RANDOM).read_bytes())
    plain.write_bytes(whole[: len(whole) // 2])
    return plain


def _text(path):
    path.write_text("not an image")
    return path


def _other_format(path):
    other = path.with_name("x.mgz")
    nibabel.save(nibabel.MGHImage(np.ones((3, 3, 3), np.float32), np.eye(4)), other)  # pyright: ignore
    return other


def _with_affine(path, value):
    affine = np.eye(4)
    affine[0, 3] = value
    image = nibabel.Nifti1Image(RANDOM, affine)
    image.set_sform(affine, 1)
    nibabel.save(image, path)
    return path


CASES = {
    "missing": (lambda p: p, "no such file"),
    "folder": (lambda p: p.parent, "no such file"),
    "empty": (_empty, "empty"),
    "truncated gzip": (_truncated, "truncated|cannot be read"),
    "truncated": (_truncated_plain, "truncated"),
    "text": (_text, "cannot be read as a NIfTI"),
    "other format": (_other_format, "expected a NIfTI"),
    "2-D": (lambda p: _nifti(p, RANDOM[:, :, 0, 0]), "2-D image"),
    "affine": (lambda p: _with_affine(p, np.nan), "affine that is not finite|cannot be read"),
    "no voxel": (lambda p: _nifti(p, RANDOM[:0]), "expected no empty dimension|cannot be read|expected"),
    "NaN": (lambda p: _nifti(p, np.full_like(RANDOM, np.nan)), "finite"),
    "zeros": (lambda p: _nifti(p, np.zeros_like(RANDOM)), "zero|no positive|positive trace"),
    "negative": (lambda p: _nifti(p, -SPD.copy()), "positive"),
}
TENSOR_CASES = (
    CASES
    | {
        "complex": (lambda p: _nifti(p, RANDOM.astype(np.complex64)), "real numbers"),  # a complex DWI loses its phase
        "3-D": (lambda p: _nifti(p, RANDOM[..., 0]), "six components"),
        "seven components": (
            lambda p: _nifti(p, np.concatenate([RANDOM, RANDOM[..., :1]], 3)),
            "DWI of 7 volumes.*six components",
        ),
        "5-D": (lambda p: _nifti(p, np.stack([RANDOM, RANDOM], 3)), "six components"),
    }
)
DWI_CASES = CASES | {
    "3-D": (lambda p: _nifti(p, RANDOM[..., 0]), "expected .X, Y, Z, M"),
    "count": (lambda p: _nifti(p, RANDOM), "found 8 b-values, expected 6"),
}


def _refused(function, *arguments, match, **keywords):
    with pytest.raises(DataError, match=match) as caught:
        function(*arguments, **keywords)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400


@pytest.mark.parametrize("name", TENSOR_CASES)
def test_tensor_files(name, tmp_path):
    make, message = TENSOR_CASES[name]
    _refused(load_tensors, make(tmp_path / "t.nii.gz"), match=message)


@pytest.mark.parametrize("name", DWI_CASES)
def test_dwi_files(name, tmp_path, monkeypatch):
    make, message = DWI_CASES[name]
    bvals, bvecs = gradient_scheme(5 + 1, n_b0=2)
    if name != "count":  # eight volumes wherever the case has volumes
        monkeypatch.setattr(f"{__name__}.RANDOM", np.concatenate([RANDOM, RANDOM[..., :2]], 3))
        monkeypatch.setattr(f"{__name__}.SPD", np.concatenate([SPD, SPD[..., :2]], 3))
    _refused(load_dwi, make(tmp_path / "d.nii.gz"), bvals.numpy(), bvecs.numpy(), match=message)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros(SHAPE), "no voxel above zero"),
        (np.ones((6, 5, 5)), "mask: found shape"),
        (np.ones(SHAPE[:2]), "mask: found shape"),
    ],
)
def test_masks(mask, message, tmp_path):
    path = _nifti(tmp_path / "t.nii.gz", SPD.copy())
    _refused(load_tensors, path, mask=mask, match=message)
    _refused(
        load_tensors,
        path,
        mask=_nifti(tmp_path / "m.nii", mask.astype(np.uint8)),
        match=message[-5:] + "|2-D",
    )
    bvals, bvecs = gradient_scheme(6, n_b0=2)
    dwi = _nifti(tmp_path / "d.nii.gz", 1 + RANDOM[..., [0, 1, 2, 3, 4, 5, 0, 1]])
    _refused(load_dwi, dwi, bvals.numpy(), bvecs.numpy(), mask=mask, match=message)


def test_negative_tensors_with_a_mask(tmp_path):
    path = _nifti(tmp_path / "t.nii.gz", -SPD.copy())
    _refused(load_tensors, path, mask=np.ones(SHAPE), match="positive definite")
    _refused(load_tensors, path, order="fsl", mask=np.ones(SHAPE), match="positive definite")


def test_a_volume_of_nan_in_a_scan(tmp_path, brain):
    bvals, bvecs = gradient_scheme(6, n_b0=1)
    dwi = np.ones((*brain.mask.shape, 7), dtype=np.float32) * (1 + bvals.numpy() / 1e4)
    dwi[..., 3] = np.nan
    path = _nifti(tmp_path / "d.nii.gz", dwi)
    _refused(load_dwi, path, bvals.numpy(), bvecs.numpy(), mask=brain.mask, match="5 weighted volumes left")


@pytest.mark.parametrize("factor", [1e-20, 1e20])
def test_signals_beyond_single_precision(factor, tmp_path):
    bvals, bvecs = gradient_scheme(6)
    dwi = np.float32(factor) * (1 + RANDOM[..., [0, 1, 2, 3, 4, 5, 0]])
    path = _nifti(tmp_path / "d.nii.gz", dwi)
    _refused(
        load_dwi,
        path,
        bvals.numpy(),
        bvecs.numpy(),
        mask=np.ones(SHAPE),
        match="median b0|no finite b0 signal below 1e[+]12",
    )


def test_a_constant_b0_has_no_mask(tmp_path):
    bvals, bvecs = gradient_scheme(6)
    path = _nifti(tmp_path / "d.nii.gz", np.ones((*SHAPE, 7), dtype=np.float32))
    _refused(load_dwi, path, bvals.numpy(), bvecs.numpy(), match="give one")


@pytest.mark.parametrize("keyword", ["order", "unit", "frame"])
def test_unknown_choices(keyword, tmp_path):
    path = _nifti(tmp_path / "t.nii.gz", SPD.copy())
    _refused(load_tensors, path, **{keyword: "nonsense"}, match=f"{keyword}.*nonsense")


def test_scattered_nan_is_mended_not_refused(brain, write_tensors):
    planes = brain.tensors * brain.mask
    spot = tuple(brain.mask.nonzero()[500])
    planes[(slice(None), *spot)] = torch.nan
    volume = load_tensors(write_tensors(planes), mask=brain.mask)
    assert volume.report.non_finite == 1 and volume.tensors.isfinite().all()
