"""`mvnet train insar`: the denoiser of interferograms, on simulated scenes."""

from __future__ import annotations

from typing import Annotated

import typer

from mvnet.apps.common import training_options
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.options import Device, Quiet, Seed
from mvnet.apps.common.training_options import (
    Batch,
    Memory,
    Optimizer,
    OptimizerOptions,
    Output,
    Precision,
    Rate,
    Start,
    TensorBoard,
    Threads,
    Workers,
)


def train(
    output: Output,
    max_gradient: Annotated[
        float, typer.Option("--max-gradient", "--steepest", min=0, help="Maximum phase gradient, rad/pixel.")
    ] = 2.4,
    steps: Annotated[
        int | None,
        typer.Option(min=1, help="Number of optimisation steps (12000); with --posterior, of patches (800)."),
    ] = None,
    batch: Batch = 8,
    patch: Annotated[
        int | None, typer.Option(min=1, help="Side of a patch in pixels (64; with --posterior 128).")
    ] = None,
    posterior: Annotated[
        bool, typer.Option("--posterior", help="Fit the posterior of the denoiser of --from, which stays as it is.")
    ] = False,
    optimizer: Optimizer = "adamw",
    optimizer_options: OptimizerOptions = "",
    rate: Rate = None,
    start: Start = None,
    memory: Memory = "plain",
    precision: Precision = "float32",
    tensorboard: TensorBoard = False,
    workers: Workers = 1,
    threads: Threads = 0,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train the denoiser of interferograms; the result is OUTPUT/insar.safetensors with its card OUTPUT/insar.json.

    With --posterior the bank of filters that says how its errors hang together, OUTPUT/NAME-posterior.safetensors, in
    minutes.
    """
    import torch

    from mvnet import runtime
    from mvnet.apps.common.training import load_start, train_network, training_device
    from mvnet.data_loaders.insar.training.dataset import PhaseTrainingSet
    from mvnet.models.insar.loss import phase_loss
    from mvnet.models.insar.network import FIELD, InSARDenoiser
    from mvnet.training import Schedule

    descent = training_options.optimizer_options("insar", optimizer, optimizer_options, rate)
    with runtime.threads(threads):
        if posterior:
            from mvnet.apps.insar.posterior.train import PATCH, PATCHES, fit_posterior

            scenes = PhaseTrainingSet(steps or PATCHES, patch or PATCH, max_gradient, seed)
            return fit_posterior(output, start, scenes, quiet=quiet)
        steps, patch = steps or 12000, patch or 64
        place = training_device(device)
        data = PhaseTrainingSet(steps * batch, patch, max_gradient, seed)
        schedule = Schedule(steps=steps, batch=batch, workers=workers, seed=seed, precision=precision, **descent)
        torch.manual_seed(seed)  # initial weights
        model = InSARDenoiser(**FIELD)
        model.memory = memory
        load_start(model, start).to(place)
        if patch % model.alignment:
            raise UserError(f"--patch: found {patch}, expected a multiple of {model.alignment}")
        card = {
            "task": "denoise interferograms",
            "training_data": [f"simulated scenes, slopes up to {max_gradient:g} rad per pixel"],
            "pixels_per_step": batch * patch**2,
        }
        train_network(output / "insar", model, schedule, data, phase_loss, card, quiet=quiet, tensorboard=tensorboard)
