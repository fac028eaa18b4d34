"""`mvnet train dti`: train the diffusion-tensor denoiser on a scan and on simulated brains."""

from __future__ import annotations

import json
import time
from math import ceil
from pathlib import Path
from typing import Annotated

import typer

NETWORKS = {
    "equivariant": {},
    "ordinary": {"fields": {"regular": 48}, "hidden": {"regular": 24}, "group": "E"},
}
"""The shipped network, and one of as many channels that knows no symmetry but has learned some from turned patches."""

_COARSE, _THICK = (0.72, 0.72, 0.72), (1.0, 1.0, 0.6)  # share of the voxels along each axis that stay

app = typer.Typer(help="Train a network.", no_args_is_help=True, add_completion=False)


@app.callback()
def group() -> None:
    """Train a network."""


@app.command("dti")
def train_dti(
    output: Annotated[Path, typer.Option("-o", "--output", help="run folder; an unfinished run in it is continued")],
    dwi: Annotated[Path | None, typer.Option(help="diffusion-weighted NIfTI to learn from")] = None,
    bval: Annotated[Path | None, typer.Option(help="its b-values, s/mm^2")] = None,
    bvec: Annotated[Path | None, typer.Option(help="its b-vectors")] = None,
    bvec_frame: Annotated[str | None, typer.Option(help="axes of the b-vectors: fsl, voxel or world")] = None,
    exclude: Annotated[str, typer.Option(help="slices START:STOP of the scan that are never used")] = "",
    simulated: Annotated[int, typer.Option(min=0, help="number of simulated brains")] = 16,
    steps: Annotated[int, typer.Option(min=1, help="optimisation steps")] = 4000,
    batch: Annotated[int, typer.Option(min=1, help="patches in a step")] = 4,
    patch: Annotated[int, typer.Option(min=1, help="voxels along each side of a patch")] = 16,
    network: Annotated[str, typer.Option(help="equivariant, or ordinary at the same cost")] = "equivariant",
    share: Annotated[float, typer.Option(min=0.01, max=1, help="of the training data that is used")] = 1.0,
    rate: Annotated[float, typer.Option(help="peak learning rate")] = 1.2e-3,
    workers: Annotated[int, typer.Option(min=0, help="processes that prepare patches")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="threads of the network on the CPU, 0 for all cores")] = 0,
    seed: Annotated[int, typer.Option(help="seed of everything")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress bar")] = False,
) -> None:
    """Train the DTI denoiser; the result is OUTPUT/dti.safetensors with its card OUTPUT/dti.json."""
    import torch

    from mvnet.apps.denoise_options import find_device
    from mvnet.apps.training import Run, Schedule, train
    from mvnet.data_loaders.dti_fields import central, resampled, scan_field, simulated_fields
    from mvnet.data_loaders.dti_training_set import TrainingSet
    from mvnet.models.checkpoint import save_checkpoint
    from mvnet.models.dti import DTIDenoiser

    if threads:
        torch.set_num_threads(threads)
    where = find_device(device)
    left_out = _slices(exclude)
    if network not in NETWORKS:
        raise ValueError(f"--network: found {network!r}, expected one of {sorted(NETWORKS)}")
    truths, scans, sources = [], [], []
    if dwi is not None:
        if bval is None or bvec is None:
            raise ValueError("--dwi was given without --bval and --bvec; a DWI needs both")
        native = scan_field(dwi, bval, bvec, bvec_frame, left_out)
        if share < 1:
            native = central(native, share)
        truths += [(0.55, native), (0.05, resampled(native, _COARSE)), (0.1, resampled(native, _THICK))]
        scans += [(0.25, native)]
        used = "" if share == 1 else f"the middle {share:.0%} of "
        sources.append(used + (f"{dwi.name} without slices {exclude}" if exclude else dwi.name))
    if simulated := ceil(share * simulated):
        truths += [(0.05 / simulated, field) for field in simulated_fields(simulated, seed)]
        sources.append(f"{simulated} simulated brains")
    if not truths:
        raise ValueError("training data: found none, expected --dwi with --bval and --bvec, or --simulated")

    data = TrainingSet(truths, scans, length=steps * batch, patch=patch, seed=seed)
    schedule = Schedule(steps=steps, batch=batch, rate=rate, workers=workers, seed=seed)
    torch.manual_seed(seed)  # initial weights
    model = DTIDenoiser(**NETWORKS[network]).to(where)
    run = Run(output, model, schedule)
    start, first = time.perf_counter(), run.step
    trained = train(run, _objective, data, quiet=quiet)
    card = {
        "task": "denoise diffusion tensors",
        "training_data": sources,
        "seed": seed,
        "steps": steps,
        "voxels_per_step": batch * patch**3,
        "device": str(where),
        "seconds": round(time.perf_counter() - start) if first == 0 else None,
        "parameters": sum(p.numel() for p in trained.parameters()),
    }
    save_checkpoint(output / "dti", trained, card)
    if not quiet:
        typer.echo(json.dumps(card, indent=2))


def _slices(text: str) -> slice:
    """START:STOP, or nothing."""
    if not text:
        return slice(0, 0)
    start, _, stop = text.partition(":")
    if not (start.isdecimal() and stop.isdecimal() and int(start) < int(stop)):
        raise ValueError(f"--exclude: found {text!r}, expected START:STOP with 0 <= START < STOP, such as 28:44")
    return slice(int(start), int(stop))


def _objective(model, batch):
    from mvnet.models.dti_training import denoising_loss

    device = next(model.parameters()).device
    return denoising_loss(model, *(tensor.to(device) for tensor in batch))
