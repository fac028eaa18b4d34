"""C3D through ezc3d: markers in metres, NaN where not seen; or the segments of the group ROTATION.

What POINT:ANGLES, FORCES, MOMENTS, POWERS or SCALARS name is computed from the markers and is none; a point without
a label is of no use in another recording. Matrices of segments, as markerless systems write them, are poses in space.
The vertical is what POINT:Y_SCREEN says points up on the screen, else z as in most laboratories, or as `up` says.
Neither markers nor segments form a tree, so there is no `parent`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.isolated import parse_isolated
from mvnet.data_loaders.motion.formats.file_names import named_recording
from mvnet.data_loaders.motion.formats.joint_names import plain_names
from mvnet.data_loaders.motion.formats.units import metres_per_unit
from mvnet.data_loaders.motion.inertial import nearest_rotations
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import one_recording
from mvnet.data_loaders.optional import import_optional

_OUTPUTS = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS", "REACTIONS")
_OUTPUT = re.compile(r"[a-z0-9](Angles?|Forces?|Moments?|Powers?|GRF|GroundReaction\w*)$")
_UNLABELLED = re.compile(r"\*|uname|unlabel|unidentified|untracked|$", re.IGNORECASE)


@dataclass(frozen=True)
class C3dFile:
    """positions (frames, points, 3) in `unit`, NaN where not seen. labels: of the points, "" without one.

    output: (points,) bool, what is computed from markers. matrices (frames, segments, 4, 4), segments: their names.
    rate: frames per second, matrix_rate: of the matrices; None where unknown. up: the axis that the file names.
    """

    positions: np.ndarray
    labels: tuple[str, ...]
    output: np.ndarray
    matrices: np.ndarray
    segments: tuple[str, ...]
    unit: str
    rate: float | None
    matrix_rate: float | None
    up: str | None


def is_c3d(path: Path) -> bool:
    """The second byte is 80 and the first points to the parameters."""
    if not path.is_file() or path.suffix.lower() != ".c3d":
        return False
    with open(path, "rb") as file:
        head = file.read(2)
    return len(head) == 2 and head[1] == 0x50


def parse_c3d(path: Path) -> C3dFile:
    """What a file holds of points and segments.

    Raises:
        DataError: damaged.
    """
    import_optional("ezc3d", "motion")
    file = parse_isolated("C3D", path)
    parameters, rotation = vars(file.parameters), vars(file.rotation)
    positions = file.points[:3].transpose(2, 1, 0)
    seen = (file.residuals.T >= 0) & ~(positions == 0).all(-1)  # a negative residual marks an invalid point
    labels = _labels(parameters, positions.shape[1])
    listed = {name.strip() for key in _groups(parameters) for name in _texts(parameters.get(key))}
    plain = {name.rpartition(":")[-1] for name in listed}
    output = [n in listed or n.rpartition(":")[-1] in plain or bool(_OUTPUT.search(n)) for n in labels]
    matrices = np.zeros((0, 0, 4, 4)) if file.matrices is None else file.matrices.transpose(3, 2, 0, 1)
    rate = _number(parameters.get("RATE"))
    matrix_rate = _number(rotation.get("RATE")) or (rate and rate * (_number(rotation.get("RATIO")) or 1.0))
    screen = (_texts(parameters.get("Y_SCREEN")) or ("",))[0].strip().lower()
    return C3dFile(
        np.where(seen[..., None], positions, np.nan),
        labels,
        np.array(output, dtype=bool),
        matrices,
        _labels(rotation, matrices.shape[1]),
        (_texts(parameters.get("UNITS")) or ("",))[0],
        rate,
        matrix_rate,
        screen[-1] if screen in ("+x", "+y", "+z", "x", "y", "z") else None,
    )


def read_c3d(path: Path, options: ReadOptions) -> MotionSet:
    """Positions (frames, markers, 3) in metres; without markers, or with value="rotations", those of the segments.

    Raises:
        DataError: damaged, neither markers nor segments, a unit that is not known and no `scale`.
    """
    file = parse_c3d(path)
    there = ~file.output & np.isfinite(file.positions).any((0, 2))
    labelled = np.array([not _UNLABELLED.match(name.rpartition(":")[-1]) for name in file.labels], dtype=bool)
    kept = np.flatnonzero(~file.output & labelled if (there & labelled).any() else ~file.output)
    kept, subject_note = _one_subject(file, kept)
    if file.matrices.size and (options.value == "rotations" or not there.any()):
        return named_recording(_segments(path, file, options))
    if not len(kept) or not len(file.positions):
        raise DataError(f"{path}: found {len(kept)} markers in {len(file.positions)} frames, expected some")
    positions = file.positions[:, kept]
    scale, note = metres_per_unit(path, file.unit, positions, options)
    names = [file.labels[k] or f"marker {k + 1}" for k in kept]
    motions = one_recording(
        path,
        options,
        positions=positions * scale,
        joints=plain_names(names),
        rate=file.rate,
        scale=scale,
        default_up=file.up or "z",
    )
    outputs, others = np.count_nonzero(file.output), np.count_nonzero(~file.output & ~labelled)
    notes = [text for text in (note, subject_note) if text]
    notes += [f"{outputs} angles, forces, moments and powers among the points left out"] if outputs else []
    notes += ["points without a label left out"] if others and labelled[kept].all() else []
    notes += ["the segments of the file left out; value=rotations reads them"] if file.matrices.size else []
    return named_recording(replace(motions, notes=(*motions.notes, *notes)))


def _one_subject(file: C3dFile, kept: np.ndarray) -> tuple[np.ndarray, str]:
    """The markers of the subject seen most, where several subjects have markers of one name; and a note."""
    parts = [file.labels[k].rpartition(":") for k in kept]
    people = sorted({person for person, mark, _ in parts if mark})
    names = [name for _, mark, name in parts if mark]
    if len(people) < 2 or len(set(names)) == len(names):
        return kept, ""
    seen = np.isfinite(file.positions[:, kept]).all(-1).sum(0)
    count = {who: int(sum(n for n, (person, _, _) in zip(seen, parts) if person == who)) for who in people}
    chosen = max(people, key=lambda who: count[who])
    mine = [person == chosen or not mark for person, mark, _ in parts]
    return kept[mine], f"of the subjects {', '.join(people)} of the file {chosen} is kept"


def _segments(path: Path, file: C3dFile, options: ReadOptions) -> MotionSet:
    """The rotations of the segments in space; where a matrix is no rotation, NaN."""
    world = nearest_rotations(file.matrices[..., :3, :3])
    origins = np.where(np.isfinite(world[..., :1, 0]), file.matrices[..., :3, 3], np.nan)
    scale, note = metres_per_unit(path, file.unit, origins, options)
    names = [
        re.sub(r"_4x4$", "", name, flags=re.IGNORECASE) or f"segment {k + 1}" for k, name in enumerate(file.segments)
    ]
    motions = one_recording(
        path,
        replace(options, value=options.value or "rotations"),
        positions=origins * scale,
        world=world,
        joints=plain_names(names),
        rate=file.matrix_rate,
        scale=scale,
        default_up=file.up or "z",
    )
    return replace(motions, notes=(*motions.notes, "matrices of segments", *((note,) if note else ())))


def _groups(parameters: dict[str, Any]) -> list[str]:
    """Parameters that list what is computed from markers: the usual ones, those of TYPE_GROUPS, their second halves."""
    named = [name.strip() for name in _texts(parameters.get("TYPE_GROUPS"))]
    kinds = {*_OUTPUTS, *(name for name in named if name and "UNIT" not in name and "MARKER" not in name)}
    return [key for key in parameters if key.rstrip("0123456789") in kinds]


def _texts(value: Any) -> tuple[str, ...]:
    """The texts of a parameter; () of one that holds anything else."""
    values = value if isinstance(value, list | tuple) else np.ravel(value).tolist() if value is not None else []
    return tuple(text for text in values if isinstance(text, str))


def _number(value: Any) -> float | None:
    """The first number of a parameter, if it is a positive one."""
    found = [] if value is None else np.ravel(value).tolist()
    return float(found[0]) if found and isinstance(found[0], int | float) and 0 < found[0] < np.inf else None


def _labels(parameters: dict[str, Any], count: int) -> tuple[str, ...]:
    """Labels, "" where there is none; from the 256th on they are in LABELS2, LABELS3, ..."""
    keys = [key for key in ["LABELS"] + [f"LABELS{i}" for i in range(2, 100)] if key in parameters]
    names = [name.strip() for key in keys for name in _texts(parameters[key])]
    return tuple((names + [""] * count)[:count])
