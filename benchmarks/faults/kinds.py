"""KINDS: name -> what is damaged, how it is read, and what is promised of it. A new kind is one line here."""

from __future__ import annotations

from benchmarks.faults.case import Kind
from benchmarks.faults.inputs import checkpoints, dti, insar, motion

KINDS: dict[str, Kind] = {
    "nifti": dti.TENSORS,
    "nrrd-mif-afni": dti.OTHER_IMAGES,
    "scan": dti.SCANS,
    "gradients": dti.GRADIENTS,
    "geotiff": insar.GEOTIFF,
    "rasters": insar.RASTERS,
    "gamma": insar.GAMMA,
    "netcdf-classic": insar.CLASSIC,
    "arrays": insar.ARRAYS,
    "hdf5": insar.HDF5,
    "zarr": insar.ZARR,
    "stacks": insar.STACKS,
    "npz": motion.NPZ,
    "matlab": motion.MATLAB,
    "ts": motion.ARCHIVE,
    "bvh": motion.BVH,
    "trc": motion.TRC,
    "edited motions": motion.EDITED,
    "amc": motion.ACCLAIM,
    "c3d": motion.C3D,
    "sensors": motion.SENSORS,
    "kinect": motion.KINECT,
    "poses": motion.POSES,
    "opensim": motion.OPENSIM,
    "amass": motion.BODIES,
    "activity sets": motion.ACTIVITIES,
    "classes": motion.CLASSES,
    "splits": motion.SPLITS,
    "checkpoints": checkpoints.CHECKPOINTS,
    "classifiers": checkpoints.CLASSIFIERS,
}
"""The rows of the report."""
