"""Depth-sensor skeletons, released data sets, folders of classes."""

import numpy as np
import pytest

from mvnet.data_loaders.motion import DataError, load_motion
from mvnet.data_loaders.motion.formats.cameras.matlab import missing_as_nan
from tests.data_loaders.motion.files import bvh


def sensor(frames=6, joints=20, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, size=(frames, joints, 3)).round(4) + [0, 0, 2.5]


def z_up(positions):
    x, y, z = np.moveaxis(positions, -1, 0)
    return np.stack((x, -z, y), axis=-1)


def msr_text(positions):
    return "\n".join(" ".join(f"{v:.4f}" for v in joint) + " 1.0" for frame in positions for joint in frame)


def test_msr_text(tmp_path):
    positions = sensor()
    positions[3] = 0  # nobody
    (tmp_path / "a04_s07_e02_skeleton3D.txt").write_text(msr_text(positions))
    found = load_motion(tmp_path / "a04_s07_e02_skeleton3D.txt")
    np.testing.assert_allclose(found.sequences[0], missing_as_nan(z_up(positions)), atol=1e-12)
    assert np.isnan(found.sequences[0][3]).all() and found.classes == ("4",)
    assert found.subjects is not None and found.subjects.tolist() == [7] and found.width == 20


def test_msr_text_that_cannot_be_used(tmp_path):
    path = tmp_path / "a04_s07_e02_skeleton.txt"
    path.write_text(msr_text(sensor()[:, :19]))
    with pytest.raises(DataError, match="found 114 rows, expected a multiple of 20"):
        load_motion(path)
    path.write_text(msr_text(sensor() * 100))
    with pytest.raises(DataError, match="screen coordinates"):
        load_motion(path)
    path.write_text(msr_text(sensor())[:-4])
    with pytest.raises(DataError, match="found 3 numbers in row 120, expected 4"):
        load_motion(path)


def test_florence_text(tmp_path):
    positions = sensor(9, 15)
    keys = [(1, 1, 2)] * 4 + [(2, 1, 3)] * 3 + [(3, 5, 2)] * 2
    rows = [(*key, *(1000 * frame).ravel()) for key, frame in zip(keys, positions)]
    (tmp_path / "world.txt").write_text("\n".join(" ".join(f"{v:g}" for v in row) for row in rows))
    found = load_motion(tmp_path / "world.txt")
    np.testing.assert_allclose(np.concatenate(found.sequences), z_up(positions), atol=1e-5)
    assert found.lengths.tolist() == [4, 3, 2] and found.classes == ("2", "3")
    assert found.require_labels().tolist() == [0, 1, 0] and found.require_subjects().tolist() == [1, 1, 5]


def ntu_text(bodies):
    """bodies: for each frame {name: (25, 3)}."""
    lines = [str(len(bodies))]
    for frame in bodies:
        lines.append(str(len(frame)))
        for name, joints in frame.items():
            lines += [f"{name} 0 1 1 1 1 0 0.1 -0.2 2", str(len(joints))]
            lines += [" ".join(f"{v:.4f}" for v in (*joint, *range(8), 2)) for joint in joints]
    return "\n".join(lines) + "\n"


def test_ntu_keeps_the_body_that_moves(tmp_path):
    positions = sensor(5, 25)
    still = np.ones((25, 3))
    frames = [{"72057": still, "72058": joints} for joints in positions]
    frames[2] = {"72057": still}  # the one who moves is not seen
    path = tmp_path / "S001C002P013R001A055.skeleton"
    path.write_text(ntu_text(frames))
    found = load_motion(path)
    expected = z_up(positions)
    expected[2] = np.nan
    np.testing.assert_allclose(found.sequences[0], expected, atol=1e-12)
    assert found.classes == ("55",) and found.require_subjects().tolist() == [13] and found.width == 25
    path.write_text(ntu_text(frames)[:-200])
    with pytest.raises(DataError, match="expected 12"):
        load_motion(path)
    path.write_text("2\n0\n0\n")
    with pytest.raises(DataError, match="found nobody in 2 frames"):
        load_motion(path, "ntu")


def class_folders(tmp_path, names=("walk/s01_a", "walk/s02_a", "run/subject01", "run/deep/p2_x")):
    for i, name in enumerate(names):
        path = tmp_path / f"{name}.bvh"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(bvh(np.full((i + 1, 12), 10.0)))
    return tmp_path


def test_one_folder_for_each_class(tmp_path):

    folder = class_folders(tmp_path)
    (folder / "README.txt").write_text("about")
    (folder / "walk/notes.md").write_text("about")
    found = load_motion(folder)
    assert found.classes == ("run", "walk") and found.names == (
        "run/deep/p2_x",
        "run/subject01",
        "walk/s01_a",
        "walk/s02_a",
    )
    assert found.require_labels().tolist() == [0, 0, 1, 1] and found.require_subjects().tolist() == ["2", "1", "1", "2"]
    assert found.lengths.tolist() == [4, 3, 1, 2] and found.parent is not None and found.rate == pytest.approx(50)
    (folder / "subjects.csv").write_text("".join(f"{name}.bvh,anna\n" for name in found.names))
    assert set(load_motion(folder, "bvh").require_subjects()) == {"anna"}
    (folder / "subjects.csv").write_text("walk/s01_a.bvh,anna\n")
    with pytest.raises(DataError, match=r"found no line for run/deep/p2_x\.bvh"):
        load_motion(folder)


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(DataError, match="found an empty folder"):
        load_motion(tmp_path)
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(DataError, match="found no motion files"):
        load_motion(tmp_path)
    folder = class_folders(tmp_path)
    (folder / "sit").mkdir()
    with pytest.raises(DataError, match="sit: found no motion files"):
        load_motion(folder)
    (folder / "sit").rmdir()
    (folder / "s03.bvh").write_text(bvh(np.ones((1, 12))))
    with pytest.raises(DataError, match=r"found s03\.bvh beside class folders"):
        load_motion(folder)
    (folder / "s03.bvh").unlink()
    (folder / "walk/other.bvh").write_text(bvh(np.ones((1, 12)), names=("hips", "belly", "neck")))
    common = load_motion(folder)
    assert common.joints == ("hips", "neck") and "left out 2 joints" in common.notes[0]
    (folder / "walk/other.bvh").write_text("HIERARCHY?")
    (folder / "notes.txt").write_text("not a recording, and beside the folders")
    left = load_motion(folder)
    assert len(left) == 4 and "left out 2 of 6 recordings: notes.txt (found an unknown format" in left.notes[0]
    assert "walk/other.bvh (found an unknown format" in left.notes[0]


def test_unlabelled_folder_has_no_classes(tmp_path):

    found = load_motion(class_folders(tmp_path, ("s01_a", "s02_b")))
    assert found.labels is None and found.require_subjects().tolist() == ["1", "2"]
    with pytest.raises(DataError, match="found no labels"):
        found.require_labels()


def test_released_matlab_files(tmp_path):
    from scipy.io import savemat

    cells = np.empty((3, 1), dtype=object)
    positions = [sensor(4, 15, seed=i) for i in range(2)]
    for i, values in enumerate(positions):
        swapped = np.stack((values[..., 0], values[..., 2], values[..., 1]), -1)
        cells[i, 0] = {"original_skeletal_data": swapped.transpose(2, 1, 0), "subject": i + 1, "action": 2 - i}
    cells[2, 0] = np.empty((0, 0))
    savemat(tmp_path / "skeletal_data.mat", {"skeletal_data": cells})
    savemat(tmp_path / "tr_te_splits.mat", {"tr_subjects": np.array([[1], [2]])})
    found = load_motion(tmp_path)
    np.testing.assert_allclose(np.concatenate(found.sequences), np.concatenate([z_up(p) for p in positions]))
    assert found.classes == ("1", "2") and found.require_labels().tolist() == [1, 0] and found.parent is None
    (tmp_path / "skeletal_data.mat").write_bytes((tmp_path / "skeletal_data.mat").read_bytes()[:300])
    with pytest.raises(DataError, match=r"skeletal_data\.mat: "):
        load_motion(tmp_path)
