"""Recordings of several files as one set, and skeletons with one pair of limbs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import MotionSet, load_motion
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.data_loaders.motion.recording import combine, one_recording
from mvnet.data_loaders.motion.skeleton.torso import find_torso

LEGS = np.array([-1, 0, 1, 2, 1, 4, 0, 6])
"""0 head, 1 hip, legs 2-3 and 4-5, and what hangs at the head: 6-7."""


def signals(frames: int, **known) -> MotionSet:
    return MotionSet([np.zeros((frames, 2))], "signals", source=f"of {frames} frames", **known)


def test_times_of_parts_with_and_without_times() -> None:
    uneven = np.array([0.0, 0.5, 2.0])
    parts = [signals(3, timestamps=(uneven,)), signals(2, rate=4.0)]
    found = combine(parts, "both")
    assert found.rate is None and found.timestamps is not None
    np.testing.assert_array_equal(found.timestamps[0], uneven)
    np.testing.assert_array_equal(found.timestamps[1], [0, 0.25])
    assert combine([*parts, signals(2)], "all").timestamps is None


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (MotionSet([np.zeros((3, 4))], "signals", source="b"), "b: found signals of 4 joints or channels"),
        (MotionSet([np.zeros((3, 2))], "signals", channels=("x", "y"), source="b"), "b: found the names x, y"),
    ],
)
def test_parts_that_do_not_agree(other, words) -> None:
    with pytest.raises(DataError, match=words):
        combine([signals(3), other], "both")


@pytest.mark.parametrize(("world", "offered"), [(None, "positions"), (np.zeros((2, 3, 3, 3)), "positions, rotations")])
def test_values_that_a_recording_does_not_have(world, offered) -> None:
    with pytest.raises(DataError, match=f"value: found 'signals', expected {offered}"):
        one_recording(Path("a"), ReadOptions(value="signals"), positions=np.zeros((2, 3, 3)), world=world)


def walker() -> np.ndarray:
    """(frames, 8, 3), z up: two legs, and something above them."""
    body = np.array(
        [[0, 0, 2], [0, 0, 1], [0.2, 0, 1], [0.2, 0, 0], [-0.2, 0, 1], [-0.2, 0, 0], [0, 0, 2.3], [0, 0, 2.6]]
    )
    return body + np.random.default_rng(0).normal(scale=0.01, size=(5, 8, 3))


def test_one_pair_of_limbs_and_the_trunk() -> None:
    torso = find_torso(LEGS, [walker()])
    assert set(torso.low) == {2, 4} and torso.high == (0, 0)


def test_limbs_at_the_root() -> None:
    """The trunk is the largest other branch there; without one the pairs are to be given."""
    parent = np.array([-1, 0, 1, 0, 3, 0, 5])
    body = np.array([[0, 0, 1], [0.2, 0, 1], [0.2, 0, 0], [-0.2, 0, 1], [-0.2, 0, 0], [0, 0, 2], [0, 0.1, 2.9]])
    torso = find_torso(parent, [body[None] + np.zeros((3, 1, 1))])
    assert set(torso.low) == {1, 3} and torso.high == (5, 5)
    with pytest.raises(DataError, match="two limbs and no trunk"):
        find_torso(parent[:5], [body[None, :5]])


def test_no_limbs_alike() -> None:
    with pytest.raises(DataError, match="no two limbs alike"):
        find_torso(np.array([-1, 0, 1]), [walker()[:, :3]])


def test_text_that_is_no_archive(tmp_path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(DataError, match=r"a\.npz"):
        load_motion(tmp_path / "a.npz", "npz")
