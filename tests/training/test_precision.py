"""Half precision inside convolutions only: losses and gradients stay near those of float32."""

import pytest
import torch
from torch import nn
from torch.utils.data import default_collate

from mvnet.errors import MvnetError
from mvnet.training import Run, Schedule, train
from mvnet.training.precision import lowered, precision_of
from tests.training import ranks_worker
from tests.training.test_run import Line, objective

DIGITS = {"bf16": 8, "fp16": 11}
"""Binary digits of a mantissa."""


@pytest.mark.parametrize("precision", DIGITS)
def test_gradients_are_near_those_of_float32(precision):
    torch.manual_seed(0)
    for name, model, loss, data in ranks_worker.cases():
        batch = default_collate([data[0]])
        found = {}
        for kind in ("float32", precision):
            model.zero_grad()
            with lowered(model, precision_of(kind)):
                value, _ = loss(model, *batch)
                value.backward()
            assert value.dtype == torch.float32
            found[kind] = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        away = (found[precision] - found["float32"]).norm() / found["float32"].norm()
        assert 0 < away < 8 * 2.0 ** -DIGITS[precision], name


def test_layers_are_themselves_afterwards():
    model = nn.Sequential(nn.Linear(4, 4))
    with lowered(model, torch.bfloat16):
        assert model(torch.ones(4)).dtype == torch.float32
        assert "forward" in model[0].__dict__
    assert "forward" not in model[0].__dict__


def test_an_unknown_precision_is_refused():
    with pytest.raises(MvnetError, match="precision: found 'fp8', expected one of float32, bf16, fp16"):
        Run(None, nn.Linear(1, 1), Schedule(precision="fp8"))


def test_a_run_in_fp16_resumes_with_the_scale_of_its_gradients(tmp_path):
    schedule = Schedule(steps=12, batch=2, rate=1e-2, warm_up=3, checkpoint_every=5, workers=0, precision="fp16")

    def new(folder):
        torch.manual_seed(0)
        return Run(folder, nn.Linear(1, 1), schedule)

    whole = train(new(tmp_path / "whole"), objective, Line(), quiet=True)
    with pytest.raises(KeyboardInterrupt):
        train(new(tmp_path / "cut"), objective, Line(stop_at=15), quiet=True)
    again = train(new(tmp_path / "cut"), objective, Line(), quiet=True)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, rtol=0, atol=0)
