"""Which dataset of an HDF5 or Zarr file is the interferogram, which the coherence, and where they lie."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.formats.headers import cf_georeference, crs_from, number, text
from mvnet.data_loaders.insar.layers import Hdf5Layer, Layer, ZarrLayer
from mvnet.data_loaders.optional import import_optional

_PHASE = r"(^|/)(wrapped_?phase|wrapphase|phase|phasefilt|interferogram|ifg|wrappedinterferogram|z)$"
_COHERENCE = r"(^|/)(coherence|coherencemagnitude|corr|cor|coh|correlation)$"
_NODATA = ("_FillValue", "missing_value", "nodata")
_MINTPY_CORNER = ("X_FIRST", "X_STEP", "Y_FIRST", "Y_STEP")


@dataclass(frozen=True)
class Product:
    """Where a product keeps its rasters.

    Args:
        phase: patterns of the names of the phase, best first.
        coherence: pattern of the names of the coherence.
        zero: 0 means no data.
        flat: stacks are not meant.
    """

    phase: tuple[str, ...]
    coherence: str
    zero: bool = False
    flat: bool = False


PRODUCTS: dict[str, Product] = {
    "nisar": Product((r"/wrappedInterferogram$", r"/unwrappedPhase$"), r"/coherenceMagnitude$", flat=True),
    "aria": Product((r"^science/grids/data/unwrappedPhase$",), r"^science/grids/data/coherence$", zero=True),
    "mintpy": Product((r"^wrapPhase$", r"^unwrapPhase$"), r"^coherence$", zero=True),
    "any": Product((_PHASE,), _COHERENCE),
}
"""A new HDF5 product is one line here, one predicate in `arrays` and one line in `FORMATS`."""


@dataclass(frozen=True)
class DatasetFile:
    """An open file of named datasets.

    Args:
        path: of the file.
        datasets: name, with the groups it lies in -> dataset.
        attributes: of the file.
        layer_type: the layer that reads such a dataset.
    """

    path: Path
    datasets: Mapping[str, Any]
    attributes: Mapping[str, Any]
    layer_type: type[Hdf5Layer] | type[ZarrLayer]

    def rasters(self) -> list[str]:
        """Names of the datasets that are images, or stacks of images, of numbers."""
        return [name for name, data in self.datasets.items() if _is_raster(data)]

    def layer(self, name: str, position: int = 0, zero_is_nodata: bool = False) -> Layer:
        """The raster `name`, or of a stack the one at `position`.

        Raises:
            DataError: neither 2 nor 3 dimensions, a position outside the stack.
        """
        data = self.datasets[name]
        attributes = dict(data.attrs)
        self._check_position(name, position)
        crs, transform = self._georeference(name, attributes)
        nodata = _declared_nodata(attributes, self.attributes)
        return self.layer_type(
            path=str(self.path),
            dataset=name,
            index=(position,) if data.ndim == 3 else (),
            shape=(int(data.shape[-2]), int(data.shape[-1])),
            dtype=str(np.dtype(data.dtype).newbyteorder("=")),
            nodata=0.0 if nodata is None and zero_is_nodata else nodata,
            crs=crs,
            transform=transform,
            tags=_short_tags({**self.attributes, **attributes}),
        )

    def _check_position(self, name: str, position: int) -> None:
        shape = tuple(self.datasets[name].shape)
        if len(shape) not in (2, 3):
            raise DataError(f"layer: found shape {shape} of {name or self.path}, expected 2 or 3 dimensions")
        if len(shape) == 3 and not 0 <= position < shape[0]:
            raise DataError(f"layer: found {position}, expected 0 to {shape[0] - 1} in the stack {name} of {self.path}")

    def _georeference(self, name: str, attributes: Mapping[str, Any]) -> tuple[Any, Any]:
        """CRS and transform of a dataset: by CF in its group or, if that holds none, in one above; by MintPy's keys."""
        groups = name.split("/")[:-1]
        prefixes = ["".join(f"{group}/" for group in groups[:depth]) for depth in range(len(groups), 0, -1)] or [""]
        crs = transform = None
        for prefix in prefixes:
            crs, transform = cf_georeference(self.datasets.get, attributes, prefix)
            if crs is not None or transform is not None:
                break
        if "X_FIRST" not in self.attributes:
            return crs, transform
        x, dx, y, dy = (float(text(self.attributes[key])) for key in _MINTPY_CORNER)  # the corner of the first pixel
        transform = import_optional("affine", "insar").Affine(dx, 0, x, 0, dy, y)
        return crs or crs_from(text(self.attributes.get("EPSG", 4326))), transform


def select_layers(
    file: DatasetFile, wanted: str | int | None, product: Product, coherence: bool
) -> tuple[Layer, Layer | None]:
    """The interferogram of a file and the coherence beside it; only the coherence if that is what is asked for.

    Args:
        file: open.
        wanted: name or part of the name of a dataset, position in a stack, or its dates "20200101_20200113".
        product: of the file.
        coherence: open the coherence as the layer.
    Raises:
        DataError: no such dataset.
    """
    position, name = _find_position(file, wanted)
    if coherence:
        hits = _matches(file.rasters(), [product.coherence])
        return file.layer(_pick(file, hits, name, "a coherence"), position), None
    chosen = _pick(file, _phase_candidates(file, product), name, "an interferogram")
    layer = file.layer(chosen, position, zero_is_nodata=product.zero)
    partner = _coherence_of(file, chosen, layer.shape, product)
    return layer, None if partner is None else file.layer(partner, position)


def _is_raster(data: Any) -> bool:
    return data.ndim in (2, 3) and data.dtype.kind in "fciu" and min(data.shape[-2:]) > 1


def _matches(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    names = list(names)
    return [name for pattern in patterns for name in names if re.search(pattern, name, re.IGNORECASE)]


def _phase_candidates(file: DatasetFile, product: Product) -> list[str]:
    """Rasters called as the product calls its phase, best first, then all other complex ones."""
    rasters = file.rasters()
    named = _matches(rasters, product.phase)
    candidates = named + [n for n in rasters if file.datasets[n].dtype.kind == "c" and n not in named]
    return [n for n in candidates if file.datasets[n].ndim == 2] if product.flat else candidates


def _pick(file: DatasetFile, candidates: list[str], name: str | None, expected: str) -> str:
    """The dataset of this name, else the first candidate whose name holds it."""
    rasters = file.rasters()
    if name is not None and name.strip("/") in rasters:
        return name.strip("/")
    hits = [candidate for candidate in candidates if (name or "").lower() in candidate.lower()]
    if not hits:
        found = ", ".join(rasters[:12]) or "no raster"
        raise DataError(f"layer: found {found} in {file.path}, expected {repr(name) if name else expected}")
    return hits[0]


def _coherence_of(file: DatasetFile, phase: str, shape: tuple[int, int], product: Product) -> str | None:
    """The coherence in the group of the phase and of its shape, None if there is none."""
    for name in _matches(file.rasters(), [product.coherence]):
        same_group = name.rpartition("/")[0] == phase.rpartition("/")[0]
        if name != phase and same_group and tuple(file.datasets[name].shape[-2:]) == shape:
            return name
    return None


def _find_position(file: DatasetFile, wanted: str | int | None) -> tuple[int, str | None]:
    """Position in a stack, and name of a dataset, of what is asked for."""
    if wanted is None:
        return 0, None
    if isinstance(wanted, int) or (wanted.isdigit() and len(wanted) < 8):
        return int(wanted), None
    dates = re.fullmatch(r"(\d{8})[_-](\d{8})", wanted)
    if dates and "date" in file.datasets and file.datasets["date"].ndim == 2:
        pairs = [tuple(text(day) for day in pair) for pair in np.asarray(file.datasets["date"][:])]
        if dates.groups() not in pairs:
            raise DataError(f"layer: found no pair {wanted}, expected one of the {len(pairs)} of {file.path}")
        return pairs.index(dates.groups()), None
    return 0, wanted


def _declared_nodata(dataset: Mapping[str, Any], file: Mapping[str, Any]) -> float | None:
    """The value that attributes declare to mean no data, those of the dataset first."""
    declared = next((number(dataset[key]) for key in _NODATA if key in dataset), None)
    return number(file["NO_DATA_VALUE"]) if declared is None and "NO_DATA_VALUE" in file else declared


def _short_tags(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Attributes of one value of less than 500 characters, without those that HDF5 keeps for itself."""
    single = {key: text(value) for key, value in attributes.items() if np.size(value) == 1}
    internal = ("CLASS", "NAME")
    return {k: v for k, v in single.items() if len(v) < 500 and not k.startswith("_") and k not in internal}
