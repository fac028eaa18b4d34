"""The file formats motions come in.

A format is one entry of `FORMATS`: a name, how to recognise it by its content, how to read it. The first that
recognises a path wins, so the specific ones come first. A new one is one file and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.arrays import is_arrays, read_arrays
from mvnet.data_loaders.motion.formats.cameras.kinect import (
    is_florence,
    is_msr,
    read_florence,
    read_msr,
)
from mvnet.data_loaders.motion.formats.cameras.landmarks import is_landmarks, read_landmarks
from mvnet.data_loaders.motion.formats.cameras.long_table import is_long_table, read_long_table
from mvnet.data_loaders.motion.formats.cameras.matlab import is_release, read_release
from mvnet.data_loaders.motion.formats.cameras.ntu import is_ntu, read_ntu
from mvnet.data_loaders.motion.formats.cameras.openpose import is_openpose, read_openpose
from mvnet.data_loaders.motion.formats.cameras.pose_json import is_pose_json, read_pose_json
from mvnet.data_loaders.motion.formats.cameras.pose_pickle import is_pose_pickle, read_pose_pickle
from mvnet.data_loaders.motion.formats.capture.amass import is_amass, read_amass
from mvnet.data_loaders.motion.formats.capture.asf import is_amc, read_amc
from mvnet.data_loaders.motion.formats.capture.bvh import is_bvh, read_bvh
from mvnet.data_loaders.motion.formats.capture.c3d import is_c3d, read_c3d
from mvnet.data_loaders.motion.formats.capture.opensim import is_opensim, read_opensim
from mvnet.data_loaders.motion.formats.capture.trc import is_trc, read_trc
from mvnet.data_loaders.motion.formats.folders import read_folder
from mvnet.data_loaders.motion.formats.npz import is_neutral, read_neutral
from mvnet.data_loaders.motion.formats.segments import is_segmented, read_segmented
from mvnet.data_loaders.motion.formats.sensors.imu import is_imu, is_quaternions, read_imu, read_quaternions
from mvnet.data_loaders.motion.formats.sensors.pamap2 import is_pamap2, read_pamap2
from mvnet.data_loaders.motion.formats.sensors.ts import is_ts, read_ts
from mvnet.data_loaders.motion.formats.sensors.uci_har import is_uci_har, read_uci_har
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions


@dataclass(frozen=True)
class Format:
    """name: for the `format` argument. recognises: cheap. read: the motions; DataError if it cannot.

    endings: of its files where one file is one recording, so that folders of classes may hold them; else ().
    """

    name: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], MotionSet]
    endings: tuple[str, ...] = ()


_TABLES = (".csv", ".txt", ".tsv")

FORMATS: tuple[Format, ...] = (
    Format("npz", is_neutral, read_neutral),
    Format("release", is_release, read_release),  # MATLAB files of Florence3D, MSR-Action3D and their like
    Format("ts", is_ts, read_ts),
    Format("segments", is_segmented, lambda path, options: read_segmented(path, options, read_motion)),
    Format("arrays", is_arrays, read_arrays),
    Format("uci-har", is_uci_har, read_uci_har),
    Format("pamap2", is_pamap2, read_pamap2, (".dat",)),
    Format("amass", is_amass, read_amass, (".npz",)),
    Format("bvh", is_bvh, read_bvh, (".bvh",)),
    Format("amc", is_amc, read_amc, (".amc",)),
    Format("c3d", is_c3d, read_c3d, (".c3d",)),
    Format("trc", is_trc, read_trc, (".trc",)),
    Format("opensim", is_opensim, read_opensim, (".sto", ".mot")),
    Format("ntu", is_ntu, read_ntu, (".skeleton",)),
    Format("msr", is_msr, read_msr, (".txt",)),
    Format("florence", is_florence, read_florence),
    Format("openpose", is_openpose, read_openpose, (".json",)),
    Format("pose-json", is_pose_json, read_pose_json, (".json",)),
    Format("pose-pickle", is_pose_pickle, read_pose_pickle, (".pkl", ".pickle")),
    Format("long-table", is_long_table, read_long_table, _TABLES),
    Format("landmarks", is_landmarks, read_landmarks, _TABLES),
    Format("quaternions", is_quaternions, read_quaternions, _TABLES),
    Format("imu", is_imu, read_imu, _TABLES),
)
"""Every format read."""


def find_format(path: Path, formats: tuple[Format, ...] = FORMATS) -> Format | None:
    """The first format that recognises the content of a file or folder.

    Raises:
        DataError: no such file or folder, an empty one.
    """
    if not path.exists():
        raise DataError(f"{path}: found no such file or folder, expected motions")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path}: found an empty file, expected motions")
    if path.is_dir() and not any(path.iterdir()):
        raise DataError(f"{path}: found an empty folder, expected motion files or one folder for each class")
    for entry in formats:
        with reading(path, entry.name):
            if entry.recognises(path):
                return entry
    return None


def read_motion(path: Path, options: ReadOptions, format: str | None = None) -> MotionSet:
    """The motions of a file, of a data set's folder, or of a folder with one folder for each class.

    Raises:
        DataError: no such file, unknown format, or what the format's own reader says.
    """
    names = ", ".join(entry.name for entry in FORMATS)
    formats = FORMATS if format is None else tuple(entry for entry in FORMATS if entry.name == format)
    if not formats:
        raise DataError(f"format: found {format!r}, expected one of {names}")
    entry = find_format(path, formats)
    if entry is None and format is not None and (path.is_file() or not formats[0].endings):
        entry = formats[0]  # the reader of the given format reports what is wrong
    if entry is not None:
        with reading(path, entry.name):
            return entry.read(path, options)
    if path.is_dir():
        endings = [ending for entry in formats for ending in entry.endings]
        return read_folder(path, endings, lambda file: read_motion(file, options, format))
    raise DataError(f"{path}: found an unknown format, expected one of {names}")
