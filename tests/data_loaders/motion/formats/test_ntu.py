"""Skeleton files as the sensor writes them: empty frames, ghosts, numbers that change, two people, nobody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion
from mvnet.data_loaders.motion.formats.cameras.bodies import same_people
from mvnet.data_loaders.motion.skeleton.layouts import LAYOUTS
from tests.data_loaders.motion.test_skeleton import ntu_text, z_up

PARENT = LAYOUTS["kinect-25"].parents()
NAME = "S001C001P003R001A{:03d}.skeleton"


def person(frames: int, seed: int = 0, pace: float = 1.0, noise: float = 0.005) -> np.ndarray:
    """(frames, 25, 3) metres: a body of its own build that sways and moves its right hand, as a sensor sees it."""
    rng = np.random.default_rng(seed)
    bones, body = rng.normal(size=(25, 3)), np.zeros((25, 3))
    bones *= rng.uniform(0.1, 0.4, size=(25, 1)) / np.linalg.norm(bones, axis=1, keepdims=True)
    for joint in (0, 1, 20, *(j for j in range(2, 25) if j != 20)):
        body[joint] = [0, 0, 3] if PARENT[joint] < 0 else body[PARENT[joint]] + bones[joint]
    path = body + 0.3 * pace * np.sin(np.arange(frames) / 5)[:, None, None] * [1, 0, 0]
    return path + rng.normal(scale=noise, size=path.shape)


def ghost(frames: int, seed: int = 9) -> np.ndarray:
    """A chair that is taken for a body: joints anywhere, far from constant bones."""
    return np.random.default_rng(seed).normal(scale=1.5, size=(frames, 25, 3)) + [0, 0, 4]


def read(folder: Path, tracks: dict[str, tuple[int, np.ndarray]], frames: int, action: int = 1):
    """tracks: number of a body -> its first frame and positions."""
    there = [{n: x[f - s] for n, (s, x) in tracks.items() if s <= f < s + len(x)} for f in range(frames)]
    (folder / NAME.format(action)).write_text(ntu_text(there))
    return load_motion(folder / NAME.format(action))


@pytest.mark.parametrize(
    "others",
    [
        {"9": (12, ghost(2))},  # two frames that jump
        {"9": (0, ghost(40)), "3": (5, ghost(30, 8))},  # there all the time
        {"9": (0, person(40, 5, pace=0.0, noise=0.0))},  # somebody who stands by, or a poster
        {"9": (3, person(12, 6, pace=9.0))},  # somebody who runs through the picture
    ],
)
def test_the_person_is_kept(tmp_path: Path, others) -> None:
    x = person(40)
    found = read(tmp_path, {"7": (0, x)} | others, 40)
    np.testing.assert_allclose(found.sequences[0], z_up(x), atol=1e-4)
    assert any("bones of constant length" in note for note in found.notes)


def test_empty_frames_and_a_number_that_changes(tmp_path: Path) -> None:
    """Frames of nobody are missing; the same person under a new number is one person."""
    x = person(40)
    found = read(tmp_path, {"7": (10, x[:20]), "8": (33, x[23:])}, 50)
    expected = np.full((50, 25, 3), np.nan)
    expected[10:30], expected[33:] = z_up(x[:20]), z_up(x[23:])
    np.testing.assert_allclose(found.sequences[0], expected, atol=1e-4)
    other = read(tmp_path, {"7": (0, x), "8": (41, person(6, 3) + [3, 0, 0])}, 50)  # far away: somebody else
    assert np.isnan(other.sequences[0][41:]).all()


def test_two_people(tmp_path: Path) -> None:
    """Actions of two have the joints of both, the livelier first, whatever else is there; among others one is kept."""
    calm, lively = person(40, 1, pace=0.3), person(40, 2) + [1, 0, 0]
    parts = [
        read(tmp_path, {"7": (0, calm), "8": (0, lively), "9": (0, ghost(40))}, 40, action=55),
        read(tmp_path, {"7": (0, calm)}, 40, action=56),
        read(tmp_path, {"7": (0, calm), "8": (0, lively)}, 40, action=3),
    ]
    np.testing.assert_allclose(parts[0].sequences[0], z_up(np.concatenate((lively, calm), 1)), atol=1e-4)
    assert len(set(parts[0].joints or ())) == 50 and "one person only" in " ".join(parts[1].notes)
    np.testing.assert_allclose(parts[2].sequences[0], z_up(lively), atol=1e-4)
    assert [part.width for part in same_people(parts[:1])] == [50]
    alike = same_people(parts)
    assert [part.width for part in alike] == [25, 25, 25] and "second person left out" in alike[0].notes[-1]


def test_nobody(tmp_path: Path) -> None:
    for text in ("40\n" + "0\n" * 40, "0\n"):
        (tmp_path / NAME.format(1)).write_text(text)
        with pytest.raises(DataError, match="found nobody in"):
            load_motion(tmp_path / NAME.format(1))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:-200], "expected 12 values for each of 25 joints"),
        (lambda text: text.replace("\n25\n", "\n20\n", 1), "found 20 joints, expected 25"),
        (lambda text: text.replace("\n25\n", "\nx\n", 1), "found x, expected a number of joints"),
        (lambda text: text.replace("\n25\n", "\n25\nx", 1), "found no number .*expected numbers"),
        (lambda text: "9" * 9 + text, "expected a number of frames"),
        (lambda text: text.replace(" 7.0000 2.0000", " 7 2 2", 1), "expected"),
        (lambda text: "3000\n" + "0\n" * 2998 + text.partition("\n")[2], r"found somebody in 2 of 3000 frames"),
    ],
)
def test_damage(tmp_path: Path, change, words: str) -> None:
    text = ntu_text([{"7": joints} for joints in person(2)])
    (tmp_path / NAME.format(1)).write_text(change(text))
    with pytest.raises(DataError, match=words):
        load_motion(tmp_path / NAME.format(1))
