"""Recordings of different skeletons as one set: joints by name, the common ones."""

from __future__ import annotations

import numpy as np
import pytest

from mvnet.data_loaders.motion import DataError, MotionSet
from mvnet.data_loaders.motion.recording import combine

NAMES = ("hips", "chest", "neck", "hand", "foot", "toe")
PARENT = np.array([-1, 0, 1, 2, 0, 4])


def part(names, source="a", **known) -> MotionSet:
    """Two frames in which every joint lies at the place of its name in NAMES, or at -1."""
    values = np.array([NAMES.index(name) if name in NAMES else -1 for name in names], dtype=float)
    return MotionSet([np.tile(values[:, None], (2, 1, 3))], joints=tuple(names), source=source, **known)


def test_joints_are_put_in_order_and_reduced_to_the_common_ones() -> None:
    first, shuffled = part(NAMES, parent=PARENT), part(NAMES[::-1], parent=np.array([1, 5, 3, 4, 5, -1]))
    without = part([n for n in NAMES if n != "chest"], parent=np.array([-1, 0, 1, 0, 3]))
    whole = combine([first, shuffled, without], "all")
    assert whole.joints == ("hips", "neck", "hand", "foot", "toe")
    for sequence in whole.sequences:
        np.testing.assert_array_equal(sequence[0, :, 0], [0, 2, 3, 4, 5])
    assert whole.parent is not None and whole.parent.tolist() == [-1, 0, 1, 0, 3]
    assert "left out 1 joints that not every recording has: chest" in whole.notes[0]
    assert "in the order of the first, by name" in whole.notes[1]


def test_a_recording_of_another_kind_or_skeleton_is_left_out() -> None:
    good = [part(NAMES), part(NAMES), part(NAMES)]
    signals = MotionSet([np.zeros((2, 6))], "signals", source="watch.csv")
    horse = part(["mane", "tail", "hips", "hoof"], "horse.bvh")
    whole = combine([*good, signals, horse], "all")
    assert len(whole) == 3 and whole.joints == NAMES
    assert [note.split(":")[0] for note in whole.notes] == ["left out watch.csv", "left out horse.bvh"]
    with pytest.raises(DataError, match=r"horse\.bvh: found .* expected .* as in a"):
        combine([part(NAMES), horse], "both")


def test_parts_without_a_common_root_hang_on_the_first() -> None:
    """Where the joint above all others is left out, what hung on it hangs on the first of them."""
    first = part(NAMES, parent=PARENT)
    without = part(NAMES[1:], parent=np.array([-1, 0, 1, 0, 3]))
    whole = combine([first, without], "all")
    assert whole.joints == NAMES[1:] and whole.parent is not None
    assert whole.parent.tolist() == [-1, 0, 1, 0, 3]


def test_a_name_that_comes_twice() -> None:
    twice = [part(("hips", "toe", "toe")), part(("toe", "hips", "toe"))]
    whole = combine(twice, "all")
    np.testing.assert_array_equal(whole.sequences[1][0, :, 0], [0, 5, 5])


def test_trees_that_differ_are_left_out_and_said() -> None:
    whole = combine([part(NAMES, parent=PARENT), part(NAMES)], "all")
    assert whole.parent is None and "trees of joints left out" in whole.notes[0]
