"""Memory "low" computes what "plain" computes, keeps less of it, and leaves weights and runs as they are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.invertible import Chain, EquivariantOrthogonal, drift, saved_bytes
from mvnet.models import pretrained
from mvnet.models.dti.network import DTIDenoiser
from mvnet.models.dti.trunk import ReversibleConvolutions
from mvnet.training import Run, Schedule
from tests.models.dti.test_network import SMALL
from tests.models.insar import test_network as insar
from tests.nn.test_frechet_filter import randomise, spd_field

STREAMS = {"faces": 2, "trivial": 4}


def volumes(size: int = 6) -> tuple[Tensor, Tensor]:
    """Tensors and features, float64, with holes in the mask."""
    random = torch.Generator().manual_seed(0)
    features = torch.rand(2, 12, *(size,) * 3, generator=random, dtype=torch.float64)
    features[:, 0] = (features[:, 0] < 0.9).double()
    return spd_field(2, *(size,) * 3), features


def dti(trunk: str, depth: int = 3) -> DTIDenoiser:
    torch.manual_seed(0)
    options: dict[str, Any] = {**SMALL, "fields": STREAMS, "convolutions": (2, depth)}
    model = DTIDenoiser(**options, trunk=trunk, spread=True, size_noise=True)
    randomise(model, 0.1)
    return model.double().eval()


NETWORKS: dict[str, tuple[Callable[[], Any], Callable[[], tuple[Tensor, ...]]]] = {
    "dti, residual": (lambda: dti("residual"), volumes),
    "dti, reversible": (lambda: dti("reversible"), volumes),
    "insar": (lambda: insar.small_model(noise=True), insar.inputs),
}
"""A network whose `memory` can be chosen is one line: how to make it, and its inputs."""


def outputs(model: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    found = []
    for part in model(*inputs):
        found.extend(part if isinstance(part, list) else [part])
    return found


def gradients(model: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    leaves = [*(x.clone().requires_grad_() for x in inputs[:1]), *model.parameters()]
    loss = sum(out.sin().sum() for out in outputs(model, (leaves[0], *inputs[1:])))
    assert isinstance(loss, Tensor)
    found = torch.autograd.grad(loss, leaves, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(leaves, found)]


def are_equal(name: str, a: Tensor, b: Tensor) -> bool:
    """Bit for bit; with couplings to rounding: without a graph, some processors add a convolution in another order."""
    return torch.equal(a, b) or ("reversible" in name and float((a - b).abs().max()) <= 1e-14 * float(a.abs().max()))


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_are_equal_and_gradients_to_rounding(name: str):
    make, inputs = NETWORKS[name]
    plain, given = make(), inputs()
    low = copy.deepcopy(plain)
    low.memory = "low"
    for a, b in zip(outputs(plain, given), outputs(low, given), strict=True):
        assert are_equal(name, a, b)
    with torch.no_grad():
        for a, b in zip(outputs(plain, given), outputs(low, given), strict=True):
            assert are_equal(name, a, b)
    for a, b in zip(gradients(plain, given), gradients(low, given), strict=True):
        assert float((a - b).norm()) <= 1e-12 * max(float(a.norm()), 1e-3)
    assert saved_bytes(low, *given) < saved_bytes(plain, *given) / 2


def test_the_shipped_network_keeps_an_eighth():
    model: Any = pretrained("dti")[0]
    given = tuple(x.float() for x in volumes(12))
    plain = saved_bytes(model, *given)
    model.memory = "low"
    assert saved_bytes(model, *given) <= plain / 8


@pytest.mark.parametrize("trunk", ["residual", "reversible"])
def test_bytes_of_low_do_not_depend_on_depth(trunk: str):
    kept = []
    for depth in (4, 64):
        model = dti(trunk, depth)
        model.memory = "low"
        kept.append(saved_bytes(model, *volumes(4)))
    assert kept[0] == kept[1]


def test_a_reversible_trunk_finds_its_states():
    model = dti("reversible", 16).float()
    h, mask = torch.randn(1, 16, 5, 5, 5, generator=torch.Generator().manual_seed(0)), torch.ones(1, 1, 5, 5, 5)
    trunk = model.stages[1].convolutions
    assert isinstance(trunk, ReversibleConvolutions)
    assert drift(trunk.chain, h, mask).largest < 1e-5


def test_an_untrained_reversible_trunk_is_couplings_alone():
    """The orthogonal maps between them are the identity."""
    torch.manual_seed(0)
    trunk = (
        DTIDenoiser(fields=STREAMS, hidden={"faces": 1}, convolutions=(3,), trunk="reversible").stages[0].convolutions
    )
    assert isinstance(trunk, ReversibleConvolutions)
    h, mask = torch.randn(1, 16, 4, 4, 4), torch.ones(1, 1, 4, 4, 4)
    couplings = Chain(*(layer for layer in trunk.chain if not isinstance(layer, EquivariantOrthogonal)))
    assert len(couplings) == len(trunk.chain) - 2
    torch.testing.assert_close(trunk(h, mask), couplings(h, mask)[0])


@pytest.mark.parametrize("trunk", ["residual", "reversible"])
def test_a_run_resumes_in_the_other_mode(trunk: str, tmp_path):
    def objective(model: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, dict[str, float]]:
        return model(*batch).tensors.square().mean(), {}

    def run(folder: str, memory: str, steps: int) -> Run:
        model = dti(trunk)
        model.memory = memory
        made = Run(tmp_path / folder, model, Schedule(steps=4, batch=1, workers=0, checkpoint_every=1, rate=1e-3))
        for _, _ in zip(range(steps), made.steps(objective, iter([volumes(4)] * 4)), strict=False):
            pass
        return made

    whole = run("whole", "plain", 4)
    run("parts", "plain", 2)
    parts = run("parts", "low", 4)
    assert parts.step == whole.step == 4
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(parts.model.state_dict()[name], value, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"trunk": "circular"}, "trunk: found 'circular', expected one of residual, reversible"),
        (
            {"trunk": "reversible", "fields": {"trivial": 2, "edges": 1}},
            "fields: found 1 edges.*, expected even numbers",
        ),
    ],
)
def test_trunks_that_cannot_be_are_named(options: dict[str, Any], words: str):
    with pytest.raises(MvnetError, match=words):
        DTIDenoiser(**options)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_unknown_memory_is_named(name: str):
    make, inputs = NETWORKS[name]
    model = make()
    model.memory = "large"
    with pytest.raises(MvnetError, match="memory: found 'large', expected one of plain, low"):
        model(*inputs())
