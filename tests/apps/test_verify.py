"""`mvnet verify`: exact for an equivariant network, honest about an ordinary one, one line for a bad name."""

import json

import pytest
import torch

from mvnet.models import save_checkpoint
from mvnet.models.activity.network import LieMotionNetwork
from mvnet.models.dti.network import DTIDenoiser
from tests.nn.test_frechet_filter import randomise


@pytest.fixture
def stem(tmp_path):
    def write(**options) -> str:
        torch.manual_seed(0)
        save_checkpoint(tmp_path / "net", randomise(DTIDenoiser(convolutions=(1,), **options), 0.05), {})
        return str(tmp_path / "net")

    return write


def test_an_equivariant_network_holds(stem, run):
    done = run("verify", stem(fields={"faces": 1}, hidden={"flags": 1}), "--json")
    summary = json.loads(done.out)
    assert done.status == 0 and summary["holds"] and summary["equivariance_error"] < 1e-12
    assert len(summary["guarantees"]) == 11


def test_an_ordinary_network_fails(stem, run):
    done = run("verify", stem(fields={"regular": 6}, hidden={"regular": 4}, group="E"))
    assert done.status == 1 and done.out.count("FAILS") == 6 and done.out.count("holds") == 5


def test_a_reversible_trunk_keeps_the_same_at_every_depth(stem, run):
    done = run("verify", stem(fields={"faces": 2}, hidden={"flags": 1}, trunk="reversible"))
    assert done.status == 0 and done.out.count("holds") == 13
    assert "bytes kept by 64 reversible convolutions over those by 4: 1 " in done.out


def test_a_network_of_motions_does_not_see_how_the_world_is_turned(tmp_path, run):
    save_checkpoint(tmp_path / "net", LieMotionNetwork(5, 3, parent=(-1, 0, 1, 1, 3), width=16), {})
    done = run("verify", tmp_path / "net")
    assert done.status == 0 and done.out.count("holds") == 2


@pytest.mark.parametrize("name", ["dti", "insar", "motion"])
def test_the_shipped_network_holds(name: str, run):
    done = run("verify", name)
    assert done.status == 0 and "FAILS" not in done.out


@pytest.mark.parametrize("name", ["dto", "missing.safetensors"])
def test_a_bad_name_is_one_line(name: str, run):
    done = run("verify", name)
    assert done.status == 2 and done.err.count("\n") == 1
