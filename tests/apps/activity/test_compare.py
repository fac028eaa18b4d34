"""Motions compared with those of a run: joints by name, trees, bodies; the card that tells them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mvnet.apps.activity.card import Trained
from mvnet.apps.activity.compare import align
from mvnet.apps.common.errors import UserError
from mvnet.data_loaders.motion import MotionSet, ReadOptions
from mvnet.data_loaders.motion.stand_in import StandIn
from tests.apps.activity.fakes import NAMES, PARENT, POSE, bodies, standing

ORDER = np.array([4, 2, 0, 6, 1, 3, 5])


def trained(motions: MotionSet, declared: bool = True, options: ReadOptions | None = None) -> Trained:
    return Trained.on(motions, declared, StandIn.fit(motions), options or ReadOptions(), "npz")


def shuffled(**known) -> MotionSet:
    parent = np.array([-1 if PARENT[i] < 0 else list(ORDER).index(PARENT[i]) for i in ORDER])
    return bodies(standing()[:, ORDER], **({"joints": tuple(NAMES[i] for i in ORDER), "parent": parent} | known))


def test_joints_are_put_in_order_by_name() -> None:
    found = align(shuffled(), trained(bodies()))
    np.testing.assert_array_equal(found.sequences[0], standing())
    assert found.joints == NAMES and found.notes == ("joints put in the order of the run, by name",)
    same = align(bodies(), trained(bodies()))
    assert not same.notes
    spelled = align(shuffled(joints=tuple(NAMES[i].upper().replace("_", " ") for i in ORDER)), trained(bodies()))
    np.testing.assert_array_equal(spelled.sequences[0], standing())


def test_joints_that_are_missing_or_more() -> None:
    with pytest.raises(UserError, match=r"found no joints left_foot, right_foot among hips, .* expected the 7 joints"):
        align(bodies(standing()[:, :5], joints=NAMES[:5], parent=PARENT[:5]), trained(bodies()))
    more = np.concatenate((standing(), standing()[:, :1]), 1)
    found = align(bodies(more, joints=(*NAMES, "tail"), parent=np.append(PARENT, 0)), trained(bodies()))
    assert found.width == 7 and found.notes == ("left out 1 joints that the run does not know: tail",)


def test_joints_without_names() -> None:
    unnamed = bodies(joints=None)
    assert not align(unnamed, trained(unnamed)).notes
    assert "only the run has names" in align(unnamed, trained(bodies())).notes[0]
    with pytest.raises(UserError, match="found another tree, joint 0 below 4"):
        align(shuffled(joints=None), trained(unnamed))
    with pytest.raises(UserError, match="found 6 joints, expected the 7 of the run"):
        align(bodies(standing()[:, :6], joints=None, parent=None), trained(unnamed))
    assert "another shape" in align(shuffled(joints=None, parent=None), trained(unnamed)).notes[0]


def test_another_vertical_axis_is_said() -> None:
    y_up = standing() @ np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    found = align(bodies(y_up), trained(bodies()))
    assert found.notes == (
        "the bodies stand along y, those of the training along z: give --up y if it is the vertical",
    )


def test_another_kind_is_refused() -> None:
    signals = MotionSet([np.zeros((5, 7))], "signals", channels=NAMES)
    with pytest.raises(UserError, match="found signals, expected positions"):
        align(signals, trained(bodies()))
    flat = bodies(standing()[..., ::2])
    with pytest.raises(UserError, match="found positions in an image, expected positions in space"):
        align(flat, trained(bodies()))
    assert align(flat, trained(flat)).is_flat and align(signals, trained(signals)).kind == "signals"


def test_a_card_tells_what_was_trained_on(tmp_path) -> None:
    before = trained(bodies(), options=ReadOptions(up="y", gyroscope=(3, 4, 5)))
    after = Trained.of({"motions": json.loads(json.dumps(before.entries()))}, tmp_path)
    assert (after.kind, after.names, after.options, after.read_as) == ("positions", NAMES, before.options, "npz")
    assert after.pose is not None and before.pose is not None and after.parent is not None
    np.testing.assert_allclose(after.pose, before.pose, atol=1e-6)
    np.testing.assert_array_equal(after.parent, PARENT)
    flat = Trained.of({"kind": "poses", "motions": trained(bodies(standing()[..., ::2])).entries()}, tmp_path)
    assert flat.kind == "positions" and flat.pose is not None and flat.pose.shape == (7, 2)


def test_a_run_of_an_older_version_compares_nothing() -> None:
    assert "older version" in align(bodies(), Trained.of({"kind": "positions"}, Path("run"))).notes[0]


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("kind", "poses"), ("pose", [[0, 0]]), ("pose", "x"), ("pose", [[0, 0, None]] * 7), ("names", ["a"]),
        ("names", [1] * 7), ("parent", [0, 0]), ("parent", [7] * 7), ("options", {"up": "w"}), ("options", {"fly": 1}),
        ("options", 3), ("read_as", 3), ("names", ...),
    ],
)  # fmt: skip
def test_a_card_that_no_training_wrote_is_one_line(entry, value) -> None:
    card = {**trained(bodies()).entries(), entry: value}
    if value is ...:
        del card[entry]
    with pytest.raises(UserError, match=r"run: found a card whose motions cannot be read") as raised:
        Trained.of({"motions": card}, Path("run"))
    assert "\n" not in str(raised.value) and POSE.shape == (7, 3)
