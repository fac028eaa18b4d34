"""`--adapt`: fine-tune a denoiser on the user's own scan, for which no clean truth exists.

Every step fits the tensors of a random half (or fewer) of the directions of a patch, from which the network predicts
those of the others. The noise of the two is independent, so that the best prediction of one is the best estimate of the
truth (Noise2Noise on the manifold; Lehtinen et al., 2018). The b0 is shared, as there is often only one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn

from mvnet.data_loaders.dti.gradients import is_b0
from mvnet.data_loaders.dti.training.dataset import FEWEST_DIRECTIONS, TrainingSet
from mvnet.data_loaders.dti.training.fields import field_of
from mvnet.data_loaders.dti.training.pairs import TrainingPair
from mvnet.data_loaders.dti.volume import DTIVolume
from mvnet.errors import MvnetError
from mvnet.models.dti.loss import denoising_loss
from mvnet.models.dti.network import DTIDenoiser
from mvnet.optim.registry import default_rate
from mvnet.training import Run, Schedule, batches_of

_WEIGHT_DECAY = 0.01


def adapt(
    model: nn.Module,
    volume: DTIVolume,
    *,
    steps: int = 150,
    batch: int = 2,
    patch: int = 24,
    rate: float | None = None,
    optimizer: str = "adamw",
    optimizer_options: str = "",
    memory: str = "plain",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> DTIDenoiser:
    """Fine-tune a copy of the network on a volume fitted from a DWI.

    Args:
        model: not modified.
        volume: from `load_dwi`.
        steps, batch, patch: number of steps, patches in a step, side of a patch in voxels.
        rate: initial learning rate, which falls linearly to zero; that of the optimiser when None.
        optimizer: a name of `mvnet.optim.OPTIMIZERS`.
        optimizer_options: further options of the optimiser, "k=v,...".
        memory: "low" needs less of it and more time, for the same result but for rounding (`mvnet.nn.memory`).
        seed: random seed of the patches and the splits.
        progress: called as progress(done, total) after every step.
    Returns:
        the copy, in eval mode.
    Raises:
        MvnetError: another network, such as the certified one; the volume has no DWI, or fewer than 12 directions; an
            unknown optimiser, option or name of `memory`.
    """
    if not isinstance(model, DTIDenoiser):
        raise MvnetError(f"adapt: found a {type(model).__name__}, expected a DTIDenoiser: cards describe the weights")
    field = field_of(volume)
    if field.bvals is None or (directions := int((~is_b0(field.bvals)).sum())) < FEWEST_DIRECTIONS:
        found = "no DWI" if field.bvals is None else f"{directions} directions"
        raise MvnetError(f"adapt: found {found}, expected a DWI with at least {FEWEST_DIRECTIONS} directions")
    side = min(patch, *field.mask.shape)
    data = TrainingSet([], [(1.0, field)], length=steps * batch, patch=side, p_without_acquisition=0.0, seed=seed)
    schedule = Schedule(
        steps=steps,
        batch=batch,
        rate=default_rate(optimizer, "adapt") if rate is None else rate,
        warm_up=1,
        weight_decay=_WEIGHT_DECAY,
        average=0.0,
        workers=0,
        seed=seed,
        optimizer=optimizer,
        optimizer_options=optimizer_options,
        decay="linear",
    )
    network = copy.deepcopy(model)
    network.memory = memory
    run = Run(None, network, schedule)
    for _ in run.steps(_objective, batches_of(data, schedule, 0)):
        if progress is not None:
            progress(run.step, steps)
    return run.finish()  # type: ignore[return-value]


def _objective(model: nn.Module, pair: TrainingPair) -> tuple[Tensor, dict[str, float]]:
    return denoising_loss(model, *pair)  # type: ignore[arg-type]
