"""Products of HyP3, a folder each, and the epochs of LiCSAR: GeoTIFFs of the phase and the coherence.

A denoised pair has the files it was read from, under the same names: the phase, the quality under the name of the
coherence, the unwrapped phase moved by what was denoised where there is one, and the text files of the product.

Source: hyp3-docs.asf.alaska.edu, "Sentinel-1 InSAR product guide"; comet.nerc.ac.uk, LiCSAR products.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mvnet.data_loaders.insar.checks.sources import LOCAL, Access
from mvnet.data_loaders.insar.formats.products import coherence_names
from mvnet.data_loaders.insar.rasters import gdal, open_checked
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, Pair, Stack, StackKind, follow, read_window, windows
from mvnet.data_loaders.optional import import_optional

NAME = "products"
_FOLDERS = ("", "interferograms", "GEOC")
_WRAPPED = ("_wrapped_phase.tif", ".geo.diff_pha.tif", ".geo.diff_unfiltered_pha.tif")
_UNWRAPPED = ("_unw_phase.tif", ".geo.unw.tif")
_IN_BYTES = ".geo.cc.tif"  # a coherence of 0 to 255


def find(path: Path, access: Access) -> Stack | None:
    """The stack of a folder of products; a product itself is one scene."""
    if not path.is_dir() or _phase(path) is not None:
        return None
    for below in _FOLDERS:
        folders = [one for one in sorted((path / below).iterdir()) if one.is_dir()] if (path / below).is_dir() else []
        pairs = [_pair(folder, file, below) for folder in folders if (file := _phase(folder)) is not None]
        if pairs:
            messages = ["the quality of a pair is written under the name of its coherence"]
            if len(folders) > len(pairs):
                messages.append(f"{len(folders) - len(pairs)} folders without a phase are left out")
            return Stack(path, NAME, tuple(pairs), False, messages=tuple(messages))
    return None


def _phase(folder: Path) -> Path | None:
    """The phase of a product: wrapped rather than unwrapped."""
    for ending in (*_WRAPPED, *_UNWRAPPED):
        files = sorted(folder.glob(f"*{ending}"))
        if files:
            return files[0]
    return None


def _pair(folder: Path, file: Path, below: str) -> Pair:
    coherence = coherence_names(file.name)[0]
    unwrapped = _unwrapped(file)
    files = [file, *(one for one in (file.with_name(coherence), unwrapped) if one is not None and one.is_file())]
    names = [coherence, *(text.name for text in _texts(file))]
    names += [unwrapped.name] if unwrapped is not None and unwrapped != file else []
    outputs = tuple(str(Path(below, folder.name, name)) for name in (*names, file.name))
    return Pair(folder.name, file, tuple(dict.fromkeys(files)), outputs)


def _unwrapped(file: Path) -> Path | None:
    """The unwrapped phase of the product that a phase is of."""
    stem = next(file.name.removesuffix(ending) for ending in (*_WRAPPED, *_UNWRAPPED) if file.name.endswith(ending))
    beside = (file.with_name(stem + ending) for ending in _UNWRAPPED)
    return next((one for one in beside if one.is_file()), None)


def _texts(file: Path) -> list[Path]:
    return [text for text in sorted(file.parent.glob("*.txt")) if text.stat().st_size < 1 << 20]


def store(pair: Pair, denoised: DenoisedPair, folder: Path, access: Access = LOCAL) -> None:
    """The files of a pair."""
    place = (folder / pair.outputs[-1]).parent
    place.mkdir(parents=True, exist_ok=True)
    for text in _texts(pair.path):
        shutil.copyfile(text, place / text.name)
    unwrapped = _unwrapped(pair.path)
    if unwrapped is not None:
        _write_unwrapped(unwrapped, denoised, place / unwrapped.name, access)
    _write_quality(denoised.quality, folder / pair.outputs[0])
    if unwrapped != pair.path:
        os.replace(denoised.values, folder / pair.outputs[-1])


def _write_unwrapped(source: Path, denoised: DenoisedPair, target: Path, access: Access) -> None:
    with open_checked(source, str(source), access) as raster:
        profile = _profile(raster)
        with gdal().open(target, "w", **profile) as written:
            written.update_tags(**raster.tags())
            for window in windows(raster.shape):
                place = import_optional("rasterio.windows", "insar").Window.from_slices(*window)
                values = raster.read(1, window=place)
                phase, quality = (read_window(path, window) for path in denoised)
                lost = np.full(quality.shape, raster.nodata is not None) & (values == raster.nodata)
                written.write(follow(values, phase, np.where(lost, np.nan, quality)), 1, window=place)


def _write_quality(source: Path, target: Path) -> None:
    """As floats, 0 to 1, or in bytes where the coherence is."""
    if not re.search(rf"{re.escape(_IN_BYTES)}$", target.name):
        os.replace(source, target)
        return
    with gdal().open(source) as raster:
        profile = _profile(raster) | {"dtype": "uint8", "nodata": 0}
        with gdal().open(target, "w", **profile) as written:
            for window in windows(raster.shape):
                place = import_optional("rasterio.windows", "insar").Window.from_slices(*window)
                quality = np.nan_to_num(raster.read(1, window=place), nan=0.0)
                written.write(np.rint(255 * quality).astype(np.uint8), 1, window=place)


def _profile(raster: Any) -> dict[str, Any]:
    kept = {key: raster.profile[key] for key in ("height", "width", "dtype", "nodata", "crs", "transform")}
    return {"driver": "GTiff", "count": 1, "compress": "deflate", "tiled": True, "bigtiff": "IF_SAFER", **kept}


KIND = StackKind(NAME, find, store)
