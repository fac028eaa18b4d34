"""Options of `mvnet denoise insar`, and all that can be wrong with them before a raster is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvnet.apps.common.errors import UserError

if TYPE_CHECKING:
    from mvnet.data_loaders.insar import Interferogram
    from mvnet.data_loaders.insar.checks.sources import Access

UNWRAPPERS = ("skimage", "snaphu")
"""The first needs nothing more, and everybody may use it."""
SMALLEST_TILE, TILE_STEP = 64, 16
"""Pixels along the side of a tile; a block of the output is a multiple of TILE_STEP."""
NO_COHERENCE = "none"


@dataclass(frozen=True)
class InSAROptions:
    """Options of `mvnet denoise insar`; see its --help.

    input: interferogram of any format read.  output: OUT.tif.
    coherence: its raster, "none" to do without one, None for the one in the product or beside it.
    looks: of the interferogram; None where unknown.
    strength: 0 keeps the phase, 1 is the network's output, between them lies the shorter arc of the circle.
    tile: side in pixels, rounded up to a multiple of 16 and of what the network needs.
    overlap: pixels read around a tile, at least those that its result depends on, which None takes.
    workers: tiles computed at the same time; None is one for every core, or all of a cluster.
    scheduler: of a dask.distributed cluster.
    device: "auto", "cpu", "cuda", ...  model: checkpoint instead of the shipped weights.
    layer, format, header, nodata, shape, dtype, byte_order, allow_network, allow_external: of `open_interferogram`.
    unwrap: one of UNWRAPPERS, None for no unwrapped phase.
    samples: number of samples of the posterior to write, None for none.  seed: of them, None is 0.
    """

    input: Path | str
    output: Path
    coherence: str | None = None
    looks: float | None = None
    strength: float = 1.0
    complex: bool = False
    tile: int = 1024
    overlap: int | None = None
    workers: int | None = None
    scheduler: str | None = None
    device: str = "auto"
    model: Path | None = None
    overwrite: bool = False
    report: bool = False
    layer: str | None = None
    format: str | None = None
    header: Path | None = None
    nodata: float | str | None = None
    shape: str | tuple[int, int] | None = None
    dtype: str | None = None
    byte_order: str | None = None
    allow_network: bool = False
    allow_external: bool = False
    unwrap: str | None = None
    samples: int | None = None
    seed: int | None = None

    @property
    def access(self) -> Access:
        """What may be opened besides the input."""
        from mvnet.data_loaders.insar.checks.sources import Access

        return Access(self.allow_network, self.allow_external)


def check(options: InSAROptions) -> None:
    """UserError for values out of range; reads no file."""
    if not (math.isfinite(options.strength) and 0 <= options.strength <= 1):
        raise UserError(f"--strength: found {options.strength}, expected a number in [0, 1]")
    if options.looks is not None and not (math.isfinite(options.looks) and options.looks >= 1):
        raise UserError(f"--looks: found {options.looks}, expected a number of at least 1")
    if options.tile < SMALLEST_TILE:
        raise UserError(f"--tile: found {options.tile}, expected at least {SMALLEST_TILE} pixels")
    if options.workers is not None and options.workers < 1:
        raise UserError(f"--workers: found {options.workers}, expected at least 1")
    if options.unwrap is not None and options.unwrap not in UNWRAPPERS:
        raise UserError(f"--unwrap: found {options.unwrap!r}, expected one of {', '.join(UNWRAPPERS)}")
    if options.samples is not None or options.seed is not None:
        from mvnet.apps.insar.posterior.options import check_posterior

        check_posterior(options.samples, options.seed, options.strength)


def open_input(options: InSAROptions) -> Interferogram:
    """The interferogram, with the coherence that the options ask for.

    Raises:
        DataError: as `open_interferogram`, or when the values are no phase.
    """
    from mvnet.data_loaders.insar import open_interferogram
    from mvnet.data_loaders.insar.phase_kind import check_phase

    without = options.coherence == NO_COHERENCE
    image = open_interferogram(
        options.input,
        None if without else options.coherence,
        format=options.format,
        layer=options.layer,
        header=options.header,
        nodata=options.nodata,
        shape=options.shape,
        dtype=options.dtype,
        byte_order=options.byte_order,
        allow_network=options.allow_network,
        allow_external=options.allow_external,
        looks=options.looks,
        find_coherence=not without,
    )
    if image.coherence is None:
        image.messages[-1] = "coherence: none, the network goes by the phase alone"
    image.messages.extend(check_phase(image))
    return image


def to_json(options: InSAROptions) -> dict[str, Any]:
    """The options for the summary, paths as text; those of the posterior where they were given."""
    given = {k: v for k, v in vars(options).items() if v is not None or k not in ("samples", "seed")}
    return {key: str(value) if isinstance(value, Path) else value for key, value in given.items()}
