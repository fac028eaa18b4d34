"""Skeleton data sets as MATLAB files, in the layout of R. Vemulapalli's releases (CVPR 2014).

    skeletal_data.mat             structs with original_skeletal_data (3, joints, frames), subject, action
    real_world_coordinates.npz    in place of it: aAA_sSS_eEE (frames, joints, 4), x y z confidence
    body_model.mat                bones (bones, 2) and hip_center_index, counted from 1
    tr_te_splits.mat              tr_subjects (splits, k)
    action_names.mat              action_names, optional

Axes. The arrays of the .npz are the sensor's: x to its left, y up, z away from it, right-handed; a quarter turn
about x makes z up. The .mat holds them with y and z swapped, which mirrors left and right; y is negated again here.
A frame whose joints all lie at the origin is how the sensor says that it saw nobody: NaN here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.isolated import parse_isolated
from mvnet.data_loaders.motion.formats.npz import npz_names
from mvnet.data_loaders.motion.motion_set import MotionSet, encode_labels
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.skeleton.tree import Y_UP_TO_Z_UP, parent_of_bones
from mvnet.data_loaders.npz_files import read_npz

NAME = re.compile(r"a(\d+)_s(\d+)_e(\d+)", re.IGNORECASE)
"""Action, subject and repetition in the name of a recording."""
_ARRAYS, _STRUCTS = "real_world_coordinates.npz", "skeletal_data.mat"


def is_release(path: Path) -> bool:
    """Whether this is such a folder, or the file with its sequences."""
    if path.is_dir():
        return (path / _STRUCTS).is_file() or (path / _ARRAYS).is_file()
    return path.name == _STRUCTS or any(NAME.fullmatch(name) for name in npz_names(path)[:1])


def read_release(path: Path, options: ReadOptions) -> MotionSet:
    """The sequences with labels, subjects, skeleton and published splits.

    Raises:
        DataError: a file damaged or without what the layout above names.
    """
    folder = path if path.is_dir() else path.parent
    main = path if path.is_file() else next(folder / name for name in (_ARRAYS, _STRUCTS) if (folder / name).is_file())
    read = _from_structs if main.suffix == ".mat" else _from_arrays
    sequences, actions, subjects, names, note = read(main)
    sequences = [missing_as_nan(sequence) * (options.scale or 1.0) for sequence in sequences]
    labels, classes = encode_labels(actions)
    body = _optional(folder / "body_model.mat", "body_model")
    training = _optional(folder / "tr_te_splits.mat", squeeze=False).get("tr_subjects")
    titles = _optional(folder / "action_names.mat").get("action_names")
    if titles is not None and np.size(titles) >= max(actions):
        classes = tuple(str(np.ravel(titles)[int(name) - 1]) for name in classes)
    parent = None
    if "bones" in body and "hip_center_index" in body:
        joints = sequences[0].shape[1]
        parent = parent_of_bones(
            np.atleast_2d(body["bones"]).astype(int) - 1, joints, int(body["hip_center_index"]) - 1, str(folder)
        )
    return MotionSet(
        sequences,
        labels=labels,
        classes=classes,
        subjects=np.array(subjects),
        parent=parent,
        train_subjects=None if training is None else training,
        names=tuple(names),
        source=str(path),
        notes=(note,),
    )


def missing_as_nan(positions: np.ndarray) -> np.ndarray:
    """A copy with NaN in the frames (frames, joints, 3) whose joints all lie at the origin."""
    return np.where((positions == 0).all((1, 2), keepdims=True), np.nan, positions).astype(positions.dtype)


_Sequences = tuple[list[np.ndarray], list[int], list[int], list[str], str]


def _from_arrays(path: Path) -> _Sequences:
    arrays = read_npz(path)
    found = {name: NAME.fullmatch(name) for name in sorted(arrays)}
    other = [name for name, match in found.items() if match is None]
    shapes = [array.shape for array in arrays.values() if array.ndim != 3 or array.shape[2] not in (3, 4)]
    if other or shapes:
        wrong = f"array {other[0]}" if other else f"shape {shapes[0]}"
        raise DataError(f"{path}: found {wrong}, expected arrays aAA_sSS_eEE (frames, joints, 3 or 4)")
    numbers = [(int(match.group(1)), int(match.group(2))) for match in found.values() if match]
    turn = Y_UP_TO_Z_UP.T.astype(np.float32)
    sequences = [arrays[name][..., :3] @ turn for name in found]
    actions, subjects = [a for a, _ in numbers], [s for _, s in numbers]
    return sequences, actions, subjects, list(found), "turned from y up to z up"


def _from_structs(path: Path) -> _Sequences:
    structs = np.ravel(_load(path).get("skeletal_data", ()))
    sequences, actions, subjects, names = [], [], [], []
    for i, struct in enumerate(structs):
        values = getattr(struct, "original_skeletal_data", None)
        if values is None or np.size(values) == 0:  # an empty cell: that recording does not exist
            continue
        if values.ndim == 2:  # one frame
            values = values[..., None]
        sequences.append(values.transpose(2, 1, 0) * np.array([1.0, -1.0, 1.0]))
        actions.append(int(struct.action))
        subjects.append(int(struct.subject))
        names.append(f"{i + 1}")
    if not sequences:
        raise DataError(f"{path}: found no skeletal_data with original_skeletal_data, expected structs with it")
    return sequences, actions, subjects, names, "z up; y negated, so that left and right are not mirrored"


def _load(path: Path, squeeze: bool = True) -> dict[str, Any]:
    return vars(parse_isolated("MATLAB", path, squeeze=squeeze))


def _optional(path: Path, struct: str | None = None, squeeze: bool = True) -> dict[str, Any]:
    """The variables of a .mat, or the fields of one of its structs; {} where there is no such file."""
    if not path.is_file():
        return {}
    variables = _load(path, squeeze)
    return variables if struct is None else vars(variables[struct]) if struct in variables else {}
