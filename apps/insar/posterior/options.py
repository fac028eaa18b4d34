"""All that can be wrong with `--samples` and `--seed`, before work starts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from mvnet.apps.common.errors import UserError

if TYPE_CHECKING:
    from mvnet.models.insar.posterior import InSARPosterior

MOST_SAMPLES = 1000
_MOST_SEED = 2**32
_BYTES = 4  # of a pixel of a sample


def check_posterior(samples: int | None, seed: int | None, strength: float) -> None:
    """UserError for options of the posterior that cannot be."""
    if samples is None:
        if seed is not None:
            raise UserError("--seed: found no --samples with it, expected it only there")
        return
    if not 1 <= samples <= MOST_SAMPLES:
        raise UserError(f"--samples: found {samples}, expected a number from 1 to {MOST_SAMPLES}")
    if seed is not None and not 0 <= seed < _MOST_SEED:
        raise UserError(f"--seed: found {seed}, expected a number from 0 to {_MOST_SEED - 1}")
    if strength != 1:
        raise UserError(f"--samples: found --strength {strength:g}, expected 1: it is the posterior of the output")


def load_posterior(model: Path | None) -> tuple[InSARPosterior, dict[str, str]]:
    """The posterior of the denoiser, with the name and hash of its weights.

    Raises:
        MvnetError: the denoiser has none, or one that was fitted to other weights.
    """
    from mvnet.models.insar.posterior import InSARPosterior
    from mvnet.models.posterior_weights import load_head

    return load_head("insar" if model is None else model, InSARPosterior, "insar")


def check_disk(samples: int | None, output: Path, shape: tuple[int, int]) -> None:
    """UserError where the samples may need more bytes than the disk of the output has free."""
    if samples is None:
        return
    folder = output.absolute().parent
    if not folder.is_dir():
        return
    needed, free = (samples + 2) * _BYTES * shape[0] * shape[1], shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"--samples: found {free / 1e9:.3g} GB free in {folder}, expected up to {needed / 1e9:.3g} GB for "
            f"{samples} samples"
        )
