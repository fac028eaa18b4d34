"""How motions are read for a run: as those of its training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mvnet.apps.activity import reading
from mvnet.apps.activity.card import Trained
from mvnet.apps.activity.reading import Given, read
from mvnet.data_loaders.motion import MotionSet, ReadOptions, save_motion
from mvnet.data_loaders.motion.skeleton.vertical import guess_vertical
from mvnet.data_loaders.motion.turning import turn
from tests.apps.activity.fakes import bodies, standing


@pytest.fixture
def lying(monkeypatch, tmp_path):
    """A file, y up, of a body that lies along z, whose vertical axis is guessed wrong."""
    path = save_motion(bodies(), tmp_path / "a.npz")
    raw = bodies(standing())  # its head is along z of the file
    guess = guess_vertical(raw.sequences[0])
    assert guess.axis == "z"
    monkeypatch.setattr(
        reading, "load_motion", lambda *a, **k: replace(raw, vertical=guess, notes=(guess.note, "more"))
    )
    return path, raw


def test_a_guess_gives_way_to_the_axis_of_the_training(lying) -> None:
    path, raw = lying
    found, read_as = read(path, Given(), Trained("positions", read_as="npz", up="y"))
    np.testing.assert_allclose(found.sequences[0], turn(raw, "z", "y").sequences[0])
    assert found.notes == ("up: y (as in the training, although the body extends farthest along z)", "more")
    assert read_as == "npz" and found.vertical is not None and found.vertical.axis == "y"
    for trained in (None, Trained("positions", read_as="npz", up="z"), Trained("positions", read_as="trc", up="y")):
        np.testing.assert_array_equal(read(path, Given(), trained)[0].sequences[0], raw.sequences[0])


def test_options_of_another_format_are_not_used_and_that_is_said(tmp_path) -> None:
    path = save_motion(MotionSet([standing()]), tmp_path / "a.npz")
    options = ReadOptions(up="y", scale=0.01)
    same, other = (read(path, Given(), Trained(options=options, read_as=name))[0] for name in ("npz", "bvh"))
    assert same.notes == ("up: y (as asked)", "0.01 metres per unit")
    assert other.notes == ("--scale 0.01 --up y of the training not used: npz is another format than bvh",)
    asked = read(path, Given(up="x"), Trained(options=options, read_as="npz"))[0]
    assert asked.notes[0] == "up: x (as asked)"
