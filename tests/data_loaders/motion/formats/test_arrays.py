"""All motions in one array: which axis is time, labels, published splits; signals that lie the other way round."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion, splits
from mvnet.data_loaders.motion.formats.sensors.channels_first import frames_first
from mvnet.models.activity.classifier import MotionClassifier

X = np.random.default_rng(0).normal(size=(6, 40, 9)).astype(np.float32)
Y = np.array(["b", "a", "b", "a", "b", "a"])


def load(folder: Path, **arrays):
    np.savez(folder / "a.npz", **arrays)
    return load_motion(folder / "a.npz")


@pytest.mark.parametrize("turned", [False, True])
def test_time_is_the_longer_axis_and_said(tmp_path: Path, turned: bool) -> None:
    found = load(tmp_path, X=X.swapaxes(1, 2) if turned else X, y=Y, groups=np.arange(6))
    np.testing.assert_array_equal(np.stack(found.sequences), X)
    assert found.classes == ("a", "b") and found.require_labels().tolist() == [1, 0, 1, 0, 1, 0]
    assert found.require_subjects().tolist() == list(range(6)) and len(found.notes) == 1
    assert ("(n, channels, frames)" in found.notes[0]) == turned


def test_published_split_and_labels_of_ones(tmp_path: Path) -> None:
    ones = np.eye(2)[[1, 0, 1, 0, 1, 0]]
    found = load(tmp_path, x_train=X[:4], y_train=ones[:4], x_test=X[4:], y_test=ones[4:])
    assert found.require_labels().tolist() == [1, 0, 1, 0, 1, 0]
    assert [split.train.tolist() for split in splits(found)] == [[0, 1, 2, 3]]
    assert len(load(tmp_path, X_train=X, y_train=Y)) == 6 and load(tmp_path, X=X).labels is None


def test_joints(tmp_path: Path) -> None:
    joints = X.reshape(6, 40, 3, 3)
    found = load(tmp_path, X=joints[..., :2])
    assert found.kind == "positions" and found.is_flat
    turned = load(tmp_path, X=np.moveaxis(np.concatenate((joints, joints), 2), -1, 1))
    np.testing.assert_array_equal(turned.sequences[0], np.concatenate((joints, joints), 2)[0])
    assert load(tmp_path, data=np.tile(np.eye(3), (6, 40, 2, 1, 1))).kind == "rotations"


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"X": X, "y": Y[:5]}, r"y: found <U1 \(5,\), expected one of each of 6"),
        ({"X": X[0]}, r"X: found float32 \(40, 9\), expected numbers"),
        ({"X": Y[:, None, None]}, "X: found <U1"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, arrays, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load(tmp_path, **arrays)


def test_a_confidence_is_no_coordinate(tmp_path: Path) -> None:
    """x, y and confidence of detectors: in an image, missing where it is 0; metres stay what they are."""
    rng = np.random.default_rng(1)
    pixels = rng.uniform(0, 1000, size=(6, 40, 5, 3))
    pixels[..., 2] = rng.uniform(0.1, 1, size=(6, 40, 5))
    pixels[0, 3, 2, 2] = 0
    for found in (load(tmp_path, seq_0000=pixels[0]), load(tmp_path, X=pixels)):
        assert found.is_flat and "taken as a confidence" in found.notes[0]
        np.testing.assert_allclose(found.sequences[0][4:], pixels[0, 4:, :, :2] * [1, -1])
        assert np.argwhere(np.isnan(found.sequences[0]).all(-1)).tolist() == [[3, 2]]
    assert not load(tmp_path, seq_0000=pixels[0] / [1000, 1000, 1]).is_flat


def test_signals_of_the_neutral_file(tmp_path: Path) -> None:
    """Turned where it is certain: unequal second lengths, names of as many rows; said where it is likely."""
    ragged = {"seq_0000": X[0].T, "seq_0001": X[1, :30].T}
    found = load(tmp_path, **ragged)
    assert found.lengths.tolist() == [40, 30] and "turned from (channels, frames)" in found.notes[0]
    named = load(tmp_path, seq_0000=X[0].T, channel=np.array([f"c{k}" for k in range(9)]))
    np.testing.assert_array_equal(named.sequences[0], X[0])
    likely = load(tmp_path, seq_0000=X[0].T, seq_0001=X[1].T)
    assert likely.lengths.tolist() == [9, 9] and "turn them round" in likely.notes[0]
    clocks = load(tmp_path, seq_0000=X[0, :, :3], channel=np.array(["acc", "timestamp_ms", "gyr"]))
    assert clocks.channels == ("acc", "gyr") and "timestamp_ms" in clocks.notes[0]
    assert load(tmp_path, seq_0000=X[0]).notes == () and frames_first([X[0], X[1, :30]])[1] == ""


def test_arrays_given_to_the_classifier() -> None:
    """The layout (n, channels, frames) is taken as it is, and said; (n, frames, channels) is not."""
    classifier = MotionClassifier(filters=50)
    with pytest.warns(UserWarning, match=r"X: signals of 9 frames and 40 channels: if these are \(channels, frames\)"):
        classifier.fit(X.swapaxes(1, 2), Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        classifier.fit(X, Y)
