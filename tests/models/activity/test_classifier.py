"""The classifier of motions: interface of scikit-learn, invariances, bad inputs, files, real data."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.model_selection import LeaveOneGroupOut, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from mvnet.models.activity.classifier import MotionClassifier
from mvnet.models.activity.novelty import rank_quality
from mvnet.models.activity.serialization import load_classifier, save_classifier
from tests.models.activity.test_kernels import PARENT, recording, turned


def motions(n: int = 18, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """n recordings of unequal length: the left hand, the right hand or a foot waves; 3 subjects."""
    labels, subjects = np.arange(n) % 3, np.arange(n) // 3 % 3
    sequences = []
    for i, label in enumerate(labels):
        x = recording(seed + i, frames=10 + i % 5, wave=0.0)
        sequence = x.numpy()
        sequence[:, (4, 6, 8)[label], 2] += (2 + 0.2 * subjects[i]) * np.sin(np.linspace(0, 7, len(sequence)))
        sequences.append(sequence)
    return sequences, labels, subjects


def classifier(**options) -> MotionClassifier:
    return MotionClassifier(**{"parent": PARENT.numpy(), "mirror": False, "filters": 250} | options)


ROUNDING = {"check_methods_subset_invariance": "kernels are float32: scores of a subset agree to 1e-3, not to 1e-7"}


@parametrize_with_checks([MotionClassifier(filters=84)], expected_failed_checks=lambda _: ROUNDING)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_learns_and_gives_probabilities():
    sequences, labels, subjects = motions()
    fitted = classifier().fit(sequences, np.array(["left", "right", "foot"])[labels], groups=subjects)
    others, truth, _ = motions(seed=50)
    assert (fitted.predict(others) == np.array(["left", "right", "foot"])[truth]).all()
    probabilities = fitted.predict_proba(others)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert probabilities.min() >= 0


def test_hands_are_one_class_where_mirror_images_are():
    sequences, labels, subjects = motions()
    left = labels != 1
    fitted = classifier(mirror=True).fit([s for s, k in zip(sequences, left) if k], labels[left], subjects[left])
    assert (fitted.predict([s for s, y in zip(sequences, labels) if y == 1]) == 0).all()


def test_does_not_see_place_size_direction_or_missing_frames():
    sequences, labels, subjects = motions()
    fitted = classifier().fit(sequences, labels, subjects)
    import torch

    moved = [1.7 * turned(torch.from_numpy(s), 2.0).numpy() + [5.0, 1.0, -0.3] for s in sequences]
    np.testing.assert_allclose(fitted.decision_function(moved), fitted.decision_function(sequences), atol=1e-3)
    for s in moved:
        s[4] = np.nan
        s[6, 3] = np.nan
    assert (fitted.predict(moved) == labels).mean() > 0.9


def test_works_in_a_pipeline_and_in_cross_validation():
    sequences, labels, subjects = motions()
    stretched = FunctionTransformer(lambda X: [2 * x for x in X])
    scores = cross_val_score(
        make_pipeline(stretched, classifier()), sequences, labels, groups=subjects, cv=LeaveOneGroupOut()
    )
    assert scores.mean() > 0.9


@pytest.mark.parametrize("shape", [(8, 2, 3, 3), (8, 4)])
def test_rotations_and_signals(shape, generator):
    import torch

    from mvnet.linalg import so3

    sequences = []
    for i in range(12):
        t = torch.linspace(0, 1, shape[0] + i % 3, dtype=torch.float64)
        noise = 0.1 * torch.randn(len(t), shape[1], 3, generator=generator, dtype=torch.float64)
        wave = torch.sin((2 + 5 * (i % 2)) * t)[:, None, None] * torch.eye(3, dtype=torch.float64)[:1] + noise
        sequences.append((so3.exp(wave) if len(shape) == 4 else wave[..., 0]).numpy())
    labels = np.arange(12) % 2
    fitted = MotionClassifier(filters=300).fit(sequences, labels)
    assert (fitted.predict(sequences) == labels).all()
    assert fitted.decision_function(sequences).shape == (12,)


def test_one_frame_a_bone_without_length_and_a_class_of_one_subject():
    sequences, labels, subjects = motions()
    sequences[0] = sequences[0][:1]
    sequences[1][:, 4] = sequences[1][:, 3]
    labels = np.where((labels == 1) & (subjects == 0), 3, labels)
    fitted = classifier().fit(sequences, labels, subjects)
    assert np.isfinite(fitted.predict_proba(sequences)).all()


def _infinite(sequences, labels):
    return [np.where(s == s[0, 0, 0], np.inf, s) for s in sequences], labels


BAD = {
    "infinite values": _infinite,
    "found frames of shape": lambda s, y: ([s[0][:, :5], *s[1:]], y),
    "is missing in every frame": lambda s, y: (
        [s[0] * np.where(np.arange(11) == 2, np.nan, 1)[:, None], *s[1:]],
        y,
    ),
    "labels for": lambda s, y: (s, y[:-1]),
    "1 class": lambda s, y: (s, 0 * y),
    "expected \\(frames, joints, 3\\)": lambda s, y: ([x[..., :1] for x in s], y),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_inputs_are_named(message):
    sequences, labels, _ = motions(6)
    with pytest.raises(ValueError, match=message):
        classifier().fit(*BAD[message](sequences, labels))


def test_wrong_parent_and_other_joints_are_named():
    sequences, labels, subjects = motions(9)
    with pytest.raises(ValueError, match="parent: found 3 joints"):
        classifier(parent=[-1, 0, 1]).fit(sequences, labels)
    with pytest.raises(ValueError, match="expected positions of 11"):
        classifier().fit(sequences, labels, subjects).predict([s[:, :4] for s in sequences])


def test_files_give_the_same_scores(tmp_path):
    sequences, labels, subjects = motions()
    fitted = classifier(mirror="auto").fit(sequences, labels, subjects)
    save_classifier(tmp_path / "activity", fitted, {"task": "test"})
    again, card = load_classifier(tmp_path / "activity")
    np.testing.assert_allclose(again.decision_function(sequences), fitted.decision_function(sequences), atol=1e-9)
    assert card["task"] == "test"
    (tmp_path / "activity.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_classifier(tmp_path / "activity")


def test_noise_is_unknown_and_motions_learned_from_are_not(tmp_path):
    sequences, labels, subjects = motions(27)
    fitted = classifier().fit(sequences, labels, subjects)
    others, _, _ = motions(18, seed=50)
    noise = list(np.random.default_rng(0).normal(size=(6, 12, 11, 3)))
    assert fitted.is_unknown(others).mean() <= 0.2
    assert fitted.is_unknown(noise).all()
    assert rank_quality(fitted.known_probability(others), fitted.known_probability(noise)) == 1
    save_classifier(tmp_path / "activity", fitted, {})
    again, _ = load_classifier(tmp_path / "activity")
    np.testing.assert_allclose(again.known_probability(noise), fitted.known_probability(noise), rtol=1e-6)
    assert again.is_unknown(noise).all()


def test_files_without_a_rule_know_of_no_unknown():
    sequences, labels, subjects = motions()
    fitted = classifier().fit(sequences, labels, subjects)
    fitted.novelty_ = None
    assert not fitted.is_unknown(sequences).any()
    assert (fitted.known_probability(sequences) == 1).all()


def test_poses_in_a_picture_are_learned_from(tmp_path):
    sequences, labels, subjects = motions()
    poses = [s[..., ::2] for s in sequences]
    fitted = classifier(mirror="auto").fit(poses, labels, subjects)
    save_classifier(tmp_path / "activity", fitted, {})
    again, _ = load_classifier(tmp_path / "activity")
    np.testing.assert_allclose(again.predict_proba(poses), fitted.predict_proba(poses), atol=1e-9)
    assert (fitted.predict(poses) == labels).mean() > 0.8


def test_basic_motions(data_root):
    from mvnet.data_loaders.motion import load_motion, splits

    motions = load_motion(data_root / "motion" / "BasicMotions")
    (split,) = splits(motions)
    known, new = motions.take(split.train), motions.take(split.test)
    fitted = MotionClassifier(filters=1000).fit(list(known.sequences), known.labels)
    assert fitted.score(list(new.sequences), new.labels) >= 0.975
