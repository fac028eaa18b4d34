"""The joints of common depth-sensor skeletons, which their text files do not name.

`parent` is counted from 0, -1 at the root. A new layout is one entry of `LAYOUTS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SkeletonLayout:
    """joints: names in the order of the file. parent: index of the joint above each."""

    joints: tuple[str, ...]
    parent: tuple[int, ...]

    def parents(self) -> np.ndarray:
        """(joints,) int64."""
        return np.array(self.parent, dtype=np.int64)


def _layout(tree: str) -> SkeletonLayout:
    """From "joint<parent" in the order of the file; "joint<" is the root."""
    pairs = [entry.split("<") for entry in tree.split()]
    names = [name for name, _ in pairs]
    return SkeletonLayout(tuple(names), tuple(names.index(above) if above else -1 for _, above in pairs))


LAYOUTS = {
    "kinect-15": _layout(
        "head<neck neck<spine spine< left_shoulder<neck left_elbow<left_shoulder left_wrist<left_elbow "
        "right_shoulder<neck right_elbow<right_shoulder right_wrist<right_elbow left_hip<spine left_knee<left_hip "
        "left_ankle<left_knee right_hip<spine right_knee<right_hip right_ankle<right_knee"
    ),
    "kinect-20": _layout(
        "left_shoulder<neck right_shoulder<neck neck<spine spine<hip_center left_hip<hip_center right_hip<hip_center "
        "hip_center< left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow "
        "right_wrist<right_elbow left_hand<left_wrist right_hand<right_wrist left_knee<left_hip right_knee<right_hip "
        "left_ankle<left_knee right_ankle<right_knee left_foot<left_ankle right_foot<right_ankle head<neck"
    ),
    "kinect-25": _layout(
        "spine_base< spine_mid<spine_base neck<spine_shoulder head<neck left_shoulder<spine_shoulder "
        "left_elbow<left_shoulder left_wrist<left_elbow left_hand<left_wrist right_shoulder<spine_shoulder "
        "right_elbow<right_shoulder right_wrist<right_elbow right_hand<right_wrist left_hip<spine_base "
        "left_knee<left_hip left_ankle<left_knee left_foot<left_ankle right_hip<spine_base right_knee<right_hip "
        "right_ankle<right_knee right_foot<right_ankle spine_shoulder<spine_mid left_hand_tip<left_hand "
        "left_thumb<left_hand right_hand_tip<right_hand right_thumb<right_hand"
    ),
}
"""By sensor and number of joints: the order of OpenNI / Florence3D, of MSR-Action3D, of Kinect 2 / NTU RGB+D."""
