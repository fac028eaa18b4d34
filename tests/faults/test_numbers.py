"""Numbers that no recording and no tissue has: times that do not grow, rates without end, tensors of 1e20."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mvnet.data_loaders.dti.repair import repair
from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import MotionSet, load_motion
from mvnet.data_loaders.motion.options import ReadOptions
from mvnet.linalg import sym3

HEADER = "time (s),gyro_x (deg/s),gyro_y (deg/s),gyro_z (deg/s)\n"
TIMES = {"equal": [0, 0, 0, 0], "one twice": [0, 0.1, 0.1, 0.2], "back": [0, 0.2, 0.1, 0.3], "none": [0, "nan", 2, 3]}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("value", ["signals", "rotations"])
def test_times_that_do_not_grow(times: list, value: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "".join(f"{t},1,2,3\n" for t in times))
    with pytest.raises(DataError, match=r"a\.csv: found time.*; or give rate"):
        load_motion(path, value=value)
    assert load_motion(path, value=value, rate=50).rate == 50


@pytest.mark.parametrize("times", [[0.0, 0.0, 1.0], [0.0, np.inf, np.inf], [2.0, 1.0, 0.0]])
def test_times_of_a_set(times: list) -> None:
    with pytest.raises(DataError, match=r"found time.*expected"):
        MotionSet([np.zeros((3, 2))], "signals", timestamps=(np.array(times),))


@pytest.mark.parametrize("rate", [np.inf, np.nan, 0.0, -1.0])
def test_rates(rate: float) -> None:
    with pytest.raises(DataError, match="rate: found"):
        MotionSet([np.zeros((3, 2))], "signals", rate=rate)
    with pytest.raises(DataError, match="rate: found"):
        ReadOptions(rate=rate)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_tensors_of_any_size_become_positive_definite(scale: float) -> None:
    random = torch.Generator().manual_seed(0)
    roots = torch.randn(512, 3, 3, generator=random)
    planes = sym3.pack(roots @ roots.mT + 0.1 * torch.eye(3)).T.reshape(6, 8, 8, 8) * scale
    wild = torch.rand(8, 8, 8, generator=random) < 0.3
    size = 10 ** (60 * torch.rand(8, 8, 8, generator=random) - 20)
    sign = torch.where(torch.rand(6, 8, 8, 8, generator=random) < 0.2, -1.0, 1.0)
    found, report = repair(torch.where(wild, planes * size * sign, planes), torch.ones(8, 8, 8, dtype=torch.bool))
    assert found.isfinite().all() and report.non_finite > 0
    values = torch.linalg.eigvalsh(sym3.unpack(found.reshape(6, -1).T.double()))
    assert (values[:, 0] > 0).all() and (sym3.eigvals(found, dim=0)[0] > 0).all()


@pytest.mark.parametrize("size", [1e20, 1e-12])
def test_a_volume_of_no_unit_is_refused(size: float) -> None:
    planes = torch.zeros(6, 3, 3, 3)
    planes[:3] = size
    with pytest.raises(DataError, match=r"tensors: found a median diffusivity of .* um\^2/ms, expected"):
        repair(planes, torch.ones(3, 3, 3, dtype=torch.bool))
