"""`mvnet denoise motion` with a small untrained network on the CPU."""

import pytest
import torch

from mvnet.models.checkpoint import save_checkpoint
from tests.models.motion.curves import small_model


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny"
    save_checkpoint(path, small_model(dtype=torch.float32), {})
    return path


@pytest.fixture
def denoise(run, weights):
    return lambda *words: run("denoise", "motion", *words, "--model", weights, "--device", "cpu")
