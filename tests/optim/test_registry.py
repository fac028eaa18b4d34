"""The registry of optimisers, and the roles of parameters."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mvnet.equivariant import GroupConv
from mvnet.errors import MvnetError
from mvnet.manifolds import Circle, Rotations
from mvnet.manifolds.parameter import ManifoldParameter
from mvnet.optim.registry import OPTIMIZERS, TRAININGS, build, default_rate, describe, options_of, parse_options
from mvnet.optim.roles import roles
from tests.optim.test_laws import FEATURES, SCALARS, every_optimizer


@every_optimizer
def test_the_registry(name):
    entry = OPTIMIZERS[name]
    assert entry.help.endswith(".") and "\n" not in entry.help
    assert all(default_rate(name, training) > 0 for training in TRAININGS)
    assert parse_options(name, ",".join(f"{k}={v}" for k, v in options_of(name).items())) == options_of(name)
    with pytest.raises(MvnetError, match=f"optimizer-options: found 'magic', expected .* for {name}"):
        build(name, nn.Linear(1, 1), 1e-3, magic=1)
    for rate in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(MvnetError, match=r"rate: found .*, expected a positive number"):
            build(name, nn.Linear(1, 1), rate)


def test_names_that_do_not_exist():
    with pytest.raises(MvnetError, match="optimizer: found 'magic', expected one of adamw, adam, sgd"):
        build("magic", nn.Linear(1, 1), 1e-3)
    with pytest.raises(MvnetError, match="optimizer-options: found beta2='high', expected beta2=float"):
        parse_options("soap", "beta2=high")


def test_a_parameter_off_its_manifold_is_named():
    model = nn.Module()
    model.turn = ManifoldParameter(torch.eye(3), Rotations())
    with torch.no_grad():
        model.turn.mul_(2)
    with pytest.raises(MvnetError, match=r"turn .*project.*: found 1 of 1 points off .*violation"):
        build("adamw", model, 1e-3)
    with pytest.raises(MvnetError, match=r"data .*project.*: found"):
        ManifoldParameter(2 * torch.eye(3), Rotations())


def test_the_table_says_what_is_done():
    layer = GroupConv(SCALARS, FEATURES)
    told = {options: describe(layer, "muon", fewest=options)[0]["geometry"] for options in (1, 512)}
    assert told == {1: f"{FEATURES.channels} x 1 x 9 kernel of GroupConv", 512: "every entry by itself"}
    assert describe(layer, "adamw")[0]["geometry"] == "every entry by itself"


def test_roles():
    """By the kind of layer: a flat weight is a matrix, a convolution in groups is none, one angle is a point."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(6))

        def matrix_view(self):
            return GroupConv(SCALARS, SCALARS, 1).matrix_view()

    model = nn.ModuleDict(
        {
            "conv": GroupConv(SCALARS, FEATURES),
            "groups": nn.Conv2d(4, 4, 3, groups=2),
            "linear": nn.Linear(2, 3),
            "norm": nn.LayerNorm(2),
            "embedding": nn.Embedding(3, 2),
            "own": Own(),
        }
    )
    model.register_parameter("angle", ManifoldParameter(torch.zeros(2), Circle()))
    kinds = {role.name: role.kind for role in roles(model)}
    matrices = {"conv.weight", "linear.weight", "own.weight"}
    assert {name for name, kind in kinds.items() if kind == "matrix"} == matrices
    assert kinds["angle"] == "manifold"
    tied = nn.ModuleList([nn.Linear(2, 3), nn.Embedding(3, 2)])
    tied[1].weight = tied[0].weight
    assert [role.kind for role in roles(tied)] == ["vector", "vector"]
