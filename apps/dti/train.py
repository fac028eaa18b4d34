"""`mvnet train dti`: the denoiser of diffusion tensors, on a scan and on simulated brains."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Annotated

import typer

from mvnet.apps.common import training_options
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.options import Bval, Bvec, Device, Quiet
from mvnet.apps.common.training_options import (
    Batch,
    Optimizer,
    OptimizerOptions,
    Output,
    Patch,
    Rate,
    Start,
    Steps,
    Threads,
    Workers,
)
from mvnet.apps.dti.calibrate import Weighted, calibration_of

NETWORKS = {
    "equivariant": {},
    "ordinary": {"fields": {"regular": 48}, "hidden": {"regular": 24}, "group": "E"},
}
"""The shipped network, and one of as many channels without symmetry: it can learn some from transformed patches."""

_COARSE, _THICK = (0.72, 0.72, 0.72), (1.0, 1.0, 0.6)  # share of the voxels along each axis that stay
_MOST_SEED = 2**23 - 1  # the generator of an example takes 63 bits, of which the last 40 count the examples


def train(
    output: Output,
    dwi: Annotated[Path | None, typer.Option(help="Diffusion-weighted NIfTI image to learn from.")] = None,
    bval: Bval = None,
    bvec: Bvec = None,
    bvec_frame: Annotated[str | None, typer.Option(help="Axes of the b-vectors: fsl, voxel, world.")] = None,
    exclude: Annotated[str, typer.Option(help="Slices START:STOP of the scan to leave out, for testing.")] = "",
    hold_out: Annotated[
        str, typer.Option(help="Slices START:STOP of the scan that calibrate the confidence map, not learned from.")
    ] = "",
    simulated: Annotated[int, typer.Option(min=0, help="Number of simulated brains.")] = 16,
    steps: Steps = 7500,
    batch: Batch = 4,
    patch: Patch = 16,
    network: Annotated[str, typer.Option(help="equivariant, or ordinary at the same cost.")] = "equivariant",
    share: Annotated[float, typer.Option(min=0.01, max=1, help="Share of the training data to use.")] = 1.0,
    augment: Annotated[bool, typer.Option(help="Transform patches by random symmetries of the cube.")] = True,
    optimizer: Optimizer = "adamw",
    optimizer_options: OptimizerOptions = "",
    rate: Rate = None,
    start: Start = None,
    workers: Workers = 1,
    threads: Threads = 0,
    seed: Annotated[int, typer.Option(min=0, max=_MOST_SEED, help="Random seed.")] = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train the DTI denoiser; the result is OUTPUT/dti.safetensors with its card OUTPUT/dti.json."""
    import torch

    from mvnet import runtime
    from mvnet.apps.common.training import load_start, train_network
    from mvnet.data_loaders.dti.training.dataset import TrainingSet
    from mvnet.models.dti.loss import denoising_loss
    from mvnet.models.dti.network import DTIDenoiser
    from mvnet.training import Schedule

    descent = training_options.optimizer_options("dti", optimizer, optimizer_options, rate)
    with runtime.threads(threads):
        place = runtime.find_device(device)
        left_out, held_out = _parse_slices("exclude", exclude), _parse_slices("hold-out", hold_out)
        if network not in NETWORKS:
            raise UserError(f"--network: found {network!r}, expected one of {', '.join(sorted(NETWORKS))}")
        truths, scans, sources = [], [], []
        if dwi is not None:
            if bval is None or bvec is None:
                raise UserError("--dwi: found no --bval and --bvec with it, expected both")
            truths, scans = _scan_fields(dwi, bval, bvec, bvec_frame, (left_out, held_out), share)
            used = "" if share == 1 else f"the middle {share:.0%} of "
            sources.append(used + (f"{dwi.name} without slices {exclude}" if exclude else dwi.name))
        if count := ceil(share * simulated):
            truths += _brain_fields(count, seed)
            sources.append(f"{count} simulated brains")
        if not truths:
            raise UserError("training data: found none, expected --dwi with --bval and --bvec, or --simulated")

        data = TrainingSet(truths, scans, length=steps * batch, patch=patch, augment=augment, seed=seed)
        schedule = Schedule(steps=steps, batch=batch, workers=workers, seed=seed, **descent)
        torch.manual_seed(seed)  # initial weights
        model = load_start(DTIDenoiser(**NETWORKS[network]), start).to(place)
        card = {"task": "denoise diffusion tensors", "training_data": sources, "voxels_per_step": batch * patch**3}
        finish = calibration_of(truths, scans, held_out, count, data, batch)
        train_network(output / "dti", model, schedule, data, denoising_loss, card, quiet=quiet, finish=finish)


def _scan_fields(
    dwi: Path, bval: Path, bvec: Path, frame: str | None, left_out: tuple[slice, ...], share: float
) -> tuple[Weighted, Weighted]:
    """Fields taken as the truth (the scan, a coarse and a thick-sliced one), and the scan for pairs of two fits."""
    from mvnet.data_loaders.dti.training.fields import crop_centre, resample, scan_field

    native = scan_field(dwi, bval, bvec, frame, *left_out)
    if share < 1:
        native = crop_centre(native, share)
    truths = [(0.5, native), (0.05, resample(native, _COARSE)), (0.1, resample(native, _THICK))]
    return truths, [(0.3, native)]


def _brain_fields(count: int, seed: int) -> Weighted:
    """Simulated brains, which are a twentieth of the patches together."""
    from mvnet.data_loaders.dti.training.fields import simulated_fields

    return [(0.05 / count, field) for field in simulated_fields(count, seed)]


def _parse_slices(option: str, text: str) -> slice:
    """START:STOP, or nothing."""
    if not text:
        return slice(0, 0)
    start, _, stop = text.partition(":")
    if not (start.isdecimal() and stop.isdecimal() and int(start) < int(stop)):
        raise UserError(f"--{option}: found {text!r}, expected START:STOP with 0 <= START < STOP, such as 28:44")
    return slice(int(start), int(stop))
