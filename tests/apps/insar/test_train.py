"""`mvnet train insar`: a checkpoint that loads, and one clear line for a bad option."""

import json

import pytest
import torch

from mvnet.manifolds.circle import wrap
from mvnet.models.checkpoint import load_checkpoint, save_checkpoint
from mvnet.models.insar.network import InSARDenoiser
from mvnet.optim.registry import default_rate
from tests.nn.test_frechet_filter import randomise

SHORT = ["--steps", 2, "--batch", 1, "--patch", 16, "--workers", 0, "--threads", 1, "--device", "cpu", "--quiet"]


def test_a_short_run_writes_weights_and_card(run, tmp_path):
    done = run("train", "insar", "-o", tmp_path / "run", *SHORT)
    assert done.status == 0 and done.out == ""
    model, card = load_checkpoint(tmp_path / "run" / "insar")
    assert isinstance(model, InSARDenoiser)
    assert card["steps"] == 2 and card["pixels_per_step"] == 256 and card["seed"] == 0


def test_half_precision_and_event_files(run, tmp_path):
    pytest.importorskip("tensorboardX", reason="needs mvnet[train]")
    words = ["--precision", "bf16", "--tensorboard"]
    assert run("train", "insar", "-o", tmp_path / "run", *SHORT, *words).status == 0
    (events,) = (tmp_path / "run" / "tensorboard").iterdir()
    assert b"gradient_norm" in events.read_bytes()
    refused = run("train", "insar", "-o", tmp_path / "run", *SHORT)
    assert refused.status == 2 and "precision float32 (was bf16)" in refused.err


def test_little_memory_gives_the_same_weights(run, tmp_path):
    weights = []
    for memory in ("plain", "low"):
        assert run("train", "insar", "-o", tmp_path / memory, *SHORT, "--memory", memory).status == 0
        weights.append(load_checkpoint(tmp_path / memory / "insar")[0].state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-5)


def test_every_optimizer_is_offered_with_its_rate_and_options(run, tmp_path):
    words = ["--optimizer", "soap", "--optimizer-options", "every=2,fewest=1"]
    assert run("train", "insar", "-o", tmp_path / "run", *SHORT, *words).status == 0
    _, card = load_checkpoint(tmp_path / "run" / "insar")
    assert (card["optimizer"], card["rate"]) == ("soap", default_rate("soap", "insar"))
    (line,) = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    logged = json.loads(line)
    assert logged["optimizer"] == "soap" and logged["optimizer_ms"] > 0
    assert any(row["geometry"] == "64 x 64 x 9 kernel of GroupConv" for row in logged["parameters"])
    listed = json.loads(run("optimizers", "--json").out)
    assert listed["soap"]["options"]["every"] and "soap: " in run("optimizers").out
    refused = run("train", "insar", "-o", tmp_path / "run", *SHORT, "--optimizer", "muon")
    assert refused.status == 2 and "optimizer muon (was soap)" in refused.err


def test_training_starts_from_given_weights(run, tmp_path):
    """At a rate of next to nothing it ends with them; what they lack adds nothing."""
    torch.manual_seed(0)
    small = InSARDenoiser(kernels=[(5, 1), (5, 3)], down=[0, 1, 1], up=[0, 1, 0], carrier=False).eval()
    randomise(small, 0.1)
    save_checkpoint(tmp_path / "small", small, {})
    command = "train", "insar", "-o", tmp_path / "run", *SHORT, "--rate", 1e-30, "--from", tmp_path / "small"
    assert run(*command).status == 0
    model, _ = load_checkpoint(tmp_path / "run" / "insar")
    planes, features = torch.randn(1, 2, 16, 16), torch.ones(1, 3, 16, 16)
    with torch.no_grad():
        found, expected = model(planes, features), small(planes, features)
    # the last filter starts near, not at, the identity
    assert (found.log_concentration - expected.log_concentration).abs().max() < 0.05
    assert wrap(found.phase - expected.phase).abs().median() < 0.01


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--patch", 20], "--patch: found 20"),
        (["--patch", 4], "patch: found 4"),
        (["--device", "abacus"], "'abacus'"),
        (["--rate", 0], "'--rate': found 0.0, expected a positive number"),
        (["--optimizer", "soap", "--optimizer-options", "magic=1"], "optimizer-options: found 'magic', expected beta1"),
        (["--from", "dti"], "--from: found weights of another network"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(arguments, words, run, tmp_path):
    short = [word for pair in zip(SHORT[:-1:2], SHORT[1::2]) if pair[0] not in arguments for word in pair]
    status, out, err = run("train", "insar", "-o", tmp_path / "run", *short, "--quiet", *arguments)
    assert status == 2 and out == "" and err.count("\n") == 1 and err.startswith("mvnet: error: ") and words in err
    assert list(tmp_path.iterdir()) == []
