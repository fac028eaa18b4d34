"""Phase unwrapping of the denoised interferogram, its ambiguities handed to the phase that was not denoised.

    psi' = psi + 2 pi round((u - psi) / (2 pi)),   u the unwrapped denoised phase, psi the phase as read

so that no detail of the measured phase is lost. This step alone holds the whole scene in memory.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from mvnet.apps.common.errors import UserError
from mvnet.apps.insar.outputs import COMPONENTS, UNWRAPPED
from mvnet.data_loaders.optional import install_command

if TYPE_CHECKING:
    from mvnet.apps.common.console import Console
    from mvnet.apps.insar.options import InSAROptions
    from mvnet.apps.insar.posterior.outputs import ScenePosterior
    from mvnet.data_loaders.insar import Interferogram, OutputSet

_MOST_LOOKS, _HALVINGS = 1000.0, 20
_BYTES = {"skimage": 60, "snaphu": 90}  # a pixel, roughly, at the peak


def check_unwrapper(name: str) -> None:
    """UserError when the package is not there."""
    if name == "snaphu" and find_spec("snaphu") is None:
        raise UserError(
            f"--unwrap: found no package snaphu, expected it ({install_command('unwrap')}; free for non-commercial use "
            "only), or --unwrap skimage"
        )


def unwrap_outputs(
    image: Interferogram,
    out: OutputSet,
    options: InSAROptions,
    console: Console,
    posterior: ScenePosterior | None = None,
) -> dict[str, float | int]:
    """Unwrap what the blocks hold and write the files for it; returns statistics.

    With a posterior its samples are unwrapped too, and how often they disagree is written.

    Raises:
        UserError: a scene that the unwrapper does not take.
    """
    method = options.unwrap
    assert method is not None
    size = image.shape[0] * image.shape[1]
    console.say(
        f"unwrapping with {method}: the whole scene of {size / 1e6:.3g} Mpx is held in memory, "
        f"about {size * _BYTES[method] / 2**30:.2g} GiB"
    )
    whole = slice(0, image.shape[0]), slice(0, image.shape[1])
    values, valid = out.read("values", whole), out.read("mask", whole) > 0
    phase = (np.angle(values) if np.iscomplexobj(values) else values).astype(np.float32)
    del values
    components = None
    if method == "skimage":
        unwrap = partial(unwrap_skimage, valid=valid)
        found = unwrap(phase)
    else:
        quality = out.read("quality", whole)
        looks = effective_looks(image, out)
        console.say(f"the quality is that of {looks:.3g} effective looks")
        found, components = unwrap_snaphu(phase, valid, quality, looks)

        def unwrap(phase: np.ndarray) -> np.ndarray:
            return unwrap_snaphu(phase, valid, quality, looks)[0]

    numbers: dict[str, float | int] = {}
    if posterior is not None:
        from mvnet.apps.insar.posterior.outputs import write_ambiguity

        numbers |= write_ambiguity(posterior, out, phase, found, valid, unwrap, console)
    unwrapped = _transfer_tiles(image, out, found, valid)
    out.write_raster(UNWRAPPED, unwrapped, float("nan"), "radian")
    numbers["unwrapped_range"] = float(f"{np.ptp(unwrapped[valid]):.6g}")
    if components is not None:
        out.write_raster(COMPONENTS, np.where(valid, components, 0).astype(np.uint32), 0)
        numbers["components"] = int(components.max())
    return numbers


def effective_looks(image: Interferogram, out: OutputSet) -> float:
    """Looks L that take the coherence of the phase as it was read to the quality of the denoised one.

    The mean cosine of the change of phase is the resultant length R(g, L_0) of the measured noise, which gives the
    coherence g; L solves R(g, L) = mean quality over the pixels with the quality in question, those above its median.

    Args:
        image: L_0 is its looks, 1 where unknown.
        out: its blocks are written.
    Returns:
        from 1 to 1000.
    """
    from mvnet.data_loaders.insar.phase_statistics import coherence_from_resultant, resultant_length

    change, quality = [], []
    for window in out.windows():
        block, values = image.read(window, with_coherence=False), out.read("values", window)
        after = np.angle(values) if np.iscomplexobj(values) else values
        change.append(np.cos(np.angle(block.values) - after)[block.valid])
        quality.append(out.read("quality", window)[block.valid])
    cosine, expected = np.concatenate(change), np.concatenate(quality)
    good = expected >= np.median(expected)
    measured, wanted = float(cosine[good].mean().clip(0.01, 0.999)), float(expected[good].mean())
    coherence = float(coherence_from_resultant(measured, image.looks or 1.0))
    low, high = 0.0, math.log(_MOST_LOOKS)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        short = float(resultant_length(coherence, math.exp(middle))) < wanted
        low, high = (middle, high) if short else (low, middle)
    return math.exp((low + high) / 2)


def transfer(unwrapped: np.ndarray, original: np.ndarray) -> np.ndarray:
    """The original phase plus the multiple of 2 pi that brings it closest to the unwrapped one."""
    return original + 2 * np.pi * np.round((unwrapped - original) / (2 * np.pi))


def _transfer_tiles(image: Interferogram, out: OutputSet, found: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """`transfer` to the phase as read, tile by tile; float32, NaN where not valid. found is overwritten."""
    for window in out.windows():
        psi = np.angle(image.read(window, with_coherence=False).values)
        found[window] = transfer(found[window], psi)
    found = found.astype(np.float32)
    found[~valid] = np.nan
    return found


def unwrap_skimage(phase: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Reliability-guided unwrapping of (h, w) radians. Source: Herraez et al., Applied Optics 41 (2002) 7437."""
    from skimage.restoration import unwrap_phase

    masked = np.ma.masked_array(np.where(valid, phase, 0), mask=~valid)
    return np.array(np.ma.getdata(unwrap_phase(masked, rng=0)))


def unwrap_snaphu(
    phase: np.ndarray, valid: np.ndarray, quality: np.ndarray, looks: float
) -> tuple[np.ndarray, np.ndarray]:
    """Statistical-cost network flow, and its connected components (0: unreliable), (h, w) each.

    snaphu is given the coherence at which `looks` looks have the expected cosine of the error that the quality is.
    Source: Chen, Zebker, J. Opt. Soc. Am. A 18 (2001) 338.
    """
    import snaphu  # pyright: ignore[reportMissingImports]
    import torch

    from mvnet.data_loaders.insar.phase_statistics import coherence_from_resultant

    z = np.where(valid, np.exp(1j * np.where(valid, phase, 0)), 0).astype(np.complex64)
    expected = torch.from_numpy(np.where(valid, quality, 0).clip(0, 1).astype(np.float32))
    correlation = coherence_from_resultant(expected, looks).numpy()
    try:
        with _suppress_stdout():
            found, components = snaphu.unwrap(z, correlation, nlooks=looks, mask=valid)
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"--unwrap: found a scene of {phase.shape} that snaphu refuses ({error}), expected --unwrap skimage for it"
        ) from error
    return np.asarray(found, np.float64), np.asarray(components)


@contextmanager
def _suppress_stdout() -> Iterator[None]:
    """Without what the process of snaphu prints, which would come between our lines."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
