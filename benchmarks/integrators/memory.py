"""Peak memory of a solve with its backward pass by mode of gradient: a convolution of 16 channels on 2 x 48^2 pixels.

Every measurement is a process of its own, `python -m benchmarks.integrators.memory MODE STEPS`; what it holds before
the solve, after a solve of two steps, is subtracted from the peak of its resident memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.harness import Target

CHANNELS, SIDE, BATCH = 16, 48, 2
STATE = 4 * BATCH * CHANNELS * SIDE**2 / 2**20  # MB
LONGEST = {"torchdiffeq": 100, "discrete": 100}
"""Modes whose memory grows too fast for more steps."""


class Field(nn.Module):
    """tanh(K * z)"""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.kernel = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        return torch.tanh(self.kernel(z))


def run(mode: str, steps: int) -> None:
    """A solve over unit time and its backward pass."""
    field, z0 = Field(), torch.randn(BATCH, CHANNELS, SIDE, SIDE, requires_grad=True)
    times = torch.linspace(0, 1, steps + 1)
    if mode == "torchdiffeq":
        from torchdiffeq import odeint as torchdiffeq_odeint

        states = torchdiffeq_odeint(field, z0, times, method="rk4")
        assert isinstance(states, Tensor)
        end = states[-1]
    else:
        from mvnet.integrators import odeint

        end = odeint(field, z0, times, method="rk4", gradient=mode, save="last")
    end.square().sum().backward()


def resident(key: str) -> float:
    """A line of /proc/self/status, MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def peak(mode: str, steps: int) -> float:
    """MB above what the process holds before, measured in a child."""
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "benchmarks.integrators.memory", mode, str(steps)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure(quick: bool) -> tuple[list[dict], list[Target]]:
    """Rows and targets by mode and number of steps."""
    rows, found = [], {}
    modes = ("torchdiffeq", "discrete", "checkpoint", "symplectic_adjoint", "reversible", "continuous")
    for mode in modes:
        for steps in (10, 100) if quick else (10, 100, 400):
            if steps <= LONGEST.get(mode, steps):
                found[mode, steps] = peak(mode, steps)
                rows.append({"gradient": mode, "steps": steps, "MB": found[mode, steps]})
    most = 100 if quick else 400
    spread = max(v for (m, _), v in found.items() if m == "reversible") / min(
        v for (m, _), v in found.items() if m == "reversible"
    )
    slope = (found["symplectic_adjoint", most] - found["symplectic_adjoint", 10]) / (most - 10) / STATE
    ratios = {m: found[m, 100] / found["torchdiffeq", 100] for m in ("symplectic_adjoint", "checkpoint")}
    adjoint, checkpoint = ratios["symplectic_adjoint"], ratios["checkpoint"]
    return rows, [
        Target(f"reversible: largest over smallest, 10 to {most} steps", spread, "<= 1.25", spread <= 1.25),
        Target("symplectic_adjoint: states a step", slope, "<= 1.5", slope <= 1.5),
        Target("symplectic_adjoint over torchdiffeq, 100 steps", adjoint, "<= 0.15", adjoint <= 0.15),
        Target("checkpoint over torchdiffeq, 100 steps", checkpoint, "<= 0.25", checkpoint <= 0.25),
    ]


def main() -> None:
    mode, steps = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    run(mode, 2)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is resident
    before = resident("VmRSS")
    run(mode, steps)
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main()
