"""All that can be wrong with `--uncertainty`, `--samples` and `--seed`, before work starts."""

from __future__ import annotations

import shutil
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from mvnet.apps.common.errors import UserError

if TYPE_CHECKING:
    from mvnet.apps.dti.options import Options

MOST_SAMPLES = 1000
_MOST_SEED = 2**31
_BYTES = 4 * 6  # of a voxel of a sample


def check_posterior(options: Options) -> None:
    """UserError for options of the posterior that cannot be, or a denoiser without one; nothing without them."""
    if not options.has_posterior and options.seed is None:
        return
    names = " and ".join(
        name for name, given in (("--uncertainty", options.uncertainty), ("--samples", options.samples)) if given
    )
    names = names or "--samples"
    if options.seed is not None and not options.has_posterior:
        raise UserError("--seed: found no --uncertainty or --samples with it, expected it only there")
    if options.seed is not None and not 0 <= options.seed < _MOST_SEED:
        raise UserError(f"--seed: found {options.seed}, expected a number from 0 to {_MOST_SEED - 1}")
    if options.samples is not None and not 1 <= options.samples <= MOST_SAMPLES:
        raise UserError(f"--samples: found {options.samples}, expected a number from 1 to {MOST_SAMPLES}")
    if options.certified:
        raise UserError(f"{names}: found the certified network, expected another: it has no posterior")
    if options.strength != 1:
        raise UserError(
            f"{names}: found --strength {options.strength:g}, expected 1: the posterior is that of the network's output"
        )
    if options.adapt:
        raise UserError(f"{names}: found --adapt, expected none: the posterior belongs to the weights as they were")
    from mvnet.models.posterior import load_posterior

    load_posterior(denoiser_of(options))


def denoiser_of(options: Options) -> str | Path:
    """Name or path of the denoiser."""
    name, path = options.weights
    return name if path is None else path


def check_disk(options: Options) -> None:
    """UserError where the samples may need more bytes than the disk of the output has free."""
    if options.samples is None:
        return
    from mvnet.data_loaders.dti.nifti import open_image

    needed = options.samples * _BYTES * prod(open_image(options.input, kinds="iufbc").shape[:3])
    folder = options.output if options.output.is_dir() else options.output.absolute().parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"--samples: found {free / 1e9:.3g} GB free in {folder}, expected up to {needed / 1e9:.3g} GB for "
            f"{options.samples} samples"
        )
