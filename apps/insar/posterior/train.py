"""`mvnet train insar --posterior`: the bank of filters of a denoiser, measured on simulated training scenes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mvnet.apps.common.console import Console
from mvnet.apps.common.errors import UserError
from mvnet.apps.common.stdout import print_result
from mvnet.storage import json_text

if TYPE_CHECKING:
    from mvnet.data_loaders.insar.training.dataset import PhaseTrainingSet, TrainingPair

PATCHES, PATCH = 800, 128
"""Number and side in pixels of the patches when nothing is said."""


def fit_posterior(output: Path, start: str | None, data: PhaseTrainingSet, *, quiet: bool) -> None:
    """Measure a bank, and write OUTPUT/NAME-posterior.safetensors beside its card.

    Args:
        output: run folder.
        start: name of a shipped denoiser, or path of a checkpoint.
        data: patches that its training has not seen.
        quiet: neither progress nor the card on stdout.

    Raises:
        UserError: no denoiser, or another network.
    """
    from mvnet.models.checkpoint import find_model, save_checkpoint, weights_hash
    from mvnet.models.insar.network import InSARDenoiser
    from mvnet.models.insar.posterior import InSARPosterior
    from mvnet.models.insar.posterior.fit import fit_bank
    from mvnet.models.posterior_weights import head_name, weights_path

    if start is None:
        raise UserError("--posterior: found no --from, expected the denoiser that it is the posterior of")
    model, card = find_model(start)
    if not isinstance(model, InSARDenoiser):
        raise UserError(f"--from: found a {card['architecture']} in {start}, expected an InSARDenoiser")
    head, stem, begin = InSARPosterior(), weights_path(start), time.perf_counter()

    def pairs() -> Iterator[TrainingPair]:
        for index in range(len(data)):
            yield data[index]

    with Console(quiet).progress("measuring errors") as progress:
        found = fit_bank(model.float(), head, pairs(), lambda done: progress(done, len(data)))
    full = {
        "task": "posterior of denoised interferograms",
        "denoiser": {"name": stem.name, "sha256": weights_hash(stem)},
        "training_data": [f"simulated scenes, slopes up to {data.max_gradient:g} rad per pixel"],
        "patches": len(data),
        "patch": data.patch,
        "seed": data.seed,
        "seconds": round(time.perf_counter() - begin),
        **found,
    }
    output.mkdir(parents=True, exist_ok=True)
    save_checkpoint(output / head_name(stem.name), head, full)
    if not quiet:
        print_result(json_text(full, indent=2))
