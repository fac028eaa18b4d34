"""Weights beside their card, and one training at a time in a folder."""

from __future__ import annotations

import json
import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import torch
from torch import nn

from mvnet.errors import MvnetError
from mvnet.models.checkpoint import load_checkpoint, save_checkpoint
from mvnet.models.dti.network import DTIDenoiser
from mvnet.training import Run, Schedule


def network(seed: int) -> DTIDenoiser:
    torch.manual_seed(seed)
    return DTIDenoiser(fields={"faces": 1, "trivial": 2}, hidden={"faces": 1}, convolutions=(1,))


def test_a_card_holds_the_digest_of_its_weights(tmp_path):
    save_checkpoint(tmp_path / "model", network(0), {"task": "a test", "sha256": "of others"})
    _, card = load_checkpoint(tmp_path / "model")
    assert len(card["sha256"]) == 64 and card["task"] == "a test"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def test_weights_of_another_card_are_refused(tmp_path):
    for seed in (0, 1):
        save_checkpoint(tmp_path / f"m{seed}", network(seed), {})
    (tmp_path / "m0.safetensors").replace(tmp_path / "m1.safetensors")
    with pytest.raises(MvnetError, match=r"found weights .*m1.safetensors with another SHA-256 than m1.json says"):
        load_checkpoint(tmp_path / "m1")


def test_a_card_without_a_digest_is_of_any_weights(tmp_path):
    save_checkpoint(tmp_path / "model", network(0), {})
    card = json.loads((tmp_path / "model.json").read_text())
    del card["sha256"]
    (tmp_path / "model.json").write_text(json.dumps(card))
    load_checkpoint(tmp_path / "model")


def test_a_second_training_in_a_folder_is_refused(tmp_path):
    first = Run(tmp_path / "run", nn.Linear(2, 2), Schedule())
    with pytest.raises(MvnetError, match=f"found another training that is running in {tmp_path / 'run'}"):
        Run(tmp_path / "run", nn.Linear(2, 2), Schedule())
    first.close()
    Run(tmp_path / "run", nn.Linear(2, 2), Schedule()).close()
    assert list((tmp_path / "run").iterdir()) == []


def hold(folder: Path, ready: Event) -> None:
    run = Run(folder, nn.Linear(2, 2), Schedule())
    ready.set()
    multiprocessing.Event().wait()
    run.close()


def test_a_training_that_was_killed_holds_nothing(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    with pytest.raises(MvnetError, match="another training"):
        Run(tmp_path, nn.Linear(2, 2), Schedule())
    process.kill()
    process.join()
    Run(tmp_path, nn.Linear(2, 2), Schedule()).close()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_cannot_begin_holds_nothing(tmp_path):
    (tmp_path / "checkpoint.json").write_text("{")
    for _ in range(2):
        with pytest.raises(MvnetError, match="cannot be read"):
            Run(tmp_path, nn.Linear(2, 2), Schedule())


def test_workers_of_a_run_do_not_hold_its_folder(tmp_path):
    """A forked process outlives its parent for a while."""
    run = Run(tmp_path, nn.Linear(2, 2), Schedule())
    context = multiprocessing.get_context("fork")
    done = context.Event()
    worker = context.Process(target=done.wait, args=(60,))
    worker.start()
    run.close()
    (tmp_path / ".training.lock").touch()
    Run(tmp_path, nn.Linear(2, 2), Schedule()).close()
    done.set()
    worker.join()
