"""OpenPose and what writes like it: one JSON a frame, with the people in it.

    NAME_000000000012_keypoints.json, or any name that ends in a number where the file begins with people

    {"people": [{"person_id": [-1], "pose_keypoints_2d": [x, y, confidence, ...], "pose_keypoints_3d": [...]}]}

The frames of one NAME in one folder are one recording: a folder of them, or any file among them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.cameras.poses import Pose, image_plane, layout_of, one_person, pose_of
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.skeleton.tree import Y_UP_TO_Z_UP

_FRAME = re.compile(r"(?P<name>.*?)[_.-]?(?P<number>\d+)(?P<sure>_keypoints)?\.json", re.IGNORECASE)


def is_openpose(path: Path) -> bool:
    """A frame by its name and its beginning, or a folder with such files."""
    if path.is_dir():
        return any(_frame(file) for file in sorted(path.glob("*.json"))[:2])
    return path.is_file() and _frame(path) is not None


def _frame(file: Path) -> re.Match[str] | None:
    """The parts of the name of a frame; None of other files."""
    match = _FRAME.fullmatch(file.name)
    if match is None or match["sure"]:
        return match
    with open(file, "rb") as opened:
        head = opened.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    return match if head[:1] == b"{" and b'"people"' in head else None


def first_frames(files: Iterable[Path]) -> list[Path]:
    """The files without those that are later frames of a recording."""
    kept: dict[tuple[Path, str], Path] = {}
    for file in files:
        match = _frame(file) if file.suffix.lower() == ".json" else None
        kept.setdefault((file.parent, f"{match['name']}_" if match else file.name), file)
    return list(kept.values())


def recording_of(file: Path) -> Path:
    """The path without its ending; that of a frame also without the number, which leaves its folder if nothing else."""
    match = _frame(file) if file.suffix.lower() == ".json" else None
    return file.with_suffix("") if match is None else file.parent / match["name"]


def read_openpose(path: Path, options: ReadOptions) -> MotionSet:
    """Positions in the image (frames, joints, 2), or in space where the frames hold them, y up in the file.

    Raises:
        DataError: a frame that is damaged, nobody in any frame, other numbers of joints in some.
    """
    folder = path if path.is_dir() else path.parent
    names: dict[str, dict[int, Path]] = {}
    for file in sorted(folder.glob("*.json")):
        match = _frame(file)
        if match is not None:
            names.setdefault(match["name"], {})[int(match["number"])] = file
    if path.is_file():
        match = _frame(path)
        if match is None:
            raise DataError(f"{path}: found no frame with people in it, expected NAME_000000000000_keypoints.json")
        names = {match["name"]: names[match["name"]]}
    found = [one_person(str(path), {k: _people(file) for k, file in frames.items()}) for frames in names.values()]
    sequences, notes = [positions for positions, _ in found], [note for _, notes in found for note in notes]
    flat = sequences[0].shape[-1] == 2
    if flat:
        sequences, note = [image_plane(positions)[0] for positions in sequences], image_plane(np.zeros(2))[1]
    else:
        sequences, note = [x @ Y_UP_TO_Z_UP.T * (options.scale or 1.0) for x in sequences], "turned from y up to z up"
    layout = layout_of(sequences[0].shape[1])
    return MotionSet(
        sequences,
        parent=None if layout is None else layout.parents(),
        joints=None if layout is None else layout.joints,
        names=tuple(name or folder.name for name in names) if path.is_dir() else (next(iter(names)) or folder.name,),
        rate=options.rate,
        source=str(path),
        notes=tuple(dict.fromkeys([note, *notes])),
    )


def _people(file: Path) -> list[Pose]:
    """The people of a frame."""
    with reading(file, "JSON"):
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        return people_of(content)


def people_of(content: dict[str, Any]) -> list[Pose]:
    """The people of a frame as parsed; positions in space where there are any."""
    poses = []
    for person in content["people"]:
        space = np.array(person.get("pose_keypoints_3d") or [], dtype=np.float64).reshape(-1, 4)
        plane = np.array(person.get("pose_keypoints_2d") or person.get("pose_keypoints") or [], dtype=np.float64)
        number = np.ravel(person.get("person_id", -1)).tolist()
        values = space if len(space) else plane.reshape(-1, 3)
        if len(values):
            poses.append(pose_of(values, number[0] if number else None))
    return poses
