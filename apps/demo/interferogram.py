"""The interferogram of `mvnet demo`: simulated, so that the error of its phase is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mvnet.apps.common import page
from mvnet.apps.common.console import Console
from mvnet.apps.demo.section import Section

SIDE = 192
INPUT, COHERENCE, OUTPUT = "interferogram_noisy.tif", "interferogram_coherence.tif", "interferogram.tif"
NAMES = (
    INPUT,
    COHERENCE,
    OUTPUT,
    "interferogram.qml",
    "interferogram_quality.qml",
    "interferogram_quality.tif",
    "interferogram_mask.tif",
    "interferogram_report.html",
)


def denoise_interferogram(folder: Path, console: Console, seed: int = 3, looks: int = 4) -> Section:
    """Simulate it, denoise it by `mvnet denoise insar`, and measure what is left."""
    import torch

    from mvnet.apps.insar.denoise import run
    from mvnet.apps.insar.options import InSAROptions
    from mvnet.data_loaders.insar.simulation import simulate_pair, simulate_scene

    console.say("interferogram")
    scene = simulate_scene((SIDE, SIDE), seed=seed, coherence=(0.3, 0.9), water_share=0.0)
    generator = torch.Generator().manual_seed(seed)
    pair = simulate_pair(scene.phase, scene.coherence, looks, generator, amplitude=scene.amplitude)
    assert pair.coherence is not None
    _write(folder / INPUT, pair.interferogram.numpy())
    _write(folder / COHERENCE, pair.coherence.numpy())
    options = InSAROptions(
        folder / INPUT, folder / OUTPUT, coherence=str(folder / COHERENCE), looks=looks, tile=256, report=True
    )
    summary = run(options, console)
    truth = scene.phase.numpy()
    before, after = pair.interferogram.angle().numpy(), _read(folder / OUTPUT)
    errors = [_spread(phase - truth) for phase in (before, after)]
    counts = [summary["statistics"][f"residues_{when}"] for when in ("before", "after")]
    ends, ticks = (-math.pi, math.pi), ("−π", "π rad")
    shown = {"noisy": before, "denoised": after, "truth": np.angle(np.exp(1j * truth))}
    layers = [page.Layer(name, phase, ends, "twilight", ticks) for name, phase in shown.items()]
    return Section(
        title="Interferogram",
        about=f"Simulated interferogram of {SIDE} x {SIDE} pixels, {looks} looks, coherence between 0.3 and 0.9.",
        rows=[
            ("root mean square error of the phase, rad", *(f"{error:.3f}" for error in errors)),
            ("residues", *(str(count) for count in counts)),
        ],
        html=page.images(layers, "Wrapped phase: noisy and denoised under a divider, and the truth."),
        report="interferogram_report.html",
        numbers={"rms_before": errors[0], "rms_after": errors[1], "residues": counts},
    )


def _spread(difference: np.ndarray) -> float:
    """Root mean square of differences of phases, radians."""
    return float(np.sqrt(np.mean(np.square(np.angle(np.exp(1j * difference))))))


def _write(path: Path, values: np.ndarray) -> None:
    from mvnet.data_loaders.insar.rasters import gdal

    height, width = values.shape
    with gdal().open(path, "w", driver="GTiff", height=height, width=width, count=1, dtype=values.dtype.name) as file:
        file.write(values, 1)


def _read(path: Path) -> np.ndarray:
    from mvnet.data_loaders.insar.rasters import gdal

    with gdal().open(path) as file:
        return file.read(1)
