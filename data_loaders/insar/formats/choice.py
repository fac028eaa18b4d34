"""Which dataset of an HDF5, NetCDF or Zarr file is the interferogram, which its coherence, its mask."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.checks.extent import LONGEST_AXIS
from mvnet.data_loaders.insar.checks.hdf5_chunks import read_checked
from mvnet.data_loaders.insar.formats.axes import Axis
from mvnet.data_loaders.insar.formats.bands import choose_layers
from mvnet.data_loaders.insar.formats.datasets import DatasetFile
from mvnet.data_loaders.insar.formats.headers import text
from mvnet.data_loaders.insar.formats.products import imaginary_names, names_slc, role_of
from mvnet.data_loaders.insar.layers import Layer, join, mask_by
from mvnet.data_loaders.insar.value_kinds import SAMPLE, gather, is_complex, kind_of
from mvnet.data_loaders.insar.windows import sample_windows

_PHASE = r"(^|/)(wrapped_?phase|wrapphase|phase|phasefilt|interferogram|ifgs?|wrappedinterferogram|z)$"
_UNWRAPPED = r"(^|/)(unw|unwrapped|unwrapped_?phase|unwrap_?phase)$"
_COHERENCE = r"(^|/)(coherence|coherencemagnitude|corr|cor|coh|correlation)$"
_PLACE = r"(?:(?P<name>.+)[:-])?(?P<day>\d{8}[_-]\d{8})|(?:(?P<of>.+):)?(?P<at>\d{1,7})"


@dataclass(frozen=True)
class Product:
    """Where a product keeps its rasters.

    Args:
        phase: patterns of the names of the phase, best first.
        coherence: pattern of the names of the coherence.
        zero: 0 means no data.
        flat: stacks are not meant.
        first: stacks are along the first axis.
        mask: pattern of the name of a mask of valid pixels, empty without.
    """

    phase: tuple[str, ...]
    coherence: str
    zero: bool = False
    flat: bool = False
    first: bool = False
    mask: str = ""


PRODUCTS: dict[str, Product] = {
    "nisar": Product(
        (r"/wrappedInterferogram$", r"/unwrappedPhase$"), r"/coherenceMagnitude$", flat=True, mask=r"(^|/)mask$"
    ),
    "aria": Product((r"^science/grids/data/unwrappedPhase$",), r"^science/grids/data/coherence$", zero=True),
    "mintpy": Product((r"^wrapPhase$", r"^unwrapPhase$"), r"^coherence$", zero=True, first=True),
    "any": Product((_PHASE, _UNWRAPPED), _COHERENCE),
}
"""A new HDF5 product is one line here, one predicate in `arrays` and one line in `FORMATS`."""


class _Asked(NamedTuple):
    """What `--layer` says: a name or a part of it, a position in a stack. None chooses."""

    name: str | None = None
    position: int | None = None


def select_layers(
    file: DatasetFile, wanted: str | int | None, product: Product, coherence: bool
) -> tuple[Layer, Layer | None]:
    """The interferogram of a file and the coherence beside it; only the coherence if that is what is asked for.

    Args:
        file: open.
        wanted: name or part of the name of a dataset, position in a stack, its dates "20200101_20200113", or both as
            "unwrapPhase:20200101_20200113"; "real+imag" for two datasets.
        product: of the file.
        coherence: open the coherence as the layer.
    Raises:
        DataError: no such dataset or pair, several that cannot be told apart, images (SLC) in place of interferograms.
    """
    asked = _parse(file, wanted)
    if coherence:
        rasters = file.rasters()
        hits = _matches(rasters, [product.coherence]) or _of_role(rasters, "coherence")
        return _raster(file, _pick(file, hits, asked.name, "a coherence"), asked.position or 0, product), None
    candidates = _candidates(file, product)
    chosen = _pick(file, candidates, asked.name, "an interferogram")
    parts = chosen.split("+")
    _refuse_slc(file, parts[0], product)
    axes = file.axes(parts[0], product.first)
    position, said = _position(file, parts[0], axes, asked)
    layer, partner = _open(file, parts, axes, position, product)
    layer = _masked(file, layer, parts[0], product)
    others = [name for name in candidates if name != chosen]
    also = f"; also {', '.join(others[:3])}{', ...' if len(others) > 3 else ''}" if others and not asked.name else ""
    inner = f", {layer.part}" if layer.part else ""
    layer = replace(layer, part=f"{' and '.join(parts)}{said}{inner}{also}")
    if partner is None:
        partner = _coherence_of(file, parts[0], layer.shape, position, product)
    return layer, partner


def _parse(file: DatasetFile, wanted: str | int | None) -> _Asked:
    """Name and position of what is asked for."""
    if wanted is None or isinstance(wanted, int):
        return _Asked(None, wanted)
    found = re.fullmatch(_PLACE, wanted)
    if not found or wanted in file.datasets:
        return _Asked(wanted.strip("/"))
    if found["at"]:
        return _Asked(found["of"], int(found["at"]))
    pairs = _dates(file)
    if pairs is None:
        return _Asked(wanted.strip("/"))
    days = found["day"].replace("-", "_")
    if days not in pairs:
        raise DataError(f"layer: found no pair {days}, expected one of the {len(pairs)} of {file.path}")
    return _Asked(found["name"], pairs.index(days))


def _dates(file: DatasetFile) -> list[str] | None:
    """Dates of the pairs of a stack, "20200101_20200113", as MintPy keeps them; None without."""
    data = file.datasets.get("date")
    if data is None or data.ndim != 2 or data.shape[0] > LONGEST_AXIS or data.shape[1] > 2:
        return None
    return ["_".join(text(day) for day in pair) for pair in read_checked(data)]


def _candidates(file: DatasetFile, product: Product) -> list[str]:
    """Rasters called as the product calls its phase, best first, then real and imaginary ones, then complex ones."""
    rasters = file.rasters()
    named = _matches(rasters, product.phase)
    lower = {name.lower(): name for name in rasters}
    pairs = [f"{n}+{lower[o]}" for n in rasters for o in _beside(n) if o in lower]
    both = {name for pair in pairs for name in pair.split("+")}
    others = [n for n in rasters if file.is_complex(n) and n not in named]
    if not named and not pairs:
        others = others or [n for role in ("wrapped phase", "unwrapped phase") for n in _of_role(rasters, role)]
    found = [n for n in named if n not in both] + pairs + others
    if product.flat:
        found = [n for n in found if file.datasets[n.split("+")[0]].ndim == 2]
    if not named and not pairs and len(others) > 1 and not any(names_slc(n) or _of_role([n]) for n in others):
        return [f"?{n}" for n in others]
    return found


def _of_role(names: list[str], *roles: str) -> list[str]:
    """The rasters whose own names, without their groups, give them one of these roles; any phase without."""
    wanted = roles or ("wrapped phase", "unwrapped phase")
    return [name for name in names if role_of(name.rpartition("/")[2]) in wanted]


def _beside(name: str) -> list[str]:
    group, slash, last = name.rpartition("/")
    return [f"{group}{slash}{other}".lower() for other in imaginary_names(last)]


def _pick(file: DatasetFile, candidates: list[str], name: str | None, expected: str) -> str:
    """The dataset of this name, else the first candidate whose name holds it, else the only raster."""
    rasters = file.rasters()
    plain = [candidate.lstrip("?") for candidate in candidates]
    if name is not None and all(part.strip() in rasters for part in name.split("+")):
        whole = "+".join(part.strip() for part in name.split("+"))
        return next((pair for pair in plain if "+" in pair and whole in pair.split("+")), whole)
    hits = [candidate for candidate in plain if (name or "").lower() in candidate.lower()]
    if not hits and name is None and len(rasters) == 1:
        role = role_of(rasters[0].rpartition("/")[2])
        if expected == "a coherence" or role not in ("coherence", "amplitude", "other", "real", "imaginary"):
            return rasters[0]
    if not hits or (name is None and candidates[0].startswith("?")):
        found = ", ".join(f"{n} {tuple(file.datasets[n].shape)}" for n in rasters[:12]) or "no raster"
        wish = repr(name) if name else f"{expected}: name it with --layer"
        raise DataError(f"layer: found {found} in {file.path}, expected {wish}")
    return hits[0]


def _refuse_slc(file: DatasetFile, name: str, product: Product) -> None:
    """DataError for a stack of single images, or a product of such."""
    stack = file.count(name, file.axes(name, product.first)) > 1
    said = names_slc(name) or (names_slc(file.path.name) and not _matches([name], product.phase))
    if re.search(r"(^|/)[RG]SLC/", name) or (stack and said and (file.is_complex(name) or imaginary_names(name))):
        raise DataError(f"layer: found single images (SLC) in {name} of {file.path}, expected interferograms")


def _position(file: DatasetFile, name: str, axes: tuple[Axis, ...], asked: _Asked) -> tuple[int, str]:
    """Position in a stack, by default of its first pair that is not dropped, and what to say of it."""
    count = file.count(name, axes)
    if count == 1:
        if asked.position not in (None, 0, 1):
            raise DataError(f"layer: found {asked.position}, expected none, as {name} of {file.path} is one image")
        return 0, ""
    kept = file.datasets.get("dropIfgram")
    kept = None if kept is None or kept.shape != (count,) or count > LONGEST_AXIS else read_checked(kept).astype(bool)
    position = asked.position
    if position is None:
        position = int(np.argmax(kept)) if kept is not None and kept.any() else 0
    if "bands" in axes:
        return position if asked.position is not None else -1, ""
    dates = _dates(file)
    day = dates[position] if dates is not None and 0 <= position < len(dates) == count else None
    said = f", {'pair ' + day if day else 'image'}, --layer {position} of 0 to {count - 1}"
    if kept is not None and not kept.all():
        dropped = f"; dropIfgram leaves out {int((~kept).sum())} of {count}"
        said += f"{dropped}, this one too" if 0 <= position < count and not kept[position] else dropped
    return position, said


def _open(
    file: DatasetFile, parts: list[str], axes: tuple[Axis, ...], position: int, product: Product
) -> tuple[Layer, Layer | None]:
    """The layer of a dataset, or of two; with the coherence where the bands of one dataset hold it."""
    name = parts[0]
    if len(parts) == 2:
        layers = [file.layer(part, file.axes(part, product.first), max(position, 0)) for part in parts]
        return join(*layers), None
    if "parts" in axes and not file.is_complex(name):
        layers = [file.layer(name, axes, max(position, 0), part) for part in (0, 1)]
        return replace(join(*layers), part=f"real and imaginary along axis {axes.index('parts')}"), None
    if "bands" in axes and not file.is_complex(name):
        return _bands(file, name, axes, position, product)
    return file.layer(name, axes, max(position, 0), zero=product.zero), None


def _bands(
    file: DatasetFile, name: str, axes: tuple[Axis, ...], position: int, product: Product
) -> tuple[Layer, Layer | None]:
    """Rasters along an axis: parts of complex numbers, a stack of two alike, or bands of different kinds."""
    count = file.count(name, axes)
    layers = [file.layer(name, axes, k, zero=product.zero) for k in range(count)]
    if count == 2:
        windows = [[layer.read(window) for window in sample_windows(layers[0].shape, 3, SAMPLE[1])] for layer in layers]
        if is_complex(*windows):
            part = f"real and imaginary along axis {axes.index('bands')}, by their values"
            return replace(join(*layers), part=part), None
        kinds = {kind_of(gather(found)) for found in windows}
        if kinds <= {"wrapped phase", "unwrapped phase", "phase", "constant", "empty"} and position < 2:
            at = max(position, 0)
            return replace(layers[at], part=f"image, --layer {at} of 0 to 1"), None
    return choose_layers(layers, None if position < 0 else position, False)


def _raster(file: DatasetFile, name: str, position: int, product: Product) -> Layer:
    axes = file.axes(name, product.first)
    return file.layer(name, axes, position if file.count(name, axes) > 1 else 0)


def _matches(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    names = list(names)
    found = [name for pattern in patterns for name in names if re.search(pattern, name, re.IGNORECASE)]
    return list(dict.fromkeys(found))


def _coherence_of(
    file: DatasetFile, phase: str, shape: tuple[int, int], position: int, product: Product
) -> Layer | None:
    """The coherence in the group of the phase and of its shape, None if there is none."""
    rasters = file.rasters()
    for name in _matches(rasters, [product.coherence]) or _of_role(rasters, "coherence"):
        if name != phase and name.rpartition("/")[0] == phase.rpartition("/")[0]:
            try:
                axes = file.axes(name, product.first)
            except DataError:  # found by itself, it is not asked for
                continue
            count = file.count(name, axes)
            if count in (1, file.count(phase, file.axes(phase, product.first))):
                layer = file.layer(name, axes, max(position, 0) if count > 1 else 0)
                if layer.shape == shape:
                    return replace(layer, part=name)
    return None


def _masked(file: DatasetFile, layer: Layer, name: str, product: Product) -> Layer:
    """The layer, NaN where the nearest mask of its shape in its group or one above says so."""
    masks = _matches(file.rasters(), [product.mask]) if product.mask else []
    fitting = [mask for mask in masks if file.datasets[mask].shape == layer.shape]
    fitting = [mask for mask in fitting if name.startswith(mask.rpartition("/")[0])]
    if not fitting:
        return layer
    nearest = max(fitting, key=len)
    mask = replace(file.layer(nearest, ("y", "x")), nodata=None, filled=True)
    values = np.concatenate([mask.read(window).ravel() for window in sample_windows(mask.shape, *SAMPLE)])
    digits = bool((values[values != 255] >= 10).any())
    said = f"without the pixels that {nearest.rpartition('/')[2]} leaves out"
    part = ", ".join(filter(None, (layer.part, said)))
    return replace(mask_by(layer, mask, digits=digits), part=part)
