"""The ensemble of motions: what inner folds choose, the mean of both parts, files."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sklearn")

from mvnet.data_loaders.motion import MotionSet
from mvnet.errors import MvnetError
from mvnet.models.activity.ensemble import MotionEnsemble, choose, load_ensemble, save_ensemble
from mvnet.models.activity.ensemble.choice import inner_folds
from tests.models.activity.test_lie import motion_set
from tests.models.activity.test_programs import ensemble


class Fixed:
    """Probabilities of two classes that are given by the first value of a recording."""

    classes_ = np.array([0, 1])

    def __init__(self, table: dict[int, float]):
        self.table = table

    def predict_proba(self, sequences) -> np.ndarray:
        p = np.array([self.table[int(x[0, 0])] for x in sequences])
        return np.column_stack((1 - p, p))


def recordings(subjects: bool = True) -> MotionSet:
    """Six, of two classes and three subjects, that say their number."""
    sequences = [np.full((2, 1), float(i)) for i in range(6)]
    return MotionSet(sequences, "signals", np.arange(6) % 2, ("a", "b"), np.arange(6) // 2 if subjects else None)


ALTERNATING = {i: float(i % 2) for i in range(6)}


@pytest.mark.parametrize(
    ("kernels", "lie", "name"),
    [
        (ALTERNATING, {**ALTERNATING, 0: 1.0}, "kernels"),
        ({**ALTERNATING, 0: 1.0}, ALTERNATING, "lie"),
        # each is wrong once, and the other is sure there
        (
            {0: 0.6, 1: 0.9, 2: 0.1, 3: 0.9, 4: 0.1, 5: 0.9},
            {0: 0.1, 1: 0.4, 2: 0.1, 3: 0.9, 4: 0.1, 5: 0.9},
            "ensemble",
        ),
        # all are right, the second is the surest
        ({i: 0.3 + 0.4 * (i % 2) for i in range(6)}, {i: 0.1 + 0.8 * (i % 2) for i in range(6)}, "lie"),
    ],
)
def test_the_best_on_subjects_left_out_is_chosen(kernels, lie, name):
    asked: list[MotionSet] = []

    def fit(table):
        return lambda part: asked.append(part) or Fixed(table)

    choice = choose(recordings(), {"kernels": fit(kernels), "lie": fit(lie)})
    assert choice.name == name
    assert choice.accuracy[name] == max(choice.accuracy.values())
    assert name in choice.note and "3 inner folds" in choice.note
    assert {len(part) for part in asked} == {4} and len(asked) == 6


def test_folds_keep_subjects_together_and_few_motions_choose_the_first():
    known = motion_set(18)
    folds = inner_folds(known)
    assert len(folds) == 3
    subjects = np.asarray(known.subjects)
    for train, test in folds:
        assert not set(subjects[train]) & set(subjects[test])
        assert sorted([*train, *test]) == list(range(18))
    assert len(inner_folds(recordings(subjects=False))) == 3
    few = recordings().take(np.array([0, 1]))
    found = choose(
        replace(few, subjects=None), {"kernels": lambda part: Fixed(ALTERNATING), "lie": lambda part: pytest.fail()}
    )
    assert found.name == "kernels" and "too few" in found.note


def test_it_is_the_mean_of_its_parts_and_files_give_the_same(tmp_path):
    both, new = ensemble("positions"), motion_set(6, seed=50).sequences
    shares, known, unknown = both.assess(new)
    parts = [part.assess(new) for part in (both.kernels, both.network)]
    np.testing.assert_allclose(shares, (parts[0][0] + parts[1][0]) / 2)
    np.testing.assert_allclose(known, (parts[0][1] + parts[1][1]) / 2)
    assert (unknown == (known < both.threshold)).all()
    save_ensemble(tmp_path / "activity", both, {"data": "x"})
    assert len(list(tmp_path.iterdir())) == 2
    again, card = load_ensemble(tmp_path / "activity")
    assert card["architecture"] == "MotionEnsemble" and card["data"] == "x"
    for one, other in zip(again.assess(new), (shares, known, unknown)):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_part_that_knows_nothing_of_the_unknown_does_not_count():
    both, new = ensemble("positions"), motion_set(3, seed=50).sequences
    both.network.novelty_ = None
    np.testing.assert_allclose(both.known_probability(new), both.kernels.known_probability(new))
    both.kernels.novelty_ = None
    assert (both.known_probability(new) == 1).all() and not both.is_unknown(new).any()


def test_parts_of_other_classes_are_refused():
    parts = (SimpleNamespace(classes_=np.arange(2)), SimpleNamespace(classes_=np.arange(3)))
    with pytest.raises(MvnetError, match=r"labels: found \[0, 1\] and \[0, 1, 2\], expected the same classes"):
        MotionEnsemble(*parts, 0.5)  # type: ignore[arg-type]
