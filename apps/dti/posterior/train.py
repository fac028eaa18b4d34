"""`mvnet train dti --posterior`: the head that says how sure a denoiser is, fitted on its frozen features.

Half of the patches are simulated brains, whose truth is clean; the others are the scans, taken as the truth of
simulated noise or split by directions, whose targets have noise of their own that the head is told. The noise that
correlates samples in space is measured at the end, on whole simulated brains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvnet.apps.common.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from mvnet.apps.dti.calibrate import Weighted
    from mvnet.data_loaders.dti.training.pairs import TensorField
    from mvnet.models.dti.network import DTIDenoiser
    from mvnet.models.dti.posterior.network import DTIPosterior
    from mvnet.training import Schedule

STEPS = 3000
"""Of a fit when nothing is said."""

FASTER = 3.0
"""Learning rate over that of the denoiser: the head is small."""

_WARM_UP = 50
_CLEAN, _FITTED, _SPLIT, _SCANNED = 0.5, 0.38, 0.12, 0.2  # shares of the training
_PATCHES, _VOXELS = 512, 1024  # whose features are computed; that one example of a batch draws from them
_VOLUMES, _SIDE = 4, 40  # on which the correlation of the noise is measured
_SNR = (10.0, 30.0)


def fit_posterior(
    output: Path,
    start: str | None,
    files: Sequence[tuple[Path, Path, Path, Path | None]],
    frame: str | None,
    left_out: tuple[slice, ...],
    brains: Weighted,
    scanned: Weighted,
    schedule: Schedule,
    patch: int,
    augment: bool,
    place: Any,
    quiet: bool,
) -> None:
    """Fit a head, and write OUTPUT/NAME-posterior.safetensors beside its card.

    Args:
        output: run folder.
        start: name of a shipped denoiser, or path of a checkpoint.
        files: image, b-values, b-vectors and mask of every scan.
        frame: axes of the b-vectors.
        left_out: slices of the scans that are not used.
        brains, scanned: fields with a clean truth.
        schedule: of the run.
        patch: side of a patch in voxels.
        augment: whether patches are transformed.
        place: device.
        quiet: neither a progress bar nor the card on stdout.
    Raises:
        UserError: no denoiser to fit the head of, or no field with a clean truth.
    """
    import torch

    from mvnet.apps.common.console import Console
    from mvnet.apps.common.training import train_network
    from mvnet.data_loaders.dti.training.referenced import ReferencedSet
    from mvnet.models.dti.posterior.loss import VoxelSet, posterior_loss, voxel_features
    from mvnet.models.dti.posterior.network import DTIPosterior
    from mvnet.models.posterior_weights import head_name

    if start is None:
        raise UserError("--posterior: found no --from, expected the denoiser that it belongs to, such as --from dti")
    if not brains and not scanned:
        raise UserError("--simulated: found no brain, expected some: a posterior is fitted on clean truths too")
    denoiser, identity = _denoiser(start)
    truths, scans, words = _fields(files, frame, left_out)
    clean = [(_CLEAN * weight / sum(w for w, _ in brains), field) for weight, field in brains]
    others = [(_SCANNED * weight / sum(w for w, _ in scanned), field) for weight, field in scanned]
    words += [f"{len(brains)} simulated brains"] * bool(brains)
    words += [f"{len(scanned)} scans of a simulated scanner"] * bool(scanned)
    schedule = replace(schedule, warm_up=min(_WARM_UP, schedule.steps))
    length = schedule.steps * schedule.batch
    patches = ReferencedSet([*clean, *truths], scans, others, _PATCHES, patch, augment=augment, seed=schedule.seed)
    denoiser = denoiser.to(place)
    with Console(quiet).progress("features of patches") as progress:
        voxels = voxel_features(denoiser, patches, progress)
    data = VoxelSet(voxels, length, _VOXELS, schedule.seed)
    torch.manual_seed(schedule.seed)  # initial weights
    head = DTIPosterior(trunk=denoiser.config["fields"], group=denoiser.config["group"]).to(place)
    card = {
        "task": "posterior of denoised diffusion tensors",
        "denoiser": identity,
        "training_data": words,
        "patches": _PATCHES,
        "voxels_per_step": schedule.batch * _VOXELS,
    }
    finish = _filter_of(denoiser, [field for _, field in (brains or scanned)], schedule.seed)
    name = head_name(identity["name"])
    train_network(
        output / name, head, schedule, data, posterior_loss, card, quiet=quiet, finish=finish, checkpoint=f"{name}-run"
    )


def _denoiser(start: str) -> tuple[DTIDenoiser, dict[str, str]]:
    """The denoiser, frozen, and what identifies it."""
    from mvnet.models.checkpoint import find_model, weights_hash
    from mvnet.models.dti.network import DTIDenoiser
    from mvnet.models.posterior_weights import weights_path

    model, card = find_model(start)
    if not isinstance(model, DTIDenoiser):
        raise UserError(f"--from: found a {card['architecture']}, expected a DTIDenoiser for --posterior")
    path = weights_path(start)
    return model.requires_grad_(False), {"name": path.stem, "sha256": weights_hash(path)}


def _fields(
    files: Sequence[tuple[Path, Path, Path, Path | None]], frame: str | None, left_out: tuple[slice, ...]
) -> tuple[Weighted, Weighted, list[str]]:
    """Scans taken as the truth, scans that are split, and their names."""
    from mvnet.data_loaders.dti.gradients import is_b0
    from mvnet.data_loaders.dti.training.dataset import FEWEST_DIRECTIONS
    from mvnet.data_loaders.dti.training.fields import scan_field

    truths, scans, words = [], [], []
    gaps = ", ".join(f"{part.start}:{part.stop}" for part in left_out if part.stop > part.start)
    for dwi, bval, bvec, mask in files:
        field = scan_field(dwi, bval, bvec, frame, *left_out, mask=mask)
        truths.append((_FITTED / len(files), field))
        if field.bvals is not None and int((~is_b0(field.bvals)).sum()) >= FEWEST_DIRECTIONS:
            scans.append((_SPLIT / len(files), field))
        words.append(f"{dwi.name} without slices {gaps}" if gaps else dwi.name)
    return truths, scans, words


def _filter_of(
    denoiser: DTIDenoiser, fields: Sequence[TensorField], seed: int
) -> Callable[[nn.Module], dict[str, Any]]:
    """What `train_network` does with the fitted head: its noise filter, from latents of whole volumes."""

    def finish(head: DTIPosterior) -> dict[str, Any]:
        import torch

        from mvnet.data_loaders.dti.training.dataset import random_scheme
        from mvnet.data_loaders.dti.training.pairs import noisy_pair
        from mvnet.data_loaders.dti.training.referenced import ReferencedPair
        from mvnet.data_loaders.random_fields import log_uniform
        from mvnet.models.dti.posterior.noise import measure_filter

        random = torch.Generator().manual_seed(2**31 + seed)
        pairs = []
        for number in range(_VOLUMES):
            field = fields[number % len(fields)]
            part = field.patch(min(_SIDE, field.largest_patch()), random)
            pair = noisy_pair(part, *random_scheme(random), log_uniform(*_SNR, random), random)
            pairs.append(ReferencedPair(*pair, torch.zeros_like(pair.noisy[0])))
        head.taps.copy_(measure_filter(denoiser, head, pairs))
        lags = measure_lags(head.taps)
        return {"correlation_of_the_noise": [round(x, 3) for x in lags]}

    from mvnet.models.dti.posterior.noise import measure_lags

    return finish  # type: ignore[return-value]
