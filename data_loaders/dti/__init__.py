"""Diffusion tensor volumes: files in, tensors; tensors, files out.

    volume = load_tensors("tensor.nii.gz")                      order, unit and axes detected, or given
    volume = load_dwi("dwi.nii.gz", "dwi.bval", "dwi.bvec")     fitted by weighted least squares
    save_tensors(volume, volume.tensors, "out.nii.gz")          same layout, unit, axes, affine and header

Inside, tensors are (6, X, Y, Z) Mandel planes `xx, yy, zz, sqrt2*yz, sqrt2*xz, sqrt2*xy` in um^2/ms, in voxel
axes. The readers are imported when they are first used, so that the names of layouts and units cost no torch.
"""

from typing import TYPE_CHECKING

from mvnet.data_loaders.dti.layouts import FRAMES, LAYOUTS, UNITS, TensorLayout
from mvnet.data_loaders.errors import DataError
from mvnet.lazy import lazy_names

if TYPE_CHECKING:
    from mvnet.data_loaders.dti.dwi import load_dwi
    from mvnet.data_loaders.dti.tensors import load_tensors
    from mvnet.data_loaders.dti.volume import Acquisition, DTIVolume, RepairReport
    from mvnet.data_loaders.dti.writers import save_scalar, save_tensors

__all__ = [
    "FRAMES",
    "LAYOUTS",
    "UNITS",
    "Acquisition",
    "DTIVolume",
    "DataError",
    "RepairReport",
    "TensorLayout",
    "load_dwi",
    "load_tensors",
    "save_scalar",
    "save_tensors",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Acquisition": "volume",
        "DTIVolume": "volume",
        "RepairReport": "volume",
        "load_dwi": "dwi",
        "load_tensors": "tensors",
        "save_scalar": "writers",
        "save_tensors": "writers",
    },
)
