"""The end of `mvnet train dti`: the confidence map is calibrated on patches that training has not seen.

They come from the slices that `--hold-out` keeps out of training, one half of the head for the fit and the other to
check it, and from simulated brains of other seeds. Without such slices they are cut from the volumes of the training,
with noise and directions of numbers that it never draws. Slices of `--exclude` are for testing, and are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from mvnet.data_loaders.dti.training.dataset import TrainingSet
    from mvnet.data_loaders.dti.training.pairs import TensorField, TrainingPair

Weighted = list[tuple[float, "TensorField"]]
"""Fields, each with its share of the training patches."""

_MOST_PATCHES, _LEAST_PATCHES = 192, 4  # for the fit, and as many to check it
_SHARE = 20  # patches of the training for one of these
_LEAST_SLICES = 8  # below it a patch is mostly border
_BRAINS = 2  # at most, of either half
_BRAIN_SEED = 2**23  # seeds of a training are smaller
_EXAMPLE = 2**31  # examples of a training have smaller numbers, and generators tell 32 bits apart


def calibration_of(
    truths: Weighted, scans: Weighted, held_out: slice, brains: int, data: TrainingSet, batch: int
) -> Callable[[nn.Module], dict[str, Any]]:
    """What `train_network` does with the trained network before it writes it.

    Args:
        truths, scans: fields of the training.
        held_out: slices of the scan that are kept for this.
        brains: number of simulated brains in `truths`, at its end.
        data: the patches of the training.
        batch: number of patches that the network sees at a time.
    Returns:
        network -> the entry "calibration" of its card.
    """

    def finish(model: nn.Module) -> dict[str, Any]:
        from mvnet.models.calibration import calibrate
        from mvnet.models.dti.network import DTIDenoiser

        assert isinstance(model, DTIDenoiser)
        (fit, check), words = hold_out(truths, scans, held_out, brains, data, batch)
        found = calibrate(model, fit, check)
        ratios = {"before": round(found.before, 4), "after": round(found.after, 4)}
        likelihoods = {"before": round(found.likelihood_before, 4), "after": round(found.likelihood_after, 4)}
        return {
            "calibration": {
                "held_out": words,
                "patches": sum(len(pair.mask) for pair in check),
                "error_over_expected": ratios,
                "negative_log_likelihood": likelihoods,
                "steps": found.steps,
                "head_replaced": found.kept,
            }
        }

    return finish


def hold_out(
    truths: Weighted, scans: Weighted, held_out: slice, brains: int, data: TrainingSet, batch: int
) -> tuple[list[list[TrainingPair]], str]:
    """Patches that a training does not see.

    Args:
        truths, scans, held_out, brains, data, batch: as of `calibration_of`.
    Returns:
        collated batches to fit to and as many to check with; where they come from, in words.
    """
    from torch.utils.data import DataLoader

    count = min(max(len(data) // _SHARE, _LEAST_PATCHES), _MOST_PATCHES)
    sets, words = held_out_sets(truths, scans, held_out, brains, data)
    orders = [range(_EXAMPLE + k * count, _EXAMPLE + (k + 1) * count) for k in range(2)]
    return [list(DataLoader(part, batch, sampler=order)) for part, order in zip(sets, orders)], words


def held_out_sets(
    truths: Weighted, scans: Weighted, held_out: slice, brains: int, data: TrainingSet
) -> tuple[list[TrainingSet], str]:
    """Patches to fit to and patches to check with, and where they come from."""
    from mvnet.data_loaders.dti.training.dataset import TrainingSet
    from mvnet.data_loaders.dti.training.fields import simulated_fields

    measured, words = truths[: len(truths) - brains], []
    halves: list[tuple[Weighted, Weighted]] = [(list(measured), scans) for _ in range(2)]
    patch = data.patch
    if scans:
        native = scans[0][1]
        start, stop, _ = held_out.indices(native.mask.shape[2])
        side = min(patch, stop - start, native.mask.shape[0] // 2)
        if side >= min(patch, _LEAST_SLICES):
            patch = side
            parts = [_half(replace(native, slice_ranges=((start, stop),)), k) for k in range(2)]
            halves = [([(truths[0][0], part)], [(scans[0][0], part)]) for part in parts]
            words.append(f"slices {start}:{stop} of the scan")
        else:
            words.append("other draws from the scan")
    if brains:
        number = min(brains, _BRAINS)
        fields = simulated_fields(2 * number, _BRAIN_SEED + data.seed)
        share = sum(weight for weight, _ in truths[len(truths) - brains :]) / number
        for k, (some, _) in enumerate(halves):
            some.extend((share, field) for field in fields[k * number : (k + 1) * number])
        words.append(f"{2 * number} other simulated brains")
    sets = [
        TrainingSet(t, s, data.scanned, length=1, patch=patch, augment=data.augment, seed=data.seed) for t, s in halves
    ]
    return sets, " and ".join(words)


def _half(field: TensorField, which: int) -> TensorField:
    """One of the two halves of a field along x."""
    middle = field.mask.shape[0] // 2
    part = slice(0, middle) if which == 0 else slice(middle, None)
    return replace(
        field,
        tensors=field.tensors[:, part],
        mask=field.mask[part],
        s0=field.s0[part],
        dwi=None if field.dwi is None else field.dwi[part],
    )
