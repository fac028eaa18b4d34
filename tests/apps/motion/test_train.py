"""`mvnet train motion`: a checkpoint that loads and denoises, a run that goes on, and one line for a bad option."""

import numpy as np
import pytest

from mvnet.models.checkpoint import load_checkpoint
from mvnet.models.motion.network import MotionDenoiser
from tests.data_loaders.motion.files import bvh

SHORT = ["--batch", 1, "--frames", 24, "--joints", 3, "--workers", 0, "--threads", 1, "--device", "cpu", "--quiet"]


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.bvh").write_text(bvh(np.cumsum(np.random.default_rng(0).normal(size=(60, 12)), 0)))
    return folder


def test_a_short_run_writes_weights_and_card_and_goes_on(run, recordings, tmp_path):
    words = ["train", "motion", "-o", tmp_path / "run", "--data", recordings, "--simulated", 4, *SHORT]
    assert run(*words, "--steps", 2).status == 0
    model, card = load_checkpoint(tmp_path / "run" / "motion")
    assert isinstance(model, MotionDenoiser)
    assert card["training_data"] == ["a.bvh", "4 simulated bodies"] and card["frames_per_step"] == 24
    changed = run(*words, "--steps", 3)
    assert changed.status == 2 and "steps 3 (was 2)" in changed.err
    start = ["--from", tmp_path / "run" / "motion"]
    other = [tmp_path / "other" if word == tmp_path / "run" else word for word in words]
    assert run(*other, "--steps", 1, *start).status == 0


def test_nothing_to_learn_from_is_one_line(run, recordings, tmp_path):
    none = run("train", "motion", "-o", tmp_path / "run", "--simulated", 0, *SHORT)
    assert none.status == 2 and "training data: found none" in none.err
    (recordings / "a.bvh").unlink()
    empty = run("train", "motion", "-o", tmp_path / "run", "--data", recordings, *SHORT)
    assert empty.status == 2 and "--data: found no .bvh or .amc file" in empty.err
