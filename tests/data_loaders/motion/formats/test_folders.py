"""Folders as people keep recordings: who and what the folders stand for, and files that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion
from tests.data_loaders.motion.files import bvh
from tests.data_loaders.motion.formats.test_ntu import person
from tests.data_loaders.motion.test_recording import AMC, ASF
from tests.data_loaders.motion.test_skeleton import ntu_text


def make(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


BVH = bvh(np.ones((2, 12)))


def test_bad_recordings_are_left_out_and_named(tmp_path: Path) -> None:
    """Of many: one without anybody, one cut short. Where nothing is left, the reason is the error."""
    text = ntu_text([{"7": joints} for joints in person(4)])
    names = [f"S001C001P00{p}R001A00{a}.skeleton" for p in (1, 2) for a in (1, 2)]
    make(tmp_path, dict.fromkeys(names, text) | {names[1]: "4\n0\n0\n0\n0\n", names[2]: text[:3000]})
    found = load_motion(tmp_path)
    assert found.names == (names[0][:-9], names[3][:-9]) and found.classes == ("1", "2")
    assert f"left out 2 of 4 recordings: {names[1]} (found nobody in 4 frames" in found.notes[0]
    assert f"; {names[2]} (found the end of the file" in found.notes[0]
    with pytest.raises(DataError, match=r"left\.skeleton: found nobody"):
        load_motion(make(tmp_path / "other", {"left.skeleton": "2\n0\n0\n"}))


def test_hdm05(tmp_path: Path) -> None:
    """HDM_bd.asf belongs to HDM_bd_*.amc, in the folder or above it; the name says who, what and how fast."""
    skeletons = {"HDM_bd.asf": ASF, "HDM_b.asf": "no skeleton", "HDM_bk.asf": ASF.replace("length 8", "length 9")}
    takes = {f"{c}/HDM_{a}_{c}1Reps_001_120.amc": AMC for c in ("walk", "jump") for a in ("bd", "bk")}
    for prefix in ("", "walk/"):
        folder = make(tmp_path / f"x{prefix}", {f"{prefix}{k}": v for k, v in skeletons.items()} | takes)
        if prefix:
            make(folder, {f"jump/{k}": v for k, v in skeletons.items()})
        found = load_motion(folder)
        assert found.classes == ("jump", "walk") and found.rate == 120
        assert found.require_subjects().tolist() == ["bd", "bk", "bd", "bk"]
        legs = [np.linalg.norm(np.diff(s[0, :2], axis=0)) for s in found.sequences]
        np.testing.assert_allclose(np.divide(legs, legs[0]), [1, 9 / 8, 1, 9 / 8])
    flat = load_motion(make(tmp_path / "flat", skeletons | {Path(k).name: v for k, v in takes.items()}))
    assert flat.classes == ("jump1Reps", "walk1Reps")


def test_folders_of_people(tmp_path: Path) -> None:
    """CMU's hold a skeleton of their own name, and no classes; s01/walk is walk."""
    cmu = {f"{s}/{s}.asf": ASF for s in ("07", "12")} | {f"{s}/{s}_0{k}.amc": AMC for s in ("07", "12") for k in (1, 2)}
    found = load_motion(make(tmp_path / "cmu", cmu))
    assert found.labels is None and list(found.require_subjects()) == ["07", "07", "12", "12"]
    nested = load_motion(make(tmp_path / "n", {f"{s}/{c}/a.bvh": BVH for s in ("s01", "P02") for c in ("sit", "run")}))
    assert nested.classes == ("run", "sit") and sorted(nested.require_subjects()) == ["1", "1", "2", "2"]
    wrapped = load_motion(make(tmp_path / "w", {f"subjects/{name}": text for name, text in cmu.items()}))
    assert wrapped.labels is None and len(set(wrapped.require_subjects())) == 2
    inside = load_motion(make(tmp_path / "i", {f"release/{c}/a{k}.bvh": BVH for c in ("sit", "run") for k in (1, 2)}))
    assert inside.classes == ("run", "sit") and "folders in release" in inside.notes[0]
    deeper = load_motion(make(tmp_path / "d", {f"{c}/sub-0{s}/a.bvh": BVH for s in (1, 2) for c in ("sit", "run")}))
    assert deeper.classes == ("run", "sit") and deeper.require_subjects().tolist() == ["1", "2", "1", "2"]
