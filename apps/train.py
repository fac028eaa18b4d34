"""Training from the command line.

`mvnet train dti`: the denoiser of diffusion tensors, on a scan and on simulated brains.
`mvnet train insar`: the denoiser of interferograms, on simulated scenes.
`mvnet train activity`: the classifier of motions.
"""

from __future__ import annotations

import json
import time
from math import ceil
from pathlib import Path
from typing import Annotated, Any

import typer

from mvnet.apps.activity import commands as activity
from mvnet.errors import MvnetError

NETWORKS = {
    "equivariant": {},
    "ordinary": {"fields": {"regular": 48}, "hidden": {"regular": 24}, "group": "E"},
}
"""The shipped network, and one of as many channels that knows no symmetry: it can learn some from turned patches."""

_COARSE, _THICK = (0.72, 0.72, 0.72), (1.0, 1.0, 0.6)  # share of the voxels along each axis that stay

Output = Annotated[Path, typer.Option("-o", "--output", help="run folder; an unfinished run in it is continued")]
Steps = Annotated[int, typer.Option(min=1, help="optimisation steps")]
Batch = Annotated[int, typer.Option(min=1, help="patches in a step")]
Patch = Annotated[int, typer.Option(min=1, help="points along each side of a patch")]
Rate = Annotated[float, typer.Option(help="peak learning rate")]
Workers = Annotated[int, typer.Option(min=0, help="processes that prepare patches")]
Threads = Annotated[int, typer.Option(min=0, help="threads of the network on the CPU, 0 for all cores")]
Seed = Annotated[int, typer.Option(help="seed of everything")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]
Quiet = Annotated[bool, typer.Option("--quiet", help="no progress bar")]
Start = Annotated[str | None, typer.Option("--from", help="shipped weights or a checkpoint to start from")]

app = typer.Typer(help="Train a network.", no_args_is_help=True, add_completion=False)


@app.callback()
def group() -> None:
    """Train a network."""


app.command("activity")(activity.train)


@app.command("dti")
def train_dti(
    output: Output,
    dwi: Annotated[Path | None, typer.Option(help="diffusion-weighted NIfTI to learn from")] = None,
    bval: Annotated[Path | None, typer.Option(help="its b-values, s/mm^2")] = None,
    bvec: Annotated[Path | None, typer.Option(help="its b-vectors")] = None,
    bvec_frame: Annotated[str | None, typer.Option(help="axes of the b-vectors: fsl, voxel or world")] = None,
    exclude: Annotated[str, typer.Option(help="slices START:STOP of the scan that are never used")] = "",
    simulated: Annotated[int, typer.Option(min=0, help="number of simulated brains")] = 16,
    steps: Steps = 7500,
    batch: Batch = 4,
    patch: Patch = 16,
    network: Annotated[str, typer.Option(help="equivariant, or ordinary at the same cost")] = "equivariant",
    share: Annotated[float, typer.Option(min=0.01, max=1, help="of the training data that is used")] = 1.0,
    augment: Annotated[bool, typer.Option(help="turn patches by random symmetries of the cube")] = True,
    rate: Rate = 1.2e-3,
    start: Start = None,
    workers: Workers = 1,
    threads: Threads = 0,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train the DTI denoiser; the result is OUTPUT/dti.safetensors with its card OUTPUT/dti.json."""
    import torch

    from mvnet.data_loaders.dti.training.dataset import TrainingSet
    from mvnet.data_loaders.dti.training.fields import crop_centre, resample, scan_field, simulated_fields
    from mvnet.models.dti.network import DTIDenoiser
    from mvnet.training.run import Schedule

    where = _device(device, threads)
    left_out = _slices(exclude)
    if network not in NETWORKS:
        raise MvnetError(f"--network: found {network!r}, expected one of {sorted(NETWORKS)}")
    truths, scans, sources = [], [], []
    if dwi is not None:
        if bval is None or bvec is None:
            raise MvnetError("--dwi was given without --bval and --bvec; a DWI needs both")
        native = scan_field(dwi, bval, bvec, bvec_frame, left_out)
        if share < 1:
            native = crop_centre(native, share)
        truths += [(0.5, native), (0.05, resample(native, _COARSE)), (0.1, resample(native, _THICK))]
        scans += [(0.3, native)]
        used = "" if share == 1 else f"the middle {share:.0%} of "
        sources.append(used + (f"{dwi.name} without slices {exclude}" if exclude else dwi.name))
    if simulated := ceil(share * simulated):
        truths += [(0.05 / simulated, field) for field in simulated_fields(simulated, seed)]
        sources.append(f"{simulated} simulated brains")
    if not truths:
        raise MvnetError("training data: found none, expected --dwi with --bval and --bvec, or --simulated")

    data = TrainingSet(truths, scans, length=steps * batch, patch=patch, augment=augment, seed=seed)
    schedule = Schedule(steps=steps, batch=batch, rate=rate, workers=workers, seed=seed)
    torch.manual_seed(seed)  # initial weights
    model = _started(DTIDenoiser(**NETWORKS[network]), start).to(where)
    card = {"task": "denoise diffusion tensors", "training_data": sources, "voxels_per_step": batch * patch**3}
    _train(output, "dti", model, schedule, data, _tensor_objective, card, quiet)


@app.command("insar")
def train_insar(
    output: Output,
    steepest: Annotated[float, typer.Option(min=0, help="slopes up to about so many radians per pixel")] = 2.4,
    steps: Steps = 12000,
    batch: Batch = 8,
    patch: Patch = 64,
    rate: Rate = 2e-3,
    start: Start = None,
    workers: Workers = 1,
    threads: Threads = 0,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train the denoiser of interferograms; the result is OUTPUT/insar.safetensors with its card OUTPUT/insar.json."""
    import torch

    from mvnet.data_loaders.insar.training.dataset import PhaseTrainingSet
    from mvnet.models.insar.network import InSARDenoiser
    from mvnet.training.run import Schedule

    where = _device(device, threads)
    data = PhaseTrainingSet(length=steps * batch, patch=patch, max_gradient=steepest, seed=seed)
    schedule = Schedule(steps=steps, batch=batch, rate=rate, workers=workers, seed=seed)
    torch.manual_seed(seed)  # initial weights
    model = _started(InSARDenoiser(), start).to(where)
    if patch % model.alignment:
        raise MvnetError(f"--patch: found {patch}, expected a multiple of {model.alignment}")
    card = {
        "task": "denoise interferograms",
        "training_data": [f"simulated scenes, slopes up to {steepest:g} rad per pixel"],
        "pixels_per_step": batch * patch**2,
    }
    _train(output, "insar", model, schedule, data, _phase_objective, card, quiet)


def _device(name: str, threads: int):
    import torch

    from mvnet.runtime import find_device

    if threads:
        torch.set_num_threads(threads)
    return find_device(name)


def _started(model, start: str | None):
    """The network with the weights it is to start from, its own when there are none. What these weights lack starts at
    zero, where a branch adds nothing: a larger network begins as the smaller one."""
    import torch

    from mvnet.models.checkpoint import find_model

    if start is not None:
        given, _ = find_model(start)
        nothing = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
        try:
            model.load_state_dict(nothing | given.state_dict())
        except RuntimeError as error:
            raise MvnetError(f"--from: found weights of another network in {start}, expected {model.config}") from error
    return model


def _train(output: Path, name: str, model, schedule, data, objective, card: dict[str, Any], quiet: bool) -> None:
    """Run to the end of the schedule, then write OUTPUT/NAME.safetensors and its card."""
    from mvnet.models.checkpoint import save_checkpoint
    from mvnet.training.run import Run, train

    run = Run(output, model, schedule)
    start, first = time.perf_counter(), run.step
    trained = train(run, objective, data, quiet=quiet)
    full = {
        **card,
        "seed": schedule.seed,
        "steps": schedule.steps,
        "device": str(next(model.parameters()).device),
        "seconds": round(time.perf_counter() - start) if first == 0 else None,
        "parameters": sum(p.numel() for p in trained.parameters()),
    }
    save_checkpoint(output / name, trained, full)
    if not quiet:
        typer.echo(json.dumps(full, indent=2))


def _slices(text: str) -> slice:
    """START:STOP, or nothing."""
    if not text:
        return slice(0, 0)
    start, _, stop = text.partition(":")
    if not (start.isdecimal() and stop.isdecimal() and int(start) < int(stop)):
        raise MvnetError(f"--exclude: found {text!r}, expected START:STOP with 0 <= START < STOP, such as 28:44")
    return slice(int(start), int(stop))


def _tensor_objective(model, batch):
    from mvnet.models.dti.loss import denoising_loss

    return denoising_loss(model, *batch)


def _phase_objective(model, batch):
    from mvnet.models.insar.loss import phase_loss

    return phase_loss(model, *batch)
