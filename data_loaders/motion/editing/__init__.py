"""Recordings that are written back in the format they came in, with other values.

recording = open_recording(path)
recording.write(Path("out.bvh"), [new curves])      everything but the numbers stays as it was
"""

from mvnet.data_loaders.motion.editing.recording import Curves, Recording
from mvnet.data_loaders.motion.editing.registry import EDITABLE, open_recording

__all__ = ["EDITABLE", "Curves", "Recording", "open_recording"]
