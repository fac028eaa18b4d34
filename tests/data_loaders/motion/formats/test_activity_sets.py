"""Published sets of inertial sensors in their own folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion, splits
from mvnet.data_loaders.motion.inertial import integrate_gyroscope

RATES = np.random.default_rng(0).normal(size=(6, 128, 3)).round(6)


def uci_har(folder: Path) -> Path:
    """Four windows to train with, two to test; the gyroscope alone."""
    for side, part in (("train", slice(4)), ("test", slice(4, 6))):
        signals = folder / side / "Inertial Signals"
        signals.mkdir(parents=True)
        for k, axis in enumerate("xyz"):
            np.savetxt(signals / f"body_gyro_{axis}_{side}.txt", RATES[part, :, k], fmt="%.7e")
        np.savetxt(folder / side / f"y_{side}.txt", np.arange(6)[part] % 2 + 1, fmt="%d")
        np.savetxt(folder / side / f"subject_{side}.txt", np.arange(6)[part], fmt="%d")
    (folder / "activity_labels.txt").write_text("1 WALKING\n2 LAYING\n")
    return folder


def test_uci_har(tmp_path: Path) -> None:
    folder = uci_har(tmp_path / "UCI HAR Dataset")
    found = load_motion(folder)
    np.testing.assert_allclose(np.stack(found.sequences), RATES)
    assert found.classes == ("WALKING", "LAYING") and found.require_labels().tolist() == [0, 1, 0, 1, 0, 1]
    assert found.rate == 50 and [split.train.tolist() for split in splits(found)] == [[0, 1, 2, 3]]
    turned = load_motion(tmp_path, value="rotations")  # the folder above
    expected = integrate_gyroscope(RATES[2], np.arange(128) / 50)
    np.testing.assert_allclose(turned.sequences[2][:, 0], expected, atol=1e-9)
    (folder / "train/y_train.txt").write_text("1\n2\n")
    with pytest.raises(DataError, match="found 4 windows, 2 and 4 labels and subjects"):
        load_motion(folder)


def test_uci_har_that_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("1\n")
    with pytest.raises(DataError, match=r"found no train/y_train\.txt"):
        load_motion(tmp_path, "uci-har")
    folder = uci_har(tmp_path / "a")
    (folder / "activity_labels.txt").unlink()
    assert load_motion(folder).classes == ("1", "2")
    for file in (folder / "train/Inertial Signals").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="found no files in train/Inertial Signals"):
        load_motion(folder, "uci-har")


def pamap2(path: Path, runs: list[tuple[int, int]]) -> np.ndarray:
    """runs: activity and number of rows. Returns the rows (n, 54)."""
    count = sum(length for _, length in runs)
    rows = np.random.default_rng(1).normal(size=(count, 54)).round(4)
    rows[:, 0], rows[:, 1] = np.arange(count) / 100, np.concatenate([[a] * length for a, length in runs])
    rows[::11, 2] = np.nan
    np.savetxt(path, rows, fmt="%.4f")
    return rows


def test_pamap2(tmp_path: Path) -> None:
    """Windows of one activity; whoever lies between is nobody's."""
    (tmp_path / "Protocol").mkdir()
    rows = pamap2(tmp_path / "Protocol/subject101.dat", [(0, 100), (4, 1100), (0, 30), (24, 600)])
    pamap2(tmp_path / "Protocol/subject102.dat", [(4, 520)])
    found = load_motion(tmp_path / "Protocol/subject101.dat")
    assert found.lengths.tolist() == [512] * 3 and found.classes == ("rope jumping", "walking")
    np.testing.assert_allclose(found.sequences[0][:, :6], rows[100:612][:, [4, 5, 6, 10, 11, 12]])
    assert found.rate == 100 and found.width == 27 and "chest acc x (m/s^2)" in (found.channels or ())
    both = load_motion(tmp_path / "Protocol")
    assert both.classes == ("rope jumping", "walking") and both.require_subjects().tolist() == ["101"] * 3 + ["102"]
    pamap2(tmp_path / "subject9.dat", [(0, 20), (4, 100)])
    with pytest.raises(DataError, match="found no window of 512 rows"):
        load_motion(tmp_path / "subject9.dat")
