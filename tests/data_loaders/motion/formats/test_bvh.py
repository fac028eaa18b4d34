"""BVH as programs write it: six channels a joint, prefixes, roots that stay, other numbers of blanks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion
from mvnet.data_loaders.motion.formats.joint_names import plain_names
from tests.data_loaders.motion.files import bvh

FRAMES = np.random.default_rng(0).uniform(-60, 60, size=(4, 12))
OFFSETS = np.array([[1.0, 20, 0], [0, 15, -2]])


def six_channels(shift: np.ndarray) -> str:
    """The chain of three joints, every joint with positions (4, 2, 3) before its angles."""
    head, _, _ = bvh(FRAMES).partition("Frame Time: 0.02\n")
    head = head.replace("CHANNELS 3 ", "CHANNELS 6 Xposition Yposition Zposition ")
    rows = [np.concatenate((f[:6], s[0], f[6:9], s[1], f[9:])) for f, s in zip(FRAMES, shift)]
    return head + "Frame Time: 0.02\n" + "\n".join(" ".join(f"{v:.6f}" for v in row) for row in rows) + "\n"


def read(folder: Path, text: str) -> np.ndarray:
    (folder / "a.bvh").write_text(text)
    return load_motion(folder / "a.bvh", up="z").sequences[0]


def test_positions_of_joints_replace_their_offsets_or_are_added(tmp_path: Path) -> None:
    """Offsets written out, and 0 to be added to them, are what three channels mean; a bone may grow."""
    expected = read(tmp_path, bvh(FRAMES))
    np.testing.assert_allclose(read(tmp_path, six_channels(np.tile(OFFSETS, (4, 1, 1)))), expected, atol=1e-6)
    np.testing.assert_allclose(read(tmp_path, six_channels(np.zeros((4, 2, 3)))), expected, atol=1e-6)
    assert any("additions to their offsets" in note for note in load_motion(tmp_path / "a.bvh").notes)
    grown = read(tmp_path, six_channels(OFFSETS * np.array([1, 2, 1, 1])[:, None, None]))
    lengths = np.linalg.norm(np.diff(grown, axis=1), axis=-1)
    np.testing.assert_allclose(lengths[1], 2 * lengths[0], rtol=1e-5)


def test_a_root_without_positions_stays_at_its_offset(tmp_path: Path) -> None:
    head, _, _ = bvh(FRAMES).partition("Frame Time: 0.02\n")
    head = head.replace("6 Xposition Yposition Zposition ", "3 ").replace("OFFSET 0 0 0", "OFFSET 1 2 3", 1)
    rows = "\n".join(" ".join(map(str, row[3:])) for row in FRAMES)
    found = read(tmp_path, head + "Frame Time: 0.02\n" + rows)
    np.testing.assert_allclose(found[:, 0], np.tile([1.0, 2, 3], (4, 1)))
    np.testing.assert_allclose(found - found[:, :1], (x := read(tmp_path, bvh(FRAMES))) - x[:, :1], atol=1e-4)


def test_what_programs_write_between_the_numbers(tmp_path: Path) -> None:
    expected, text = read(tmp_path, bvh(FRAMES)), bvh(FRAMES)
    for change in (
        text.replace("\n", "\r\n").replace(" ", "\t") + "\r\n \r\n",
        text.replace("\n{", " {").replace("rotation", "ROTATION").replace("End Site", "End site"),
        text.replace("Frame Time:", "Frame Time: ").replace("JOINT chest", "JOINT the chest "),
        text.replace(".", ","),
        text.replace("hips", "MOTION_root"),
    ):
        np.testing.assert_allclose(read(tmp_path, change), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("HIERARCHY\n", "HIERARCHY\nROOT other\n{\nOFFSET 0 0 0\n}\n"), "found 2 roots"),
        (lambda text: text.replace("Xrotation", "Zrotation", 1), "found Zrotation twice"),
        (lambda text: text.replace("0.02", "nan"), "frame time of nan"),
        (lambda text: text.replace("ROOT", "ROOT a\n{\n" * 99 + "JOINT"), "12 channels for 102 joints|3 channels"),
        (lambda text: text.rstrip().rpartition(" ")[0] + " nan\n", "not finite"),
    ],
)
def test_what_is_no_tree_or_no_motion(tmp_path: Path, change, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(tmp_path, change(bvh(FRAMES)))


def test_names_without_prefixes() -> None:
    assert plain_names(["mixamorig1:Hips", "mixamorig1:Spine"]) == ("Hips", "Spine")
    assert plain_names(["mixamorigHips", "mixamorig7_Spine"]) == ("Hips", "Spine")
    assert plain_names(["Armature|S01:Hips", "S01:Spine"]) == ("Hips", "Spine")
    assert plain_names(["A:LASI", "B:LASI"]) == ("A:LASI", "B:LASI")  # two people
    assert plain_names(["Bip01 Pelvis", "Bip01 Spine", "Bip01 Head", "Bip01 Neck"]) == (
        "Pelvis",
        "Spine",
        "Head",
        "Neck",
    )
    assert plain_names(["m_1", "m_2", "m_3", "m_4"]) == ("m_1", "m_2", "m_3", "m_4")
    assert plain_names(["LeftArm", "LeftHand", "LeftLeg", "LeftToe"])[0] == "LeftArm"
    assert plain_names(["toe", "toe", "toe 2", "toe"]) == ("toe", "toe 3", "toe 2", "toe 4")
