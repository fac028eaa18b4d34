"""White noise, with the amplitude and without: the steep scene and the gentle one, coherence .3 to .9.

Most products deliver a phase alone; the same draw without its amplitude may cost 10 % more error. With the amplitude,
the steep scene is held to what the weights of version 0.1.0 reach.
"""

from __future__ import annotations

from typing import Any

from benchmarks.field_insar.methods import OURS, Setup, below, compare, gentle, noisy_case
from benchmarks.field_insar.noises import white, white_phase
from benchmarks.harness import Target
from benchmarks.insar.cases import SCENES
from benchmarks.insar.scenes import true_phase

REACHED = {0.3: 0.3561, 0.5: 0.2548, 0.7: 0.1931, 0.9: 0.1325}
"""RMSE of version 0.1.0 on the steep scene, radians."""

MORE, WITHOUT_AMPLITUDE = 1.015, 1.10


def measure(setup: Setup) -> tuple[list[dict[str, Any]], list[Target]]:
    """Two rows for every scene and coherence."""
    steep = true_phase(SCENES["steep"])
    scenes = {"steep": steep[: setup.side, : setup.side], "gentle": gentle(setup.side)}
    rows, targets = [], []
    for scene, phase in scenes.items():
        for coherence in (0.5,) if setup.quick else REACHED:
            both = [
                compare(setup, noisy_case(setup, noise, phase, coherence, f"{coherence:g}"))
                for noise in ((f"{scene}, white", white), (f"{scene}, phase only", white_phase))
            ]
            rows += both
            with_it, without = (row[OURS] for row in both)
            if scene == "steep":
                targets.append(below(f"steep {coherence:g}: RMSE", with_it, MORE * REACHED[coherence]))
            name = f"{scene} {coherence:g}: RMSE of the phase alone over that with amplitude"
            targets.append(below(name, without / with_it, WITHOUT_AMPLITUDE))
    return rows, targets
