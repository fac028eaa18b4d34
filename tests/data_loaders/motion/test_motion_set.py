"""The container of motions, its file, its splits."""

import json
from typing import Any

import numpy as np
import pytest

from mvnet.data_loaders.motion import (
    DataError,
    MotionSet,
    encode_labels,
    fill_missing,
    load_motion,
    save_motion,
    splits,
    subset,
)
from mvnet.data_loaders.motion.editing import open_recording

PARENT = np.array([-1, 0, 1, 0])
SHAPES = {"positions": (4, 3), "rotations": (4, 3, 3), "signals": (6,)}


def motions(kind: Any = "positions", n: int = 12, **changes: Any) -> MotionSet:
    """n short sequences of 3 classes and 4 subjects."""
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(1 + i % 5, *SHAPES[kind])).astype(np.float32) for i in range(n)]
    known: dict[str, Any] = dict(labels=np.arange(n) % 3, subjects=np.arange(n) // 3 + 1)
    known["classes"] = ("run", "sit", "walk")
    if kind == "positions":
        known["parent"] = PARENT
    return MotionSet(sequences, kind, **(known | changes))


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("classes", [("run", "sit", "walk"), ("1", "2", "10")])
def test_neutral_file_round_trip(tmp_path, kind, classes):
    times = tuple(np.arange(1 + i % 5) / 30 for i in range(12))
    before = motions(kind, classes=classes, rate=30, timestamps=times, train_subjects=np.array([[1, 2], [3, 4]]))
    after = load_motion(save_motion(before, tmp_path / "set.npz"))
    assert (after.kind, after.classes, after.rate) == (kind, classes, 30.0)
    for one, other in zip(before.sequences, after.sequences):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    for name in ("labels", "subjects", "parent", "train_subjects"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    np.testing.assert_array_equal(np.concatenate(after.timestamps or ()), np.concatenate(times))


def test_positions_in_an_image(tmp_path):
    flat = MotionSet([np.ones((5, 3, 2)), np.zeros((2, 3, 2))])
    found = load_motion(save_motion(flat, tmp_path / "flat.npz"))
    assert found.is_flat and not motions().is_flat and not motions("signals").is_flat
    with pytest.raises(DataError, match=r"sequence 1: found shape \(2, 3, 3\), expected \(frames, joints, 2\)"):
        MotionSet([np.ones((5, 3, 2)), np.ones((2, 3, 3))])
    with pytest.raises(DataError, match="found positions in an image, expected positions in space"):
        open_recording(tmp_path / "flat.npz")


def test_bare_neutral_file(tmp_path):
    """What the format asks for and no more; the root marked by its own index."""
    sequences: dict[str, Any] = {f"seq_{i:04d}": np.zeros((2, 3, 3)) + i for i in (0, 1, 10)}
    np.savez(tmp_path / "set.npz", **sequences, label=np.array([7, 3, 7]), parent=np.array([0, 0, 1]))
    found = load_motion(tmp_path / "set.npz")
    assert found.classes == ("3", "7") and found.require_labels().tolist() == [1, 0, 1]
    assert found.parent is not None and found.parent.tolist() == [-1, 0, 1]
    assert [s[0, 0, 0] for s in found.sequences] == [0, 1, 10]
    assert found.subjects is None and "there are no subjects" in splits(found)[0].note


def test_saving_refuses_to_overwrite(tmp_path):
    path = save_motion(motions(), tmp_path / "set.npz")
    with pytest.raises(DataError, match="exists"):
        save_motion(motions(), path)
    save_motion(motions(n=3), path, overwrite=True)
    assert len(load_motion(path)) == 3
    with pytest.raises(DataError, match="no such folder"):
        save_motion(motions(), tmp_path / "none" / "a.npz")
    with pytest.raises(DataError, match="npz"):
        save_motion(motions(), tmp_path / "set.bin")


def test_labels_keep_numbers_in_order():
    assert encode_labels(np.array([10, 9, 10]))[1] == ("9", "10")
    assert encode_labels(["b", "a"])[0].tolist() == [1, 0]


def test_subset_relabels():
    part = subset(motions(), ["walk", "run"])
    assert part.classes == ("walk", "run") and set(part.require_labels().tolist()) == {0, 1} and len(part) == 8
    assert len(subset(motions(), [1, 3])) == 8  # by number, from 1
    for wrong in (["fly"], [0], [4], ["run", "run"], []):
        with pytest.raises(DataError, match="classes"):
            subset(motions(), wrong)


def test_filled_interpolates_in_time():
    sequence = np.linspace(0, 1, 5)[:, None, None] * np.ones((5, 4, 3))
    broken = sequence.copy()
    broken[1:3, 2] = np.nan
    broken[4] = np.nan
    one, masks = fill_missing(MotionSet([broken]))
    np.testing.assert_allclose(one.sequences[0][:4], sequence[:4], atol=1e-15)
    np.testing.assert_array_equal(one.sequences[0][4], one.sequences[0][3])  # the nearest at the end
    assert (~masks[0]).sum() == 6 and np.isnan(broken[4]).all()
    with pytest.raises(DataError, match="joint or channel 2 is missing"):
        fill_missing(MotionSet([np.where(np.arange(4)[:, None] == 2, np.nan, sequence)]))


def test_published_splits_come_first():
    published = motions(train_subjects=np.array([[1, 3], [2, 4]]))
    for train, test in splits(published):
        assert len(train) == len(test) == 6 and not set(train) & set(test)
    by_sequence = motions(train_sequences=np.arange(12)[None] < 4)
    assert splits(by_sequence)[0].train.tolist() == [0, 1, 2, 3]


def test_leave_one_subject_out():
    found = splits(motions())
    assert [s.name for s in found] == [f"without {i}" for i in (1, 2, 3, 4)] and "none are published" in found[0].note
    assert sorted(np.concatenate([s.test for s in found])) == list(range(12))
    assert [len(s.test) for s in splits(motions(), "half")] == [6]


@pytest.mark.parametrize(
    "name, text",
    [
        ("a.json", json.dumps([[1, 3], [2, 4]])),
        ("b.json", json.dumps({"train_subjects": [["s01", "s03"], ["s02", "s04"]]})),
        ("c.csv", "# training\n1,3\n2, 4\n"),
        ("d.txt", "01 03\n02 04\n"),
    ],
)
def test_splits_of_a_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    expected = splits(motions(train_subjects=np.array([[1, 3], [2, 4]])))
    for one, other in zip(splits(motions(), tmp_path / name), expected, strict=True):
        np.testing.assert_array_equal(one.train, other.train)


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("a.json", "[[1, 9]]", "found subject 9, expected one of 1, 2, 3, 4"),
        ("b.json", "[1, 2]", "expected for each split a list"),
        ("c.json", "{", "read as JSON"),
        ("d.csv", "", "expected for each split a list"),
        ("e.csv", "1,2,3,4", "found no test sequence"),
    ],
)
def test_bad_split_files(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        splits(motions(), tmp_path / name)


def test_unknown_schemes():
    with pytest.raises(DataError, match="cross-subject, leave-one-subject-out, half, folds"):
        splits(motions(), "by-chance")
    with pytest.raises(DataError, match="found 1 folds, expected at least 2"):
        splits(motions(), "folds:1")


@pytest.mark.parametrize("subjects", [None, np.ones(30, dtype=int)])
@pytest.mark.parametrize("scheme, count", [("cross-subject", 5), ("leave-one-subject-out", 5), ("folds:3", 3)])
def test_folds_by_sequence(subjects, scheme, count):
    """Every sequence is tested once, every class in proportion; without subjects the note says so."""
    whole = motions(subjects=subjects, n=30)
    found = splits(whole, scheme)
    assert len(found) == count and sorted(np.concatenate([s.test for s in found])) == list(range(30))
    for split in found:
        assert not set(split.train) & set(split.test)
        assert np.bincount(whole.require_labels()[split.test]).tolist() == [10 // count] * 3 or count == 3
        assert ("the same person may be in training and test" in split.note) == (scheme != "folds:3")
    half = splits(whole, "half")
    assert len(half) == 1 and np.bincount(whole.require_labels()[half[0].train]).tolist() == [5, 5, 5]
    with pytest.raises(DataError, match="found no training sequence"):
        splits(whole.take([0]), scheme)


def test_a_class_of_one_subject_is_named():
    """It stays in the test, where it cannot be right, and the note says so."""
    lonely = motions(labels=np.where(np.arange(12) // 3 == 0, 2, np.arange(12) % 2))
    assert "never in training: class walk" in splits(lonely)[0].note
    assert "never" not in splits(lonely)[1].note


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(sequences=[]), "no sequences"),
        (dict(sequences=[np.zeros((2, 4, 3)), np.zeros((2, 5, 3))]), "found 5 joints, expected 4 as in 0"),
        (dict(sequences=[np.zeros((0, 4, 3))]), r"sequence 0: found shape \(0, 4, 3\)"),
        (dict(sequences=[np.zeros((2, 4, 3), dtype=int)]), "found int64 values"),
        (dict(sequences=[np.full((2, 4, 3), np.inf)]), "infinite"),
        (dict(sequences=[np.zeros((2, 4))]), "frames, joints, 3"),
        (dict(kind="poses"), "kind"),
        (dict(labels=np.array([0])), "found 1 labels, expected 2"),
        (dict(labels=np.array([0, 2]), classes=("a", "b")), "from 0 to 1"),
        (dict(subjects=np.array([1, 2, 3])), "found 3 subjects"),
        (dict(parent=np.array([-1, 0])), "expected 4 integers"),
        (dict(parent=np.array([-1, 0, 3, 2])), "cycle"),
        (dict(parent=np.array([-1, -1, 0, 0])), "2 roots"),
        (dict(parent=np.array([-1, 0, 0, 9])), "indices -1 to 9"),
        (dict(rate=0.0), "rate"),
        (dict(timestamps=(np.zeros(2), np.zeros(3))), "found 3 times for 2 frames"),
        (dict(train_subjects=np.array([1, 2])), "train_subjects"),
        (dict(train_sequences=np.array([[True]])), r"train_sequences: found shape \(1, 1\), expected \(splits, 2\)"),
        (dict(joints=("a",)), "found 1 names of joints"),
    ],
)
def test_sets_that_do_not_fit_together(changes, message):
    with pytest.raises(DataError, match=message):
        MotionSet(**(dict(sequences=[np.zeros((2, 4, 3))] * 2) | changes))


def test_missing_labels_are_named():
    with pytest.raises(DataError, match=r"no labels.*one folder for each class"):
        motions(labels=None).require_labels()
    with pytest.raises(DataError, match="found no subjects, expected one for each sequence"):
        motions(subjects=None).require_subjects()


@pytest.mark.parametrize(
    "arrays, message",
    [
        (dict(label=np.array(["a"]), **{"class": np.array(["b"])}), "label: found 'a', expected one of class: b"),
        (dict(label=np.zeros((2, 2))), r"label: found float64 \(2, 2\), expected integers or strings"),
        (dict(seq_0000=np.array([["x"]])), "sequences: found <U1 values, expected numbers"),
        (dict(seq_0001=np.zeros((2, 4, 3)), time_0000=np.zeros(2)), "found no time_0001, expected one for each"),
    ],
)
def test_arrays_of_a_neutral_file_that_do_not_fit(arrays, message, tmp_path):
    np.savez(tmp_path / "a.npz", **(dict(seq_0000=np.zeros((2, 4, 3))) | arrays))
    with pytest.raises(DataError, match=message):
        load_motion(tmp_path / "a.npz")


def test_labels_in_a_column(tmp_path):
    np.savez(tmp_path / "a.npz", seq_0000=np.zeros((2, 4, 3)), seq_0001=np.ones((2, 4, 3)), label=np.array([[3], [1]]))
    assert load_motion(tmp_path / "a.npz").require_labels().tolist() == [1, 0]


def test_damaged_neutral_files(tmp_path):
    whole = save_motion(motions(), tmp_path / "set.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.npz"):
        load_motion(tmp_path / "cut.npz")
    with pytest.raises(DataError, match="damaged"):
        load_motion(tmp_path / "cut.npz", "npz")
    np.savez(tmp_path / "objects.npz", seq_0000=np.zeros((2, 4, 3)), label=np.array([None]))
    with pytest.raises(DataError, match=r"plain arrays.*Object arrays"):
        load_motion(tmp_path / "objects.npz")
    np.savez(tmp_path / "mixed.npz", seq_0000=np.zeros((2, 4, 3)), seq_0001=np.zeros((2, 5, 3)))
    with pytest.raises(DataError, match=r"mixed\.npz: sequence seq_0001: found 5 joints"):
        load_motion(tmp_path / "mixed.npz")


def test_options_of_a_neutral_file(tmp_path):
    """Axes and units that the file does not keep to; a rate; what it cannot give."""
    y_up = motions(n=2)
    path = save_motion(y_up, tmp_path / "set.npz")
    found = load_motion(path, up="y", scale=0.01, rate=25)
    for one, other in zip(y_up.sequences, found.sequences):
        x, y, z = np.moveaxis(one, -1, 0)
        np.testing.assert_allclose(other, 0.01 * np.stack((x, -z, y), -1), rtol=1e-5)
    assert found.rate == 25 and found.notes == ("up: y (as asked)", "0.01 metres per unit")
    with pytest.raises(DataError, match=r"value: found positions in .*, expected rotations as asked"):
        load_motion(path, value="rotations")
    flat = save_motion(MotionSet([np.ones((5, 3, 2))]), tmp_path / "flat.npz")
    assert load_motion(flat, up="y").notes == ("up: y not used: the axes of this format are known",)
