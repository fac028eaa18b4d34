"""What names of files say of the data sets that name them alike.

HDM05     HDM_bd_walk2StepsLstart_001_120.amc     actor bd, class, repetition, 120 frames per second
          HDM_bd_01-01_01_120.amc                 a whole session: no class
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvnet.data_loaders.motion.motion_set import MotionSet

_HDM05 = re.compile(r"HDM_(?P<actor>[a-z]{2})_(?P<scene>.+?)_(?P<take>\d{2,3})_(?P<rate>\d{2,3})", re.IGNORECASE)


def named_recording(motions: MotionSet) -> MotionSet:
    """The recording with class, subject and rate as its file is named; as it is without such a name."""
    match = _HDM05.fullmatch(Path(motions.source).stem)
    if match is None:
        return motions
    whole = len(match["take"]) < 3  # a session of many actions
    return replace(
        motions,
        subjects=np.array([match["actor"].lower()]),
        labels=None if whole else np.zeros(1, dtype=np.int64),
        classes=() if whole else (match["scene"],),
        rate=motions.rate or float(match["rate"]),
    )
