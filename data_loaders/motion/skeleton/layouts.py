"""The joints of common skeletons, which their files often do not name: depth sensors, pose detectors, body models.

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


_SMPL = (
    "pelvis< left_hip<pelvis right_hip<pelvis spine1<pelvis left_knee<left_hip right_knee<right_hip spine2<spine1 "
    "left_ankle<left_knee right_ankle<right_knee spine3<spine2 left_foot<left_ankle right_foot<right_ankle "
    "neck<spine3 left_collar<spine3 right_collar<spine3 head<neck left_shoulder<left_collar "
    "right_shoulder<right_collar left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow "
    "right_wrist<right_elbow"
)

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
    "kinect-20-sdk": _layout(
        "hip_center< spine<hip_center shoulder_center<spine head<shoulder_center left_shoulder<shoulder_center "
        "left_elbow<left_shoulder left_wrist<left_elbow left_hand<left_wrist right_shoulder<shoulder_center "
        "right_elbow<right_shoulder right_wrist<right_elbow right_hand<right_wrist left_hip<hip_center "
        "left_knee<left_hip left_ankle<left_knee left_foot<left_ankle right_hip<hip_center right_knee<right_hip "
        "right_ankle<right_knee right_foot<right_ankle"
    ),
    "coco-17": _layout(
        "nose< left_eye<nose right_eye<nose left_ear<left_eye right_ear<right_eye left_shoulder<nose "
        "right_shoulder<nose left_elbow<left_shoulder right_elbow<right_shoulder left_wrist<left_elbow "
        "right_wrist<right_elbow left_hip<left_shoulder right_hip<right_shoulder left_knee<left_hip "
        "right_knee<right_hip left_ankle<left_knee right_ankle<right_knee"
    ),
    "body-25": _layout(
        "nose<neck neck<mid_hip right_shoulder<neck right_elbow<right_shoulder right_wrist<right_elbow "
        "left_shoulder<neck left_elbow<left_shoulder left_wrist<left_elbow mid_hip< right_hip<mid_hip "
        "right_knee<right_hip right_ankle<right_knee left_hip<mid_hip left_knee<left_hip left_ankle<left_knee "
        "right_eye<nose left_eye<nose right_ear<right_eye left_ear<left_eye left_big_toe<left_ankle "
        "left_small_toe<left_big_toe left_heel<left_ankle right_big_toe<right_ankle "
        "right_small_toe<right_big_toe right_heel<right_ankle"
    ),
    "mediapipe-33": _layout(
        "nose< left_eye_inner<nose left_eye<left_eye_inner left_eye_outer<left_eye right_eye_inner<nose "
        "right_eye<right_eye_inner right_eye_outer<right_eye left_ear<left_eye_outer right_ear<right_eye_outer "
        "mouth_left<nose mouth_right<nose left_shoulder<nose right_shoulder<nose left_elbow<left_shoulder "
        "right_elbow<right_shoulder left_wrist<left_elbow right_wrist<right_elbow left_pinky<left_wrist "
        "right_pinky<right_wrist left_index<left_wrist right_index<right_wrist left_thumb<left_wrist "
        "right_thumb<right_wrist left_hip<left_shoulder right_hip<right_shoulder left_knee<left_hip "
        "right_knee<right_hip left_ankle<left_knee right_ankle<right_knee left_heel<left_ankle right_heel<right_ankle "
        "left_foot_index<left_ankle right_foot_index<right_ankle"
    ),
    "smpl-22": _layout(_SMPL),
    "smpl-24": _layout(_SMPL + " left_hand<left_wrist right_hand<right_wrist"),
    "h36m-17": _layout(
        "hip< right_hip<hip right_knee<right_hip right_foot<right_knee left_hip<hip left_knee<left_hip "
        "left_foot<left_knee spine<hip thorax<spine neck<thorax head<neck left_shoulder<thorax "
        "left_elbow<left_shoulder left_wrist<left_elbow right_shoulder<thorax right_elbow<right_shoulder "
        "right_wrist<right_elbow"
    ),
    "cmu-31": _layout(
        "root< lhipjoint<root lfemur<lhipjoint ltibia<lfemur lfoot<ltibia ltoes<lfoot rhipjoint<root rfemur<rhipjoint "
        "rtibia<rfemur rfoot<rtibia rtoes<rfoot lowerback<root upperback<lowerback thorax<upperback "
        "lowerneck<thorax upperneck<lowerneck head<upperneck lclavicle<thorax lhumerus<lclavicle lradius<lhumerus "
        "lwrist<lradius lhand<lwrist lfingers<lhand lthumb<lwrist rclavicle<thorax rhumerus<rclavicle "
        "rradius<rhumerus rwrist<rradius rhand<rwrist rfingers<rhand rthumb<rwrist"
    ),
}
"""By sensor, detector or model and number of joints. Orders: kinect-15 OpenNI and Florence3D, kinect-20 MSR-Action3D,
kinect-20-sdk Kinect 1, kinect-25 Kinect 2 and NTU RGB+D; COCO key points; OpenPose BODY_25; MediaPipe Pose; SMPL
without and with hands; Human3.6M; CMU .asf files."""
