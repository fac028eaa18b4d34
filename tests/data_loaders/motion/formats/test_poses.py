"""Poses of detectors: frames of OpenPose, JSON of others, pickles that may not run anything."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import MotionSet, load_motion, splits

X = np.random.default_rng(0).uniform(100, 900, size=(6, 17, 2)).round(2)
UP = X * [1, -1]
DRIFT = X[:1] + 5 * np.arange(6)[:, None, None]


def flat(x: np.ndarray, confidence: float = 0.9) -> list[float]:
    return np.column_stack((x, np.full(len(x), confidence))).ravel().tolist()


def openpose(folder: Path, people: list[list[np.ndarray]], name: str = "cam_", start: int = 0) -> Path:
    """people: for each frame the poses in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, poses in enumerate(people, start):
        content = {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": flat(x)} for x in poses]}
        (folder / f"{name}{k:012d}_keypoints.json").write_text(json.dumps(content))
    return folder


def test_frames_are_a_recording(tmp_path: Path) -> None:
    """y goes up, confidence 0 is missing, frames that are not there too; any frame stands for all."""
    folder = openpose(tmp_path / "a", [[x] for x in X], start=7)
    frame = sorted(folder.iterdir())[2]
    frame.write_text(frame.read_text().replace("0.9", "0.0", 1))
    sorted(folder.iterdir())[4].unlink()
    expected = UP.copy()
    expected[2, 0], expected[4] = np.nan, np.nan
    for path in (folder, frame):
        found = load_motion(path)
        np.testing.assert_allclose(found.sequences[0], expected)
        assert found.is_flat and found.joints is not None and found.joints[0] == "nose" and found.names == ("cam",)
    openpose(folder, [[x] for x in X], name="other_")
    assert load_motion(folder).names == ("cam", "other")
    for file in folder.glob("other*"):
        file.rename(folder / file.name.replace("_keypoints", ""))  # what else writes people
    assert load_motion(folder).names == ("cam", "other")


def test_one_person_of_several(tmp_path: Path) -> None:
    """Followed from frame to frame, whatever their order; who is seen most and largest counts."""
    small, passer = DRIFT / 10 + 2000, DRIFT + 3000
    frames = [[small[k], DRIFT[k]] if k % 2 else [DRIFT[k], small[k]] for k in range(6)]
    frames[3].append(passer[3])
    found = load_motion(openpose(tmp_path / "a", frames))
    np.testing.assert_allclose(found.sequences[0], DRIFT * [1, -1])
    assert "of several people" in found.notes[1]
    with pytest.raises(DataError, match="found nobody in 2 frames"):
        load_motion(openpose(tmp_path / "b", [[], []]))
    with pytest.raises(DataError, match="found poses of shapes"):
        load_motion(openpose(tmp_path / "c", [[DRIFT[0]], [DRIFT[1, :9]]]))
    (tmp_path / "a" / "cam_900000000000_keypoints.json").write_text('{"people": []}')
    with pytest.raises(DataError, match="numbers up to 900000000001 apart"):
        load_motion(tmp_path / "a")


def test_folders_of_frames(tmp_path: Path) -> None:
    """Class folders of recordings, and a folder of recordings without classes."""
    for name in ("wave/s01_a", "wave/s02_a", "kick/s01_a", "kick/s02_b"):
        openpose(tmp_path / "d" / name, [[x] for x in X])
    found = load_motion(tmp_path / "d")
    assert found.classes == ("kick", "wave") and found.require_subjects().tolist() == ["1", "2", "1", "2"]
    assert len(found) == 4 and found.names[0] == "kick/s01_a/cam" and set(found.lengths) == {6}
    assert load_motion(tmp_path / "d" / "wave").labels is None


def mmpose(x: np.ndarray) -> Any:
    one = [{"keypoints": p.tolist(), "keypoint_scores": [0.9] * len(p)} for p in x]
    return {"meta_info": {}, "instance_info": [{"frame_id": k, "instances": [i]} for k, i in enumerate(one, 1)]}


def alphapose(x: np.ndarray) -> Any:
    return [{"image_id": f"{k}.jpg", "keypoints": flat(p), "score": 2.0, "idx": 1} for k, p in enumerate(x)]


def st_gcn(x: np.ndarray) -> Any:
    one = [{"pose": p.ravel().tolist(), "score": [0.5] * len(p)} for p in x]
    return {
        "data": [{"frame_index": k, "skeleton": [i]} for k, i in enumerate(one, 1)],
        "label": "wave",
        "label_index": 3,
    }


def frames(x: np.ndarray) -> Any:
    return [{"people": [{"pose_keypoints_2d": flat(p)}]} for p in x]


LAYOUTS = {"mmpose": mmpose, "alphapose": alphapose, "st_gcn": st_gcn, "frames": frames}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_file_for_a_video(tmp_path: Path, layout: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(LAYOUTS[layout](X)))
    found = load_motion(tmp_path / "a.json")
    np.testing.assert_allclose(found.sequences[0], UP)
    assert found.classes == (("wave",) if layout == "st_gcn" else ())
    (tmp_path / "a.json").write_text(json.dumps(LAYOUTS[layout](X))[:-30])
    with pytest.raises(DataError, match=r"a\.json: found truncated or damaged"):
        load_motion(tmp_path / "a.json")


def two_people() -> dict[str, Any]:
    """Two people in every one; the second is surer. The fourth holds nobody."""
    entries = []
    for k in range(4):
        both = np.stack((X + 7, X + k)).astype(np.float16)
        scores = np.stack((np.full((6, 17), 0.3), np.full((6, 17), 0.8 * (k < 3)))) * (k < 3)
        entries.append(
            {"frame_dir": f"S001C001P00{k}R001A001", "label": k % 2, "keypoint": both, "keypoint_score": scores}
        )
    train, test = ([e["frame_dir"] for e in part] for part in (entries[::2], entries[1::2]))
    return {
        "split": {"xsub_train": train, "xsub_val": test, "odd_train": train[:1], "odd_val": test},
        "annotations": entries,
    }


def read_pickle(folder: Path, content: Any, protocol: int = 4) -> MotionSet:
    (folder / "a.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    return load_motion(folder / "a.pkl")


def test_a_pickle_of_python_2(tmp_path: Path) -> None:
    """Where the bytes of an array are a text: opcode T, of the protocols of then."""
    x = np.arange(1.0, 7.0).reshape(1, 3, 2)
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01K\x01K\x03K\x02\x87" + dtype + b"\x89T\x30\x00\x00\x00" + x.tobytes() + b"tb"
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02](U\x08keypoint".replace(b"](", b"]}") + array + state + b"sa.")
    np.testing.assert_allclose(load_motion(tmp_path / "a.pkl").sequences[0], x * [1, -1])


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_pickles_of_toolboxes(tmp_path: Path, protocol: int) -> None:
    found = read_pickle(tmp_path, two_people(), protocol)
    expected = (X + 2).astype(np.float16).astype(float) * [1, -1]
    np.testing.assert_allclose(found.sequences[2], expected)
    assert found.require_labels().tolist() == [0, 1, 0] and found.require_subjects().tolist() == [0, 1, 2]
    assert [split.train.tolist() for split in splits(found)] == [[0, 2]]
    said = " ".join(found.notes)
    assert "left out 1 annotations" in said and "S001C001P003R001A001" in said and "split odd_train left out" in said


class Harm:
    """What runs a command when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.target),)


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    content = two_people()
    content["annotations"][0]["label"] = Harm(tmp_path / "harm")
    with pytest.raises(DataError, match=r"a\.pkl: found .*mkdir, which is neither array, list"):
        read_pickle(tmp_path, content)
    assert not (tmp_path / "harm").exists()
    for code in (b"\x80\x04cbuiltins\neval\n.", b"\x80\x04\x8c\x01aQ.", b"\x80\x04Nr\xff\xff\xff\x7f."):
        (tmp_path / "a.pkl").write_bytes(code)
        with pytest.raises(DataError, match=r"a\.pkl: found"):
            load_motion(tmp_path / "a.pkl")


@pytest.mark.parametrize("joints", [17, 25])
def test_pickles_of_poses_in_space(tmp_path: Path, joints: int) -> None:
    x = np.random.default_rng(1).normal(size=(1, 6, joints, 3)).astype(np.float32)
    turned = read_pickle(tmp_path, [{"keypoint": x}])
    a, b, c = np.moveaxis(x[0], -1, 0)
    np.testing.assert_allclose(turned.sequences[0], np.stack((a, -c, b), -1), atol=1e-6)
    assert "turned from y up to z up" in turned.notes and turned.width == joints
    plain = load_motion(tmp_path / "a.pkl", up="z", scale=0.5)
    np.testing.assert_allclose(plain.sequences[0], x[0] / 2, atol=1e-6)


def test_frames_of_openpose_in_space(tmp_path: Path) -> None:
    x = np.random.default_rng(2).normal(size=(3, 17, 3)).round(3)
    for k in range(3):
        rows = flat(x[k])
        (tmp_path / f"a_{k:012d}_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints_3d": rows}]}))
    found = load_motion(tmp_path, scale=2.0)
    np.testing.assert_allclose(found.sequences[0], 2 * np.stack((x[..., 0], -x[..., 2], x[..., 1]), -1))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match="found no frame with people in it"):
        load_motion(tmp_path / "other.json", "openpose")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"bbox": [1, 2]}], "found JSON of another layout"),
        ([], "found JSON of another layout"),
        ([{"image_id": "1.jpg", "keypoints": [1.0] * 68, "score": 1}], "found poses of 3|expected"),
    ],
)
def test_other_json(tmp_path: Path, content: Any, words: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=words):
        load_motion(tmp_path / "a.json", "pose-json")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "found no annotations with keypoint"),
        ([{"keypoint": np.zeros((2, 3))}], r"keypoint: found float64 \(2, 3\)"),
        ([{"keypoint": X, "keypoint_score": X}], r"keypoint_score: found \(1, 6, 17, 2\)|keypoint_score: found"),
        ([{"keypoint": 0 * X}], "found nobody in 1 annotations"),
        ([{"keypoint": X[..., :1]}], "keypoint: found"),
        ([{"keypoint": np.array([None, 1])}], "keypoint: found object"),
    ],
)
def test_other_pickles(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_pickle(tmp_path, content)
