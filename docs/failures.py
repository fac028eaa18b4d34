"""What the networks cannot do, drawn for the page on limits: simulated, so that the truth is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from drawing import grid, save

import mvnet

PEAK, BAND = 1.7e-3, 0.3e-3  # mm^2/s along a fibre and across
ROWS, COLUMNS = 48, 192


def draw_failures(folder: Path) -> None:
    """failure_crossing.png, failure_fringes.png, failure_impact.png in a folder."""
    draw_crossing(folder / "failure_crossing.png")
    draw_fringes(folder / "failure_fringes.png")
    draw_impact(folder / "failure_impact.png")


def draw_crossing(path: Path) -> None:
    """FA of two bundles that cross: where they do, a single tensor is a disc, denoised or not."""
    from mvnet.data_loaders.dti.simulation import gradient_scheme

    bvals, bvecs = (np.asarray(part) for part in gradient_scheme(30, seed=0))
    y, x = np.mgrid[:40, :40]
    first, second = abs(y - 20) < 6, abs(x - 20) < 6
    along = [PEAK * bvecs[:, k] ** 2 + BAND * (1 - bvecs[:, k] ** 2) for k in (0, 1)]
    signals = [np.exp(-bvals * diffusivity) for diffusivity in (*along, np.full(len(bvals), 0.8e-3))]
    bundles = first[..., None] * signals[0] + second[..., None] * signals[1]
    clean = np.where((first | second)[..., None], bundles / np.maximum(first + 0 + second, 1)[..., None], signals[2])
    random = np.random.default_rng(0)
    volume = np.repeat(clean[:, :, None], 8, 2)
    noisy = np.abs(volume + (random.normal(size=volume.shape) + 1j * random.normal(size=volume.shape)) / 20)
    mask = np.ones(volume.shape[:3], bool)
    planes = [
        _fa(mvnet.denoise_dti(data, bvals, bvecs, mask=mask, strength=strength, spacing=(2, 2, 2)))[:, :, 4]
        for data, strength in ((volume, 0), (noisy, 0), (noisy, 1))
    ]
    titles = ["FA, no noise", "FA, SNR 20, fitted", "FA, SNR 20, mvnet"]
    save(grid([planes], titles, [{"cmap": "gray", "vmin": 0, "vmax": 0.9}]), path)


def _fa(tensors: np.ndarray) -> np.ndarray:
    """Of tensors (X, Y, Z, 6) in the order xx xy xz yy yz zz."""
    xx, xy, xz, yy, yz, zz = np.moveaxis(np.asarray(tensors), -1, 0)
    values = np.linalg.eigvalsh(np.stack([np.stack(r, -1) for r in ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))], -2))
    centred = values - values.mean(-1, keepdims=True)
    return np.sqrt(1.5 * (centred**2).sum(-1) / (values**2).sum(-1))


def draw_fringes(path: Path) -> None:
    """Fringes that get denser from left to right, up to one a pixel: phase with noise, denoised, and its quality."""
    rate = np.linspace(0.1, math.pi, COLUMNS)  # radians a pixel
    phase = np.broadcast_to(np.cumsum(rate), (ROWS, COLUMNS))
    random = np.random.default_rng(0)
    noise = random.normal(size=(2, ROWS, COLUMNS)) * 0.5
    z = (np.exp(1j * phase) + noise[0] + 1j * noise[1]).astype(np.complex64)
    found = mvnet.denoise_insar(z)
    filtered = np.angle(np.asarray(found))
    wrong = np.abs(np.angle(np.exp(1j * (filtered - phase))))
    cycle = {"cmap": "twilight", "vmin": -math.pi, "vmax": math.pi}
    planes = [np.angle(z), filtered, np.asarray(found.confidence), wrong]
    titles = ["phase, 0.1 to 3.1 rad a pixel", "mvnet", "quality, 0 to 1", "true error, 0 to 1 rad"]
    error = {"cmap": "viridis", "vmin": 0, "vmax": 1}
    figure = grid([[plane] for plane in planes], [titles[0]], [cycle, cycle, error, error])
    for axis, title in zip(figure.axes, titles, strict=True):
        axis.set_title(title, fontsize=9)
    figure.set_size_inches(5, 6.4)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.95, hspace=0.18)
    save(figure, path)


def draw_impact(path: Path) -> None:
    """A knee that bends smoothly, and a blow of two frames, which is taken for noise."""
    from matplotlib.figure import Figure

    from mvnet.linalg import so3
    from mvnet.models import pretrained
    from mvnet.models.motion.inference import denoise_motion

    time = torch.arange(120) / 60.0
    angle = 0.6 + 0.4 * torch.sin(4 * time)
    angle[60:62] += 0.5  # of the blow, true
    axis = torch.tensor([1.0, 0.0, 0.0])
    noise = 0.03 * torch.randn(120, 1, 3, generator=torch.Generator().manual_seed(0))
    noisy = so3.exp((angle[:, None] * axis)[:, None]) @ so3.exp(noise)
    model: Any = pretrained("motion")[0]
    found = denoise_motion(model, noisy)
    figure = Figure(figsize=(7, 2.8), facecolor="white")
    left = figure.subplots()
    for values, style, name in ((noisy, "0.7", "recorded"), (found.values, "C0", "mvnet")):
        left.plot(time, so3.log(values)[:, 0, 0].numpy(), color=style, label=name)
    left.plot(time, angle, "k:", lw=1, label="truth")
    left.plot(time, found.error[:, 0].numpy(), "C1", lw=1, label="expected error")
    left.set(xlabel="seconds", ylabel="angle of the knee, rad")
    left.legend(fontsize=8, ncols=2, loc="lower left")
    figure.tight_layout()
    save(figure, path)
