"""Fixtures shared by the whole test tree: real data when there, small simulated files otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mvnet.data_loaders.dti.simulation.brain import Brain

AFFINE = np.array([[-2.0, 0, 0, 30], [0, 2.0, 0, -20], [0, 0, 2.5, 5], [0, 0, 0, 1]])
"""Voxel-to-world matrix with negative determinant, in which FSL and voxel axes agree."""


def read_nifti(path: Path) -> Any:
    """The nibabel image at a path (Any: nibabel's annotations do not know the class)."""
    import nibabel

    return nibabel.load(path)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Thousands of tiny operations: one thread is fastest. Before each test, as DIPY's nlmeans sets those of OpenMP."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of real data named by the environment variable MVNET_DATA; the test is skipped without it."""
    root = os.environ.get("MVNET_DATA")
    if not root:
        pytest.skip("real data: MVNET_DATA is not set")
    if not Path(root).is_dir():
        pytest.skip(f"real data: MVNET_DATA={root} is not a folder")
    return Path(root)


@pytest.fixture(scope="session")
def brain() -> Brain:
    """A simulated brain, 20 x 18 x 14 voxels of 3 mm."""
    from mvnet.data_loaders.dti.simulation import simulate_brain

    return simulate_brain((20, 18, 14), seed=3, voxel_size=3.0)


@pytest.fixture
def write_tensors(tmp_path: Path) -> Callable[..., Path]:
    """write(planes, order="fsl", unit=None, affine=AFFINE, name="tensor.nii.gz") -> path of a tensor NIfTI.

    planes: (6, X, Y, Z) Mandel, um^2/ms, already in the axes wanted in the file.
    """
    import nibabel

    from mvnet.data_loaders.dti.layouts import LAYOUTS, UNITS

    def write(
        planes: Tensor,
        order: str = "fsl",
        unit: str | None = None,
        affine: np.ndarray = AFFINE,
        name: str = "tensor.nii.gz",
    ) -> Path:
        layout = LAYOUTS[order]
        stored = layout.from_mandel(planes / UNITS[unit or layout.unit])
        image = nibabel.Nifti1Image(stored, affine)
        image.set_qform(affine, code=1)
        image.set_sform(affine, code=2)
        image.header.set_xyzt_units("mm", "sec")
        if layout.ndim == 5:
            image.header.set_intent("symmetric matrix", (3,))
        nibabel.save(image, tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def write_dwi(tmp_path: Path) -> Callable[..., tuple[Path, Path, Path]]:
    """write(dwi, bvals, bvecs, affine=AFFINE, columns=False) -> paths of the NIfTI, bval and bvec files."""
    import nibabel

    def write(
        dwi: Tensor | np.ndarray,
        bvals: Tensor | np.ndarray,
        bvecs: Tensor | np.ndarray,
        affine: np.ndarray = AFFINE,
        columns: bool = False,
    ) -> tuple[Path, Path, Path]:
        paths = tmp_path / "dwi.nii.gz", tmp_path / "dwi.bval", tmp_path / "dwi.bvec"
        nibabel.save(nibabel.Nifti1Image(np.asarray(dwi, dtype=np.float32), affine), paths[0])
        values, vectors = np.atleast_2d(np.asarray(bvals)), np.asarray(bvecs).T
        np.savetxt(paths[1], values.T if columns else values, fmt="%.6g")
        np.savetxt(paths[2], vectors.T if columns else vectors, fmt="%.8f")
        return paths

    return write


@pytest.fixture
def generator() -> torch.Generator:
    """A fresh generator with a fixed seed."""
    return torch.Generator().manual_seed(0)
