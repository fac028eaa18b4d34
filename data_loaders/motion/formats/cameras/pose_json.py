"""One JSON file for one video, as detectors of poses write them.

{"instance_info": [{"frame_id": 1, "instances": [{"keypoints": [[x, y], ...], "keypoint_scores": [...]}]}]}   MMPose
[{"image_id": "0001.jpg", "keypoints": [x, y, confidence, ...], "score": 2.9, "idx": 1}, ...]       AlphaPose, COCO
{"data": [{"frame_index": 1, "skeleton": [{"pose": [x, y, ...], "score": [...]}]}], "label": "..."}        ST-GCN
[{"people": [...]}, ...]                                                                    frames of OpenPose
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, reading
from mvnet.data_loaders.motion.formats.cameras.openpose import people_of
from mvnet.data_loaders.motion.formats.cameras.poses import Pose, image_plane, layout_of, one_person, pose_of
from mvnet.data_loaders.motion.motion_set import MotionSet
from mvnet.data_loaders.motion.options import ReadOptions

_WORDS = re.compile(r'"(keypoints|instance_info|instances|skeleton|people)"')


def is_pose_json(path: Path) -> bool:
    """A .json that names keypoints, instances, people or a skeleton in its beginning."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with open(path, "rb") as file:
        head = file.read(65536).decode("utf-8", "replace")
    return head.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") and _WORDS.search(head) is not None


def read_pose_json(path: Path, options: ReadOptions) -> MotionSet:
    """Positions of one person in the image (frames, joints, 2); the label of the file, if it has one.

    Raises:
        DataError: damaged, another layout, positions in space, nobody in any frame.
    """
    with reading(path, "JSON"):
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        frames, label = _frames(content), content.get("label") if isinstance(content, dict) else None
    if frames is None:
        raise DataError(f"{path}: found JSON of another layout, expected that of MMPose, AlphaPose, COCO or ST-GCN")
    positions, notes = one_person(str(path), frames)
    if positions.shape[-1] != 2:
        raise DataError(f"{path}: found poses of {positions.shape[-1]} coordinates, expected 2, those of an image")
    positions, note = image_plane(positions)
    layout = layout_of(positions.shape[1])
    return MotionSet(
        [positions],
        labels=np.zeros(1, dtype=np.int64) if isinstance(label, str) else None,
        classes=(label,) if isinstance(label, str) else (),
        parent=None if layout is None else layout.parents(),
        joints=None if layout is None else layout.joints,
        names=(path.stem,),
        rate=options.rate,
        source=str(path),
        notes=(note, *notes),
    )


def _frames(content: Any) -> dict[int, list[Pose]] | None:
    """Poses by frame; None of another layout."""
    if isinstance(content, dict):
        if "data" in content:
            return {int(frame["frame_index"]): _skeletons(frame) for frame in content["data"]}
        content = content.get("instance_info", content.get("annotations", content.get("frames")))
    if not isinstance(content, list) or not content or not isinstance(content[0], dict):
        return None
    if "instances" in content[0]:
        return {int(frame["frame_id"]): [_instance(one) for one in frame["instances"]] for frame in content}
    if "people" in content[0]:
        return {k: people_of(frame) for k, frame in enumerate(content)}
    return _by_image(content) if "keypoints" in content[0] else None


def _skeletons(frame: dict[str, Any]) -> list[Pose]:
    """Two numbers a joint, and their confidence beside."""
    return [pose_of(np.column_stack((np.reshape(s["pose"], (-1, 2)), s["score"]))) for s in frame["skeleton"]]


def _instance(one: dict[str, Any]) -> Pose:
    points = np.array(one["keypoints"], dtype=np.float64)
    return pose_of(np.column_stack((points, one["keypoint_scores"])), one.get("track_id", one.get("instance_id")))


def _by_image(entries: list[dict[str, Any]]) -> dict[int, list[Pose]]:
    """Frames by the numbers in the names of their images, or in the order of these."""
    names = sorted({str(entry["image_id"]) for entry in entries})
    digits = [re.findall(r"\d+", name) for name in names]
    numbered = all(digits) and len({int(found[-1]) for found in digits}) == len(names)
    place = {name: int(found[-1]) if numbered else k for k, (name, found) in enumerate(zip(names, digits))}
    frames: dict[int, list[Pose]] = {}
    for entry in entries:
        number = entry.get("track_id", entry.get("idx"))
        number = None if isinstance(number, list) else number
        values = np.reshape(np.array(entry["keypoints"], dtype=np.float64), (-1, 3))
        frames.setdefault(place[str(entry["image_id"])], []).append(pose_of(values, number))
    return frames
