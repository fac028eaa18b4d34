"""Diffusion tensor volumes: files in, tensors; tensors, files out.

    volume = load_tensors("tensor.nii.gz")                      order, unit and axes deduced, or given
    volume = load_dwi("dwi.nii.gz", "dwi.bval", "dwi.bvec")     fitted by weighted least squares
    save_tensors(volume, volume.tensors, "out.nii.gz")          same layout, unit, axes, affine and header

Inside, tensors are (6, X, Y, Z) Mandel planes `xx, yy, zz, sqrt2*yz, sqrt2*xz, sqrt2*xy` in um^2/ms, in voxel
axes.
"""

from mvnet.data_loaders.dti.dwi import load_dwi
from mvnet.data_loaders.dti.frames import FRAMES
from mvnet.data_loaders.dti.layouts import LAYOUTS, UNITS, TensorLayout
from mvnet.data_loaders.dti.tensors import load_tensors
from mvnet.data_loaders.dti.volume import Acquisition, DTIVolume, RepairReport
from mvnet.data_loaders.dti.writers import save_scalar, save_tensors
from mvnet.data_loaders.errors import DataError

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
