"""Tables with named columns of joints: names of many programs, images and space, what goes down."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion
from tests.data_loaders.motion.formats.test_imu import table

PARTS = ("head", "hip", "foot")
BODY = np.array([[0.1, 1.7, 0.2], [0.0, 0.9, 0.1], [0.05, 0.1, 0.15]])
X = BODY + np.random.default_rng(0).normal(scale=0.02, size=(8, 3, 3)).round(4)
Z_UP = np.stack((X[..., 0], -X[..., 2], X[..., 1]), -1)


def write(folder: Path, columns: np.ndarray, names: list[str]) -> Path:
    (folder / "a.csv").write_text(table([columns.reshape(len(columns), -1)], names))
    return folder / "a.csv"


@pytest.mark.parametrize(
    "form",
    ["{}_x", "{}_X", "{}.x", "{} X", "{}X", "{}_position_x(m)", "{}/px", "body:{}_x", "x_{}", "{}_world_pos_x"],
)
def test_names_of_columns(tmp_path: Path, form: str) -> None:
    """With a clock before, which gives the rate, and rotations behind, which are left out."""
    names = [form.replace("x", a).replace("X", a.upper()).format(part) for part in PARTS for a in "xyz"]
    extra = [f"{part}_rotation_x" for part in PARTS]
    columns = np.column_stack((np.arange(8) * 20, X.reshape(8, -1), X[..., 0]))
    found = load_motion(write(tmp_path, columns, ["time_ms", *names, *extra]))
    np.testing.assert_allclose(found.sequences[0], Z_UP, atol=1e-6)
    assert [(name.split("_")[0]) for name in found.joints or ()] == list(PARTS)
    assert found.rate == pytest.approx(50) and any("4 columns left out" in note for note in found.notes)


def test_what_is_not_to_be_trusted_is_missing(tmp_path: Path) -> None:
    trust = np.ones((8, 3, 1))
    trust[2, 1] = 0
    names = [f"{part}_{what}" for part in PARTS for what in ("x", "y", "z", "visibility")]
    found = load_motion(write(tmp_path, np.concatenate((X, trust), -1), names)).sequences[0]
    assert np.argwhere(np.isnan(found).all(-1)).tolist() == [[2, 1]]


def test_axes_that_go_down(tmp_path: Path) -> None:
    """Half a turn about x keeps left and right; as asked it is not made."""
    names = [f"{part}_{a}" for part in PARTS for a in "xyz"]
    path = write(tmp_path, X * [1, -1, -1], names)
    found = load_motion(path)
    np.testing.assert_allclose(found.sequences[0], Z_UP, atol=1e-6)
    assert "y goes down" in found.notes[-1]
    np.testing.assert_allclose(load_motion(path, up="z").sequences[0], X * [1, -1, -1], atol=1e-6)


def test_numbered_joints_of_an_image(tmp_path: Path) -> None:
    x = np.random.default_rng(1).uniform(1, 9, size=(8, 17, 2)).round(3)
    found = load_motion(write(tmp_path, x, [f"{a}{k}" for k in range(17) for a in "xy"]))
    np.testing.assert_allclose(found.sequences[0], x * [1, -1])
    assert found.is_flat and found.joints is not None and found.joints[0] == "nose" and found.parent is not None
    few = load_motion(write(tmp_path, x[:, :5], [f"{a}{k}" for k in range(5) for a in "xy"]))
    assert few.joints is None and few.width == 5


def test_three_lines_of_head(tmp_path: Path) -> None:
    heads = ["scorer" + ",net" * 9, "bodyparts," + ",".join(p for p in PARTS for _ in range(3))]
    heads.append("coords" + ",x,y,likelihood" * 3)
    rows = [",".join([str(k), *(f"{v:.6f}" for v in x.ravel())]) for k, x in enumerate(X)]
    (tmp_path / "a.csv").write_text("\n".join([*heads, *rows]) + "\n")
    found = load_motion(tmp_path / "a.csv")
    np.testing.assert_allclose(found.sequences[0], X[..., :2] * [1, -1], atol=1e-6)
    assert found.joints == PARTS


def test_tables_of_other_things(tmp_path: Path) -> None:
    for names in (["acc_x", "acc_y", "gyr_x", "gyr_y", "mag_x", "mag_y"], [f"{a}_{b}" for a in "ab" for b in "xyz"]):
        path = write(tmp_path, np.ones((4, len(names))), names)
        with pytest.raises(DataError, match="unknown format") if names[0] == "a_x" else nullcontext():
            assert load_motion(path).kind == "signals"
    turns = [f"s{k}_{axis}" for k in range(3) for axis in "wxyz"]
    with pytest.raises(DataError, match="unknown format"):
        load_motion(write(tmp_path, np.ones((4, 12)), turns))
    with pytest.raises(DataError, match="found no columns JOINT_x and JOINT_y"):
        load_motion(write(tmp_path, np.ones((4, 2)), ["a", "b"]), "landmarks")


def long_rows(clock: str, people: int = 1) -> str:
    """Joints in another order in every frame; of a second person only the first frame; the third frame is not there."""
    lines = [f"{clock},person_id,landmark_name,x,y,z,visibility"]
    for k in (0, 1, 3, 4):
        for j in np.roll(range(3), k):
            stamp = k if clock == "frame" else f"{k * 0.02:.2f}" if clock == "time" else k * 20
            lines.append(f"{stamp},0,{PARTS[j]}," + ",".join(f"{v:.4f}" for v in X[k, j]) + f",{int((k, j) != (4, 1))}")
    lines += [f"0,{p},{PARTS[0]},1,2,3,1" for p in range(1, people)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("clock", ["frame", "time", "timestamp"])
def test_a_row_for_every_joint(tmp_path: Path, clock: str) -> None:
    (tmp_path / "a.csv").write_text(long_rows(clock, people=2))
    found = load_motion(tmp_path / "a.csv")
    frames = [0, 1, 3, 4] if clock == "frame" else [0, 1, 2, 3]
    expected = np.full((frames[-1] + 1, 3, 3), np.nan)
    expected[frames] = Z_UP[[0, 1, 3, 4]]
    expected[-1, 1] = np.nan
    np.testing.assert_allclose(found.sequences[0], expected, atol=1e-4)
    assert found.joints == PARTS and any("of several people" in note for note in found.notes)
    if clock != "frame":
        np.testing.assert_allclose(np.concatenate(found.timestamps or ()), [0, 0.02, 0.06, 0.08], atol=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-9], "line 13: found 6 cells, expected 7|could not convert"),
        (lambda text: text.replace("4,0,", "400000,0,"), "expected a recording"),
        (lambda text: text + "".join(f"{k},0,j{k},1,2,3,1\n" for k in range(100)), "expected most of them in every"),
        (lambda text: text.replace("head,", "head,a"), "found truncated or damaged"),
        (lambda text: text.partition("\n")[0] + "\n", "found 0 rows"),
    ],
)
def test_damaged_rows(tmp_path: Path, change, words: str) -> None:
    (tmp_path / "a.csv").write_text(change(long_rows("frame")))
    with pytest.raises(DataError, match=words):
        load_motion(tmp_path / "a.csv")


def test_left_handed_axes_are_turned_round(tmp_path: Path) -> None:
    """Positions px beside quaternions qx, in metres: x is negated, quaternions are left out, and both are said."""
    names = [f"{part}_{what}" for part in PARTS for what in ("px", "py", "pz", "qx", "qy", "qz", "qw")]
    columns = np.concatenate((X * [-1, 1, 1], np.ones((8, 3, 4))), axis=2)
    found = load_motion(write(tmp_path, columns, names))
    np.testing.assert_allclose(found.sequences[0], Z_UP, atol=1e-6)
    assert found.joints == PARTS and "left-handed" in found.notes[-1] and any("12 columns" in n for n in found.notes)


def test_an_image_beside_positions_in_space(tmp_path: Path) -> None:
    names = [f"{part}_{what}" for part in PARTS for what in ("X", "Y", "Z", "2D_X", "2D_Y", "State")]
    found = load_motion(write(tmp_path, np.concatenate((X, 9 * X), axis=2), names))
    np.testing.assert_allclose(found.sequences[0], Z_UP, atol=1e-6)
    assert found.joints == PARTS


@pytest.mark.parametrize("form", ["lm_{}_{}", "{1}{0}", "landmark_{0:02d}_{1}"])
def test_numbers_of_mediapipe(tmp_path: Path, form: str) -> None:
    """33 joints have names, whatever their order in the file; the nose above the ankles tells what goes down."""
    x = np.random.default_rng(2).uniform(0.4, 0.6, size=(5, 33, 3)).round(3)
    x[:, 0, 1], x[:, 27:29, 1] = 0.1, 0.9
    order = np.random.default_rng(3).permutation(33)
    first = form == "{1}{0}"  # counted from 1
    found = load_motion(write(tmp_path, x[:, order], [form.format(k + first, a) for k in order for a in "xyz"]))
    np.testing.assert_allclose(found.sequences[0], np.stack((x[..., 0], x[..., 2], -x[..., 1]), -1), atol=1e-9)
    assert found.joints is not None and found.joints[27] == "left_ankle" and found.parent is not None
