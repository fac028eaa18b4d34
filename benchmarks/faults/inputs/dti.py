"""Diffusion: tensors in every layout and container, images with gradients and a mask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from numpy.random import default_rng

from benchmarks.faults.case import Input, Kind
from mvnet.data_loaders.dti import LAYOUTS, load_dwi, load_tensors
from mvnet.data_loaders.dti.gradients import read_gradients
from mvnet.data_loaders.dti.simulation import gradient_scheme
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.linalg import sym3
from tests.data_loaders.dti.formats import test_afni, test_mif
from tests.data_loaders.dti.formats.test_nrrd_files import header_of

SHAPE = (4, 3, 2)
BVALS, BVECS = gradient_scheme(6, n_b0=1)


def _planes() -> torch.Tensor:
    """(6, X, Y, Z) Mandel planes of anisotropic tensors, um^2/ms."""
    part = torch.from_numpy(default_rng(0).normal(size=(*SHAPE, 3, 3)) * 0.3)
    return sym3.pack(part @ part.mT + 0.5 * torch.eye(3), dim=0).float()


def _image(ending: str, order: str) -> Input:
    def make(folder: Path) -> Path:
        layout = LAYOUTS[order]
        stored = layout.from_mandel(_planes() / (1.0 if layout.unit == "um2/ms" else 1e3))
        kind = nibabel.Nifti2Image if ending == ".nii2.nii" else nibabel.Nifti1Image
        kind = nibabel.Nifti1Pair if ending == ".hdr" else kind
        image = kind(stored, np.diag([2.0, 2, 2.5, 1]))
        if layout.ndim == 5:
            image.header.set_intent("symmetric matrix", (3,))
        nibabel.save(image, folder / f"t{ending}")
        nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), image.affine), folder / "m.nii")
        return folder / f"t{ending}"

    return Input(make, lambda path: load_tensors(path, mask=path.with_name("m.nii")))


def _nrrd(folder: Path) -> Path:
    import nrrd

    stored = np.moveaxis(LAYOUTS["fsl"].from_mandel(_planes() * 1e-3), -1, 0)
    kinds = ["3D-symmetric-matrix", "domain", "domain", "domain"]
    nrrd.write(str(folder / "t.nrrd"), stored, header_of(stored.shape, kinds))
    return folder / "t.nrrd"


def _mif(name: str) -> Input:
    def make(folder: Path) -> Path:
        return test_mif.write(folder / name, LAYOUTS["mrtrix"].from_mandel(_planes() * 1e-3))

    return Input(make, load_tensors)


def _afni(folder: Path) -> Path:
    values = LAYOUTS["dipy"].from_mandel(_planes() * 1e-3)
    return test_afni.write(folder / "t+orig", values, ["Dxx", "Dxy", "Dyy", "Dxz", "Dyz", "Dzz"])


def _write_gradients(folder: Path) -> Path:
    np.savetxt(folder / "d.bval", BVALS.numpy()[None], fmt="%.6g")
    np.savetxt(folder / "d.bvec", BVECS.numpy().T, fmt="%.8f")
    return folder / "d.bval"


def _scan(ending: str) -> Input:
    def make(folder: Path) -> Path:
        _write_gradients(folder)
        dwi = 1 + default_rng(0).random((*SHAPE, len(BVALS))).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(dwi, np.eye(4)), folder / f"d{ending}")
        nibabel.save(nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4)), folder / "m.nii")
        return folder / f"d{ending}"

    def read(path: Path) -> DTIVolume:
        texts = path.with_name("d.bval"), path.with_name("d.bvec")
        return load_dwi(path, *texts, mask=path.with_name("m.nii"))

    return Input(make, read)


def _mif_scan(folder: Path) -> Path:
    dwi = 1 + default_rng(0).random((*SHAPE, len(BVALS))).astype(np.float32)
    rows = np.c_[BVECS.numpy(), BVALS.numpy()]
    return test_mif.write(folder / "d.mif", dwi, dw_scheme="\n".join(",".join(f"{v:.6f}" for v in r) for r in rows))


def volume_holds(volume: DTIVolume) -> str:
    """Positive definite and finite everywhere."""
    if not bool(volume.tensors.isfinite().all()):
        return "tensors that are not finite"
    if not bool((sym3.eigvals(volume.tensors.double(), dim=0) > 0).all()):
        return "tensors that are not positive definite"
    if not bool(np.isfinite(volume.affine).all()):
        return "an affine that is not finite"
    maps = volume.acquisition
    if maps is not None:
        for name in ("b0", "noise", "residual", "sigma", "bvals", "bvecs"):
            if not np.isfinite(np.asarray(getattr(maps, name))).all():
                return f"{name} that is not finite"
    return ""


def _gradients_hold(found: Any) -> str:
    lengths = np.linalg.norm(found.bvecs, axis=-1)
    if not (np.isfinite(found.bvals).all() and (found.bvals >= 0).all()):
        return "b-values that are negative or not finite"
    if not ((abs(lengths - 1) < 1e-3) | (lengths == 0)).all():
        return "b-vectors that are no unit vectors"
    return ""


TENSORS = Kind(
    {
        "fsl": _image(".nii", "fsl"),
        "mrtrix gz": _image(".nii.gz", "mrtrix"),
        "dipy nii2": _image(".nii2.nii", "dipy"),
        "pair": _image(".hdr", "fsl"),
        "symmatrix": _image(".nii", "symmatrix"),
        "dti-tk": _image(".nii.gz", "dti-tk"),
    },
    volume_holds,
)
OTHER_IMAGES = Kind(
    {
        "nrrd": Input(_nrrd, load_tensors),
        "mif": _mif("t.mif"),
        "mih": _mif("t.mih"),
        "afni": Input(_afni, load_tensors),
    },
    volume_holds,
)
SCANS = Kind({"nii": _scan(".nii"), "nii.gz": _scan(".nii.gz"), "mif": Input(_mif_scan, load_dwi)}, volume_holds)
GRADIENTS = Kind(
    {
        "bval and bvec": Input(
            _write_gradients, lambda path: read_gradients(path, path.with_suffix(".bvec"), len(BVALS))
        )
    },
    _gradients_hold,
)
