"""`mvnet train insar`: a checkpoint that loads, and one clear line for a bad option."""

import pytest

from mvnet.models import load_checkpoint
from mvnet.models.insar import InSARDenoiser

SHORT = ["--steps", 2, "--batch", 1, "--patch", 16, "--workers", 0, "--threads", 1, "--device", "cpu", "--quiet"]


def test_a_short_run_writes_weights_and_card(run, tmp_path):
    done = run("train", "insar", "-o", tmp_path / "run", *SHORT)
    assert done.status == 0 and done.out == ""
    model, card = load_checkpoint(tmp_path / "run" / "insar")
    assert isinstance(model, InSARDenoiser)
    assert card["steps"] == 2 and card["pixels_per_step"] == 256 and card["seed"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--patch", 20], "--patch: found 20"), (["--patch", 4], "patch: found 4"), (["--device", "abacus"], "'abacus'")],
)
def test_bad_options_are_one_line_and_leave_nothing(arguments, words, run, tmp_path):
    status, out, err = run("train", "insar", "-o", tmp_path / "run", *SHORT, *arguments)
    assert status == 2 and out == "" and err.count("\n") == 1 and err.startswith("mvnet: error: ") and words in err
    assert list(tmp_path.iterdir()) == []
