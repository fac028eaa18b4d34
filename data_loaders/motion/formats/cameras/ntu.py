"""Skeleton files of NTU RGB+D: a count of frames; per frame a count of bodies; per body 10 values, 25 joints of 12.

SsssCcccPpppRrrrAaaa.skeleton names setup, camera, person, repetition and action. Frames may hold nobody, and so may
whole files. What the sensor takes for bodies, chairs and tables among them, is chosen from by `bodies`; actions of two
people have the joints of both, the one who moves more first.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion.formats.cameras.bodies import SECOND, Body, people
from mvnet.data_loaders.motion.formats.cameras.kinect import world
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS
from mvnet.data_loaders.text_files import head_lines

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.IGNORECASE)
_MUTUAL = frozenset(range(50, 61)) | frozenset(range(106, 121))
"""Actions of two people, by the authors' list."""
_HEAD, _VALUES = 10, 12  # of a body, of a joint
_EMPTY = 50  # frames for each in which somebody is seen, at most
_LAYOUT = LAYOUTS["kinect-25"]
_JOINTS = len(_LAYOUT.joints)


def is_ntu(path: Path) -> bool:
    """A count of frames, frames of 0 bodies, then a count of bodies and 10 values; of a .skeleton, such a count."""
    lines = [line.split() for line in head_lines(path, 4096)]
    if not lines or len(lines[0]) != 1 or not lines[0][0].isdigit():
        return False
    first = next((k for k, words in enumerate(lines) if k and words != ["0"]), len(lines))
    if first >= len(lines) - 1:
        return path.suffix.lower() == ".skeleton"
    return len(lines[first]) == 1 and lines[first][0].isdigit() and len(lines[first + 1]) == _HEAD


def read_ntu(path: Path, options: ReadOptions) -> MotionSet:
    """One recording in metres with class and subject from its name; frames without its body are NaN.

    Source: Shahroudy et al., NTU RGB+D, CVPR 2016; Liu et al., IEEE TPAMI 42 (2020), for actions from 61 on.

    Raises:
        DataError: truncated, another number of joints, nobody in any frame.
    """
    tracks, frames = _tracks(path)
    if not tracks:
        raise DataError(f"{path}: found nobody in {frames} frames, expected at least one body")
    match = _NAME.search(path.stem)
    mutual = match is not None and int(match[5]) in _MUTUAL
    chosen = people(tracks, 2 if mutual else 1)
    most = max(len(body.frames) for body in chosen)
    if frames > _EMPTY * most + 1000:
        raise DataError(f"{path}: found somebody in {most} of {frames} frames, expected at least one of {_EMPTY}")
    notes = ["turned from y up to z up"]
    if len(tracks) > len(chosen):
        notes.append("of several bodies those that people explain are kept: bones of constant length, frames tracked")
    if mutual:
        both = "the joints of both, the one who moves more first" if len(chosen) == 2 else "one person only"
        notes.append(f"found in actions of two people: {both}")
    joints = _LAYOUT.joints + tuple(f"{SECOND} {name}" for name in _LAYOUT.joints if len(chosen) == 2)
    return MotionSet(
        [np.concatenate([world(body.in_all(frames), options.scale or 1.0) for body in chosen], axis=1)],
        labels=np.zeros(1, dtype=np.int64) if match else None,
        classes=(str(int(match[5])),) if match else (),
        subjects=np.array([int(match[3])]) if match else None,
        parent=_LAYOUT.parents() if len(chosen) == 1 else None,
        names=(path.stem,),
        joints=joints,
        rate=options.rate or 30.0,
        source=str(path),
        notes=tuple(notes),
    )


def _tracks(path: Path) -> tuple[list[Body], int]:
    """What the sensor followed under one number each, and the number of frames."""
    words = path.read_text(encoding="utf-8-sig").split()
    size = _HEAD + 1 + _JOINTS * _VALUES  # of a body

    def count(place: int, what: str, most: int) -> int:
        word = words[place] if place < len(words) else "the end of the file"
        if not word.isdigit() or int(word) > most:
            raise DataError(f"{path}: value {place + 1}: found {word}, expected {what} of at most {most}")
        return int(word)

    frames, place = count(0, "a number of frames", len(words)), 1
    seen: dict[str, list[int]] = {}
    starts: dict[str, list[int]] = {}
    for frame in range(frames):
        bodies, place = count(place, "a number of bodies", len(words) // size + 1), place + 1
        for _ in range(bodies):
            joints = count(place + _HEAD, "a number of joints", len(words))
            if joints != _JOINTS:
                raise DataError(f"{path}: frame {frame + 1}: found {joints} joints, expected {_JOINTS}")
            if place + size > len(words):
                found = f"the end of the file in frame {frame + 1}"
                raise DataError(f"{path}: found {found}, expected {_VALUES} values for each of {_JOINTS} joints")
            seen.setdefault(words[place], []).append(frame)
            starts.setdefault(words[place], []).append(place + _HEAD + 1)
            place += size
    return [_body(path, words, seen[name], starts[name]) for name in seen], frames


def _body(path: Path, words: list[str], seen: list[int], starts: list[int]) -> Body:
    """The first three values of every joint."""
    joints = range(0, _JOINTS * _VALUES, _VALUES)
    picked = [word for k in starts for j in joints for word in words[k + j : k + j + 3]]
    try:
        values = np.array(picked, dtype=np.float64).reshape(-1, _JOINTS, 3)
    except ValueError as error:
        raise DataError(f"{path}: found no number ({error}), expected numbers") from error
    return Body(np.array(seen), np.where(np.isfinite(values), values, np.nan), _LAYOUT.parents())
