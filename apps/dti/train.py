"""`mvnet train dti`: the denoiser of diffusion tensors, on scans, simulated brains and simulated scans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvnet.apps.common import training_options
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.options import Device, Quiet
from mvnet.apps.common.training_options import (
    Batch,
    Memory,
    Optimizer,
    OptimizerOptions,
    Output,
    Patch,
    Precision,
    Rate,
    Start,
    TensorBoard,
    Threads,
    Workers,
)
from mvnet.apps.dti.calibrate import Weighted, calibration_of
from mvnet.apps.dti.posterior.train import FASTER, STEPS, fit_posterior

if TYPE_CHECKING:
    from torch import nn

    from mvnet.models.dti.certified.network import CertifiedDenoiser

NETWORKS = {
    "equivariant": {"convolutions": (4, 4, 2), "spread": True, "size_noise": True},
    "reversible": {
        "fields": {"trivial": 8, "faces": 2, "vertices": 2, "edges": 2},
        "convolutions": (4, 4),
        "trunk": "reversible",
        "spread": True,
        "size_noise": True,
    },
    "ordinary": {
        "fields": {"regular": 48},
        "hidden": {"regular": 24},
        "convolutions": (4, 4, 2),
        "group": "E",
        "spread": True,
        "size_noise": True,
    },
    "certified": {},
}
"""The shipped network, one whose convolutions can be run backwards, one of as many channels without symmetry, which can
learn some from transformed patches, and the one that cannot amplify."""

_RESAMPLED = ((0.04, (0.72, 0.72, 0.72)), (0.08, (1.0, 1.0, 0.6)), (0.04, (1.0, 1.0, 0.36)))
"""Shares of the training, and of the voxels along each axis that stay."""

_FITTED, _SPLIT, _BRAINS, _SCANNED = 0.44, 0.22, 0.1, 0.1  # shares of the training
_MOST_SEED = 2**23 - 1
_STEPS = 7500


def train(
    output: Output,
    dwi: Annotated[
        list[Path] | None, typer.Option(help="Diffusion-weighted image to learn from; may be given several times.")
    ] = None,
    bval: Annotated[
        list[Path] | None, typer.Option(help="b-values of each --dwi, in its order (or files beside it).")
    ] = None,
    bvec: Annotated[
        list[Path] | None, typer.Option(help="b-vectors of each --dwi, in its order (or files beside it).")
    ] = None,
    mask: Annotated[list[Path] | None, typer.Option(help="Mask of each --dwi, in its order (from the data).")] = None,
    bvec_frame: Annotated[str | None, typer.Option(help="Axes of the b-vectors: fsl, voxel, world.")] = None,
    exclude: Annotated[str, typer.Option(help="Slices START:STOP of the scan to leave out, for testing.")] = "",
    hold_out: Annotated[
        str, typer.Option(help="Slices START:STOP of the scan that calibrate the confidence map, not learned from.")
    ] = "",
    scanned: Annotated[
        list[Path] | None,
        typer.Option(help="Scan of a simulated scanner with its truth (.npz), or a folder of them; may be repeated."),
    ] = None,
    simulated: Annotated[int, typer.Option(min=0, help="Number of simulated brains.")] = 16,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Number of optimisation steps (7500; with --posterior 1500).")
    ] = None,
    batch: Batch = 4,
    patch: Patch = 16,
    network: Annotated[
        str,
        typer.Option(
            help="equivariant; reversible: deep in little memory with --memory low; ordinary, without symmetry; or "
            "certified: it cannot amplify."
        ),
    ] = "equivariant",
    convolutions: Annotated[
        str, typer.Option(help="Number of convolutions of every stage, such as 8,8 (that of the network).")
    ] = "",
    posterior: Annotated[
        bool, typer.Option("--posterior", help="Fit the posterior of the denoiser of --from, which stays as it is.")
    ] = False,
    share: Annotated[float, typer.Option(min=0.01, max=1, help="Share of the training data to use.")] = 1.0,
    augment: Annotated[bool, typer.Option(help="Transform patches by random symmetries of the cube.")] = True,
    optimizer: Optimizer = "adamw",
    optimizer_options: OptimizerOptions = "",
    rate: Rate = None,
    start: Start = None,
    memory: Memory = "plain",
    precision: Precision = "float32",
    tensorboard: TensorBoard = False,
    workers: Workers = 1,
    threads: Threads = 0,
    seed: Annotated[int, typer.Option(min=0, max=_MOST_SEED, help="Random seed.")] = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train the DTI denoiser; the result is OUTPUT/dti.safetensors with its card OUTPUT/dti.json.

    With --posterior the head that says how sure a denoiser is, OUTPUT/NAME-posterior.safetensors, in minutes.
    """
    from mvnet import runtime

    given = SimpleNamespace(**locals())
    with runtime.threads(threads):
        _train(given)


def _train(given: SimpleNamespace) -> None:
    """The command, from its options."""
    import torch

    from mvnet.apps.common.training import load_start, train_network, training_device
    from mvnet.data_loaders.dti.training.dataset import TrainingSet
    from mvnet.training import Schedule

    descent = training_options.optimizer_options("dti", given.optimizer, given.optimizer_options, given.rate)
    place = training_device(given.device)
    left_out = _parse_slices("exclude", given.exclude)
    held_out = _parse_slices("hold-out", given.hold_out)
    config = _config(given.network, given.convolutions, given.memory)
    batch, patch, seed, share = given.batch, given.patch, given.seed, given.share
    files = _scan_files(given.dwi or [], given.bval or [], given.bvec or [], given.mask or [])
    count = ceil(share * given.simulated)
    schedule = Schedule(batch=batch, workers=given.workers, seed=seed, precision=given.precision, **descent)
    if given.posterior:
        faster = 1 if given.rate else FASTER
        schedule = replace(schedule, steps=given.steps or STEPS, rate=schedule.rate * faster)
        clean = _brain_fields(count, seed), _scanned_fields(given.scanned or [], share)
        how = schedule, patch, given.augment, place, given.quiet
        return fit_posterior(given.output, given.start, files, given.bvec_frame, (left_out, held_out), *clean, *how)
    schedule = replace(schedule, steps=given.steps or _STEPS)
    truths, scans, sources = _scans(files, given.bvec_frame, (left_out, held_out), share, given.exclude)
    if count:
        truths += _brain_fields(count, seed)
        sources.append(f"{count} simulated brains")
    others = _scanned_fields(given.scanned or [], share)
    if others:
        sources.append(f"{len(others)} scans of a simulated scanner")
    if not truths and not others:
        raise UserError("training data: found none, expected --dwi with its gradients, --simulated or --scanned")

    length = schedule.steps * batch
    data = TrainingSet(truths, scans, others, length, patch=patch, augment=given.augment, seed=seed)
    torch.manual_seed(seed)  # initial weights
    model, loss = _network(given.network, config)
    model.memory = given.memory
    model = load_start(model, given.start, missing="initial").to(place)
    card = {"task": "denoise diffusion tensors", "training_data": sources, "voxels_per_step": batch * patch**3}
    certified = given.network == "certified"
    finish = _drop_idle_rounds if certified else calibration_of(truths, scans, held_out, count, data, batch)
    how = {"quiet": given.quiet, "finish": finish, "tensorboard": given.tensorboard}
    train_network(given.output / "dti", model, schedule, data, loss, card, **how)


def _scans(
    files: list[tuple[Path, Path, Path, Path | None]],
    frame: str | None,
    left_out: tuple[slice, ...],
    share: float,
    exclude: str,
) -> tuple[Weighted, Weighted, list[str]]:
    """Fields of all scans taken as the truth, scans for pairs of two fits, and what the card says of them."""
    truths, scans, sources = [], [], []
    for file in files:
        fitted, split = _scan_fields(file, frame, left_out, share)
        truths += [(weight / len(files), field) for weight, field in fitted]
        scans += [(weight / len(files), field) for weight, field in split]
        used = "" if share == 1 else f"the middle {share:.0%} of "
        sources.append(used + (f"{file[0].name} without slices {exclude}" if exclude else file[0].name))
    return truths, scans, sources


def _config(name: str, convolutions: str, memory: str) -> dict[str, Any]:
    """The options of a network. UserError: an unknown one, or options that it does not take."""
    if name not in NETWORKS:
        raise UserError(f"--network: found {name!r}, expected one of {', '.join(sorted(NETWORKS))}")
    if name == "certified" and (convolutions or memory != "plain"):
        option = "--convolutions" if convolutions else "--memory"
        raise UserError(f"{option}: found the certified network, expected one of the others")
    if not convolutions:
        return NETWORKS[name]
    counts = convolutions.split(",")
    if not all(count.isdecimal() for count in counts):
        raise UserError(f"--convolutions: found {convolutions!r}, expected a number for every stage, such as 8,8")
    return {**NETWORKS[name], "convolutions": tuple(map(int, counts))}


def _network(name: str, config: dict[str, Any]) -> tuple[nn.Module, Callable[..., Any]]:
    """An untrained network of `NETWORKS`, and its loss."""
    from mvnet.models.dti.certified.loss import certified_loss
    from mvnet.models.dti.certified.network import CertifiedDenoiser
    from mvnet.models.dti.loss import denoising_loss
    from mvnet.models.dti.network import DTIDenoiser

    if name == "certified":
        return CertifiedDenoiser(**config), certified_loss
    return DTIDenoiser(**config), denoising_loss


def _drop_idle_rounds(model: CertifiedDenoiser) -> dict[str, Any]:
    """The trained certified network without the rounds whose step is 0; the entries of its card."""
    model.steps.project_()
    learned = len(model.rounds)
    return {
        "rounds": model.drop_idle_rounds(),
        "rounds_before_training": learned,
        "steps_of_rounds": [round(step, 4) for step in model.steps().tolist()],
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def _scan_files(
    images: list[Path], bvals: list[Path], bvecs: list[Path], masks: list[Path]
) -> list[tuple[Path, Path, Path, Path | None]]:
    """Image, b-values, b-vectors and mask of every scan. UserError: another number of them than of images."""
    from mvnet.data_loaders.dti.formats.gradient_files import find_gradient_files

    for name, given in (("bval", bvals), ("bvec", bvecs), ("mask", masks)):
        if given and len(given) != len(images):
            raise UserError(f"--{name}: found {len(given)}, expected {len(images)}, one for every --dwi")
    beside = [find_gradient_files(image) if image.is_file() else None for image in images]
    if missing := [image for image, found in zip(images, beside) if not (bvals and bvecs) and found is None]:
        raise UserError(f"--dwi: found no --bval and --bvec for {missing[0]}, expected both")
    gradients = list(zip(bvals, bvecs)) if bvals and bvecs else [found for found in beside if found is not None]
    return [(image, *pair, masks[k] if masks else None) for k, (image, pair) in enumerate(zip(images, gradients))]


def _scan_fields(
    file: tuple[Path, Path, Path, Path | None],
    frame: str | None,
    left_out: tuple[slice, ...],
    share: float,
) -> tuple[Weighted, Weighted]:
    """Fields taken as the truth (the scan, coarse and thick-sliced ones), and the scan for pairs of two fits."""
    from mvnet.data_loaders.dti.gradients import is_b0
    from mvnet.data_loaders.dti.training.dataset import FEWEST_DIRECTIONS
    from mvnet.data_loaders.dti.training.fields import crop_centre, resample, scan_field

    dwi, bval, bvec, mask = file
    native = scan_field(dwi, bval, bvec, frame, *left_out, mask=mask)
    if share < 1:
        native = crop_centre(native, share)
    coarse = [(weight, resample(native, zoom)) for weight, zoom in _RESAMPLED]
    coarse = [(weight, field) for weight, field in coarse if field.largest_patch()]  # a thin slab has no coarse slices
    enough = native.bvals is not None and int((~is_b0(native.bvals)).sum()) >= FEWEST_DIRECTIONS
    return [(_FITTED, native), *coarse], [(_SPLIT, native)] if enough else []


def _brain_fields(count: int, seed: int) -> Weighted:
    """Simulated brains, with their share of the patches together."""
    from mvnet.data_loaders.dti.training.fields import simulated_fields

    return [(_BRAINS / count, field) for field in simulated_fields(count, seed)]


def _scanned_fields(given: list[Path], share: float) -> Weighted:
    """Scans of a simulated scanner, in files or folders, with their share of the patches together."""
    from mvnet.data_loaders.dti.training.fields import scanned_field

    files = [file for path in given for file in (sorted(path.glob("*.npz")) if path.is_dir() else [path])]
    if given and not files:
        raise UserError(f"--scanned: found no .npz file in {given[0]}, expected some")
    used = files[: ceil(share * len(files))]
    return [(_SCANNED / len(used), scanned_field(file)) for file in used]


def _parse_slices(option: str, text: str) -> slice:
    """START:STOP, or nothing."""
    if not text:
        return slice(0, 0)
    start, _, stop = text.partition(":")
    if not (start.isdecimal() and stop.isdecimal() and int(start) < int(stop)):
        raise UserError(f"--{option}: found {text!r}, expected START:STOP with 0 <= START < STOP, such as 28:44")
    return slice(int(start), int(stop))
