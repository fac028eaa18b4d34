"""`mvnet train motion`: the denoiser of motions, on clean recordings and simulated bodies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvnet.apps.common import training_options
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.options import Device, Quiet, Seed
from mvnet.apps.common.training_options import (
    Optimizer,
    OptimizerOptions,
    Output,
    Precision,
    Rate,
    Start,
    Steps,
    TensorBoard,
    Threads,
    Workers,
)

if TYPE_CHECKING:
    from mvnet.data_loaders.motion.training.simulation import Body


def train(
    output: Output,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Clean recording with rotations of joints (BVH, AMC), or a folder of them; may be repeated."),
    ] = None,
    simulated: Annotated[int, typer.Option(min=0, help="Number of simulated bodies.")] = 20000,
    steps: Steps = 1500,
    batch: Annotated[int, typer.Option(min=1, help="Number of clips per step.")] = 4,
    frames: Annotated[int, typer.Option(min=16, help="Frames of a clip.")] = 128,
    joints: Annotated[int, typer.Option(min=1, help="Joints of a clip.")] = 16,
    optimizer: Optimizer = "adamw",
    optimizer_options: OptimizerOptions = "",
    rate: Rate = None,
    start: Start = None,
    precision: Precision = "float32",
    tensorboard: TensorBoard = False,
    workers: Workers = 1,
    threads: Threads = 0,
    seed: Seed = 0,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train the denoiser of motions; the result is OUTPUT/motion.safetensors with its card OUTPUT/motion.json."""
    import torch

    from mvnet import runtime
    from mvnet.apps.common.training import load_start, train_network, training_device
    from mvnet.data_loaders.motion.training.dataset import MotionTrainingSet
    from mvnet.models.motion.loss import motion_loss
    from mvnet.models.motion.network import MotionDenoiser
    from mvnet.training import Schedule

    descent = training_options.optimizer_options("motion", optimizer, optimizer_options, rate)
    with runtime.threads(threads):
        place = training_device(device)
        recorded, sources = _recordings(data or [])
        if simulated:
            sources.append(f"{simulated} simulated bodies")
        clips = MotionTrainingSet(recorded, steps * batch, simulated, frames, joints, seed)
        schedule = Schedule(steps=steps, batch=batch, workers=workers, seed=seed, precision=precision, **descent)
        model = MotionDenoiser(generator=torch.Generator().manual_seed(seed))
        load_start(model, start, missing="initial").to(place)
        card = {"task": "denoise motions", "training_data": sources, "frames_per_step": batch * frames}
        stem = output / "motion"
        train_network(stem, model, schedule, clips, motion_loss, card, quiet=quiet, tensorboard=tensorboard)


def _recordings(given: list[Path]) -> tuple[list[Body], list[str]]:
    """Rotations of the joints of files, those in folders included, and what the card says of them."""
    import torch

    from mvnet.data_loaders.motion import load_motion
    from mvnet.data_loaders.motion.training.simulation import Body

    endings = (".bvh", ".amc")
    files = [
        file
        for path in given
        for file in (sorted(f for f in path.iterdir() if f.suffix.lower() in endings) if path.is_dir() else [path])
    ]
    if given and not files:
        raise UserError(f"--data: found no {' or '.join(endings)} file in {given[0]}, expected some")
    bodies = []
    for file in files:
        motions = load_motion(file, value="local")
        if motions.parent is None:
            raise UserError(f"--data: found no tree of joints in {file}, expected a recording with a skeleton")
        parent = torch.from_numpy(motions.parent)
        bodies += [Body(torch.from_numpy(sequence).float(), parent) for sequence in motions.sequences]
    return bodies, [file.name for file in files]
