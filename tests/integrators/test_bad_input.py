"""What cannot be solved is named in one line."""

from __future__ import annotations

import math

import pytest
import torch

from mvnet.integrators import CircleAction, Congruence, odeint
from mvnet.nn import RotationFlow

Z0 = torch.tensor([[0.5, 1.0]], dtype=torch.float64)


def decay(t, z):
    return -z


@pytest.mark.parametrize("method", ["rkmk4", "rk4", "dopri5"])
@pytest.mark.parametrize(
    ("t", "message"),
    [
        ([0.0, 1.0, 0.5], "t: found 0.5 after 1 at position 2, expected times that rise or fall throughout"),
        ([0.0, -1.0, 0.5], "t: found -1 after 0 at position 1, expected times that rise or fall"),
        ([0.0, 0.5, 0.5, 1.0], "t: found 0.5 at positions 1 and 2, expected different times"),
        ([0.0, math.nan], "t: found nan, expected finite times"),
        ([math.inf], "t: found inf, expected finite times"),
    ],
)
def test_times_out_of_order(method, t, message):
    with pytest.raises(ValueError, match=message):
        odeint(decay, Z0, t, method=method)


def test_times_of_samples():
    with pytest.raises(ValueError, match=r"t: found shape \(2, 2\), expected times for each of 1 samples"):
        odeint(decay, Z0, [[0.0, 1.0], [0.0, 2.0]], method="dopri5")
    with pytest.raises(ValueError, match=r"t: found shape \(1, 2\), expected at least one time in one dimension"):
        odeint(decay, Z0, [[0.0, 1.0]], method="rk4")


@pytest.mark.parametrize("method", ["euler", "rk4", "rk38", "dopri5"])
@pytest.mark.parametrize("action", [CircleAction(), Congruence()])
def test_methods_of_vectors_refuse_groups(method, action):
    with pytest.raises(ValueError, match=f"action: found {type(action).__name__} with method '{method}', expected Tra"):
        odeint(decay, torch.eye(3), [0.0, 1.0], action=action, method=method)


def test_a_field_that_is_none():
    with pytest.raises(ValueError, match="field: found a float with method 'rk4', expected a callable"):
        odeint(3.0, Z0, [0.0, 1.0], method="rk4")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("method", ["rkmk4", "rk4"])
@pytest.mark.parametrize("save", ["all", "last"])
def test_a_field_that_is_not_a_number_is_named_with_its_time(method, save):
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"field: found NaN or infinite values in the step from t = 0\.5 to 0\.6"):
        odeint(lambda s, z: (0.55 - s).sqrt() - z, Z0, t, method=method, save=save)
    with pytest.raises(ValueError, match="field: found NaN or infinite values at t = 0, expected finite ones"):
        odeint(lambda s, z: torch.where(s < 1e-3, torch.nan, -z), Z0, t, method=method, save=save)


def test_a_start_that_is_not_a_number_stays_what_it_is():
    """A missing value is the caller's; large values whose sum overflows are none."""
    missing = odeint(decay, torch.tensor([[torch.nan, 1.0]]), [0.0, 1.0], method="rk4", save="last")
    assert missing[0, 0].isnan() and missing[0, 1].isfinite()
    assert odeint(decay, torch.full((2, 3), 3e38), [0.0, 1.0], method="euler", save="last").isfinite().all()


def test_settings_of_another_mode_or_method():
    with pytest.raises(ValueError, match="every: found with gradient 'discrete'"):
        odeint(decay, Z0, [0.0, 1.0], every=2)
    with pytest.raises(ValueError, match="every: found 0, expected at least one step"):
        odeint(decay, Z0, [0.0, 1.0], gradient="checkpoint", every=0)
    with pytest.raises(ValueError, match="rtol: found as an option of method 'rk4', expected none"):
        odeint(decay, Z0, [0.0, 1.0], method="rk4", rtol=1e-3)


def test_a_layer_names_what_does_not_go_together():
    with pytest.raises(ValueError, match="gradient: found 'reversible' with method 'rkmk2'"):
        RotationFlow(2, gradient="reversible")(torch.eye(3).expand(1, 2, 3, 3))
