"""Motions in every format, folders of classes, and files of splits."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import default_rng

from benchmarks.faults.case import Input, Kind
from mvnet.data_loaders.motion import MotionSet, load_motion, save_motion, splits
from mvnet.data_loaders.motion.editing import Recording, open_recording
from tests.data_loaders.motion.files import bvh, trc
from tests.data_loaders.motion.formats.test_activity_sets import pamap2, uci_har
from tests.data_loaders.motion.formats.test_amass import OLD as SMPL
from tests.data_loaders.motion.formats.test_c3d import write as write_c3d
from tests.data_loaders.motion.formats.test_imu import HEADER, RATES, STAMPED, TURNS, table, ts_line
from tests.data_loaders.motion.formats.test_landmarks import PARTS, long_rows
from tests.data_loaders.motion.formats.test_opensim import HEAD as STO_HEAD
from tests.data_loaders.motion.formats.test_opensim import QUATERNIONS
from tests.data_loaders.motion.formats.test_opensim import write as write_sto
from tests.data_loaders.motion.formats.test_poses import alphapose, mmpose, openpose, st_gcn, two_people
from tests.data_loaders.motion.test_recording import write_acclaim
from tests.data_loaders.motion.test_skeleton import msr_text, ntu_text, sensor

_FLORENCE = "\n".join(
    " ".join(f"{v:g}" for v in (1, 1 + i % 2, 2, *(1000 * sensor(9, 15)[i]).ravel())) for i in range(9)
)
_GYROSCOPE = table([np.arange(20) * 0.01, RATES], ["Time (s)", *(f"Gyroscope {a} (deg/s)" for a in "XYZ")])
_BVH = bvh(default_rng(0).uniform(-170, 170, size=(4, 12)))
_TRC = trc(default_rng(0).uniform(100, 900, size=(4, 3, 3)))
_QUATERNIONS = table([np.arange(20) / 50, TURNS.as_quat()], ["Time (s)", "x", "y", "z", "w"])

_DATES = "time,activity,gyr_x,gyr_y,gyr_z\n" + "\n".join(
    f"2024-01-05T10:00:0{k}.5,walk,{','.join(map(str, RATES[k]))}" for k in range(9)
)
_LANDMARKS = table(
    [np.arange(5) / 10, sensor(5, 4).reshape(5, 12)], ["time", *(f"{p}_{a}" for p in PARTS + ("toe",) for a in "xyz")]
)


def _motion_set() -> MotionSet:
    motions = [sensor(5, 4, seed) for seed in range(4)]
    return MotionSet(motions, labels=np.array([0, 1, 0, 1]), classes=("a", "b"), subjects=np.array([1, 2, 3, 4]))


def _text(name: str, text: str, **options: Any) -> Input:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return Input(make, partial(load_motion, **options))


def _neutral(folder: Path) -> Path:
    return save_motion(_motion_set(), folder / "a.npz")


def _one_array(folder: Path) -> Path:
    x = default_rng(0).normal(size=(4, 6, 3))
    np.savez(folder / "x.npz", X_train=x, y_train=np.arange(4) % 2, X_test=x, y_test=np.arange(4) % 2)
    return folder / "x.npz"


def _released_arrays(folder: Path) -> Path:
    np.savez(folder / "real_world_coordinates.npz", a01_s01_e01=sensor(3, 4), a02_s02_e01=sensor(3, 4))
    return folder


def _released(folder: Path) -> Path:
    from scipy.io import savemat

    cells = np.empty((2, 1), dtype=object)
    for i in range(2):
        cells[i, 0] = {"original_skeletal_data": sensor(3, 4, i).T, "subject": i + 1, "action": i + 1}
    savemat(folder / "skeletal_data.mat", {"skeletal_data": cells})
    savemat(folder / "tr_te_splits.mat", {"tr_subjects": np.array([[1], [2]])})
    savemat(
        folder / "body_model.mat", {"body_model": {"bones": np.array([[1, 2], [2, 3], [3, 4]]), "hip_center_index": 1}}
    )
    return folder


def _archive(folder: Path) -> Path:
    (folder / "T_TRAIN.ts").write_text(HEADER + ts_line(RATES, "Sit") + ts_line(RATES[:7], "Run"))
    (folder / "T_TEST.ts").write_text(HEADER + ts_line(-RATES, "Run"))
    return folder


def _c3d(folder: Path) -> Path:
    import ezc3d

    file = ezc3d.c3d()
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file["parameters"]["POINT"]["RATE"]["value"] = [100]
    file["parameters"]["POINT"]["LABELS"]["value"] = ["LASI", "RASI", "SACR"]
    file["data"]["points"] = default_rng(0).uniform(100, 900, size=(4, 3, 5))
    file.write(str(folder / "a.c3d"))
    return folder / "a.c3d"


def _segments(folder: Path) -> Path:
    """The table of a long recording."""
    save_motion(MotionSet([sensor(30, 4)], rate=10.0), folder / "s01.npz")
    (folder / "segments.csv").write_text("file,start,stop,label,subject\ns01.npz,0,1.5,walk,1\ns01.npz,1.5,3,sit,1\n")
    return folder / "segments.csv"


def _segments_of_bodies(folder: Path) -> Path:
    matrices = np.zeros((5, 2, 4, 4))
    matrices[..., :3, :3], matrices[..., 3, 3] = np.eye(3), 1
    return write_c3d(folder / "b.c3d", np.zeros((5, 0, 3)), [], matrices=matrices)


def _frames(folder: Path) -> Path:
    return openpose(folder / "clip", [[x] for x in sensor(4, 5)[..., :2]])


def _json(folder: Path, content: Any) -> Path:
    (folder / "a.json").write_text(json.dumps(content))
    return folder / "a.json"


def _pickle(folder: Path) -> Path:
    (folder / "a.pkl").write_bytes(pickle.dumps(two_people()))
    return folder / "a.pkl"


def _orientations(folder: Path) -> Path:
    return write_sto(folder / "a.sto", STO_HEAD, ["pelvis_imu", "torso_imu"], QUATERNIONS, np.arange(5) / 30)


def _smpl(folder: Path) -> Path:
    np.savez(folder / "a_poses.npz", **SMPL)
    return folder / "a_poses.npz"


def _pamap2(folder: Path) -> Path:
    pamap2(folder / "subject101.dat", [(0, 5), (4, 520)])
    return folder / "subject101.dat"


def _classes(folder: Path) -> Path:
    for name in ("walk/a", "run/b"):
        (folder / name).parent.mkdir()
        (folder / f"{name}.csv").write_text(table([TURNS.as_quat()], ["x", "y", "z", "w"]))
    (folder / "subjects.csv").write_text("walk/a.csv,1\nrun/b.csv,2\n")
    return folder


def _splits(name: str, text: str) -> Input:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return Input(make, lambda path: splits(_motion_set(), path))


def motions_hold(motions: MotionSet) -> str:
    """Values finite or missing, rotations orthogonal, a finite positive rate, times that grow, labels of classes."""
    for sequence in motions.sequences:
        if np.isinf(sequence).any():
            return "infinite values"
        if motions.kind == "rotations":
            whole = sequence[np.isfinite(sequence).all((-1, -2))]
            if whole.size and abs(whole @ np.swapaxes(whole, -1, -2) - np.eye(3)).max() > 1e-4:
                return "rotations that are none"
    if motions.rate is not None and not 0 < motions.rate < np.inf:
        return f"a rate of {motions.rate}"
    for times in motions.timestamps or ():
        if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
            return "times that do not grow"
    return ""


def recordings_hold(recording: Recording) -> str:
    """Values finite where seen, rotations orthogonal, every joint seen, a finite positive rate."""
    for curves in recording.curves:
        known = curves.values[curves.seen]
        if not np.isfinite(known).all():
            return "values that are not finite where seen"
        if curves.is_rotations and abs(known @ np.swapaxes(known, -1, -2) - np.eye(3)).max(initial=0) > 1e-4:
            return "rotations that are none"
        if not curves.seen.any(0).all():
            return "a joint that is never seen"
    if recording.rate is not None and not 0 < recording.rate < np.inf:
        return f"a rate of {recording.rate}"
    return ""


def splits_hold(found: Any) -> str:
    """Training and test sequences that exist and are disjoint."""
    for split in found:
        both = [*split.train, *split.test]
        if len(set(both)) != len(both) or not set(both) <= set(range(4)) or not len(split.train):
            return "sequences of a split that do not exist, or are on both sides"
    return ""


def _kind(inputs: dict[str, Input], holds: Callable[[Any], str] = motions_hold) -> Kind:
    return Kind(inputs, holds)


NPZ = _kind(
    {
        "neutral": Input(_neutral, load_motion),
        "release": Input(_released_arrays, load_motion),
        "arrays": Input(_one_array, load_motion),
    }
)
MATLAB = _kind({"release": Input(_released, load_motion)})
ARCHIVE = _kind(
    {
        "ts": Input(_archive, partial(load_motion, value="rotations", gyroscope=(0, 1, 2), unit="rad/s", rate=10)),
        "stamped": _text("s.ts", STAMPED + "(0,1),(1,2),(3,5):(0,2),(1,?),(3,0):(0,1),(1,0),(3,1):Sit\n"),
    }
)
BVH = _kind({"bvh": _text("a.bvh", _BVH)})
TRC = _kind({"trc": _text("a.trc", _TRC)})
EDITED = _kind(
    {
        "bvh": Input(_text("a.bvh", _BVH).make, open_recording),
        "trc": Input(_text("a.trc", _TRC).make, open_recording),
        "npz": Input(_neutral, open_recording),
    },
    recordings_hold,
)
ACCLAIM = _kind({"amc": Input(write_acclaim, load_motion)})
C3D = _kind({"c3d": Input(_c3d, load_motion), "segments of bodies": Input(_segments_of_bodies, load_motion)})
SENSORS = _kind(
    {
        "dates": _text("d.csv", _DATES),
        "quaternions": _text("q.csv", _QUATERNIONS),
        "rates": _text("g.csv", _GYROSCOPE, value="rotations"),
        "signals": _text("g.csv", _GYROSCOPE),
    }
)
KINECT = _kind(
    {
        "ntu": _text("S001C002P013R001A055.skeleton", ntu_text([{"72057": j, "72058": -j} for j in sensor(3, 25)])),
        "msr": _text("a04_s07_e02_skeleton3D.txt", msr_text(sensor())),
        "florence": _text("world.txt", _FLORENCE),
    }
)
POSES = _kind(
    {
        "openpose": Input(_frames, load_motion),
        "pose-json": Input(lambda folder: _json(folder, mmpose(sensor(4, 5)[..., :2])), load_motion),
        "alphapose": Input(lambda folder: _json(folder, alphapose(sensor(4, 5)[..., :2])), load_motion),
        "st-gcn": Input(lambda folder: _json(folder, st_gcn(sensor(4, 5)[..., :2])), load_motion),
        "pose-pickle": Input(_pickle, load_motion),
        "landmarks": _text("l.csv", _LANDMARKS),
        "long-table": _text("r.csv", long_rows("frame", people=2)),
    }
)
OPENSIM = _kind({"opensim": Input(_orientations, load_motion)})
BODIES = _kind({"amass": Input(_smpl, load_motion)})
ACTIVITIES = _kind({"uci-har": Input(lambda f: uci_har(f / "h"), load_motion), "pamap2": Input(_pamap2, load_motion)})
CLASSES = _kind({"classes": Input(_classes, load_motion), "segments": Input(_segments, load_motion)})
SPLITS = _kind(
    {"json": _splits("a.json", json.dumps([[1, 3], [2, 4]])), "csv": _splits("a.csv", "1,3\n2,4\n")}, splits_hold
)
