"""The interferograms of an ISCE2 stack: `interferograms/DATE1_DATE2/fine.int`, or `filt_fine.int` where there is none.

A denoised pair is `filt_fine.int` (complex64) and `phsig.cor` (float32), each with its `.xml` and `.vrt`.

Source: github.com/isce-framework/isce2, contrib/stack/topsStack, FilterAndCoherence.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from mvnet.data_loaders.insar.checks.sources import LOCAL, Access
from mvnet.data_loaders.insar.formats.products import coherence_beside
from mvnet.data_loaders.insar.layers import Window
from mvnet.data_loaders.insar.rasters import gdal
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, Pair, Stack, StackKind, read_window, windows
from mvnet.data_loaders.optional import import_optional

NAME = "isce2"
_FOLDERS = ("", "interferograms", "Igrams", "merged/interferograms")
_INPUTS = ("fine.int", "filt_fine.int")
_HEADERS = ("", ".xml", ".vrt")
_QUALITY, _VALUES = "phsig.cor", "filt_fine.int"
_OWN = ("FILE_NAME", "EXTRA_FILE_NAME", "METADATA_LOCATION")  # of the file they were written for
_VRT = """<VRTDataset rasterXSize="{width}" rasterYSize="{height}">
  <VRTRasterBand dataType="{kind}" band="1" subClass="VRTRawRasterBand">
    <SourceFilename relativeToVRT="1">{name}</SourceFilename>
    <ByteOrder>LSB</ByteOrder>
    <ImageOffset>0</ImageOffset>
    <PixelOffset>{size}</PixelOffset>
    <LineOffset>{line}</LineOffset>
  </VRTRasterBand>
</VRTDataset>
"""
_KINDS = {"complex64": "CFloat32", "float32": "Float32"}


def find(path: Path, access: Access) -> Stack | None:
    """The stack of a folder whose folders are called by two dates."""
    for below in _FOLDERS if path.is_dir() else ():
        folders = [one for one in sorted((path / below).glob("*_*")) if re.fullmatch(r"\d{8}_\d{8}", one.name)]
        pairs = [pair for folder in folders if (pair := _pair(folder, below)) is not None]
        if pairs:
            return Stack(path, NAME, tuple(pairs), True, messages=tuple(_messages(pairs, folders)))
    return None


def _pair(folder: Path, below: str) -> Pair | None:
    for name in _INPUTS:
        files = [folder / f"{name}{ending}" for ending in _HEADERS if (folder / f"{name}{ending}").is_file()]
        if files:
            partner = coherence_beside(folder / name)
            inputs = tuple(files) if partner is None else (*files, partner)
            outputs = [f"{result}{ending}" for result in (_QUALITY, _VALUES) for ending in reversed(_HEADERS)]
            return Pair(
                folder.name, folder / name, inputs, tuple(str(Path(below, folder.name, out)) for out in outputs)
            )
    return None


def _messages(pairs: list[Pair], folders: list[Path]) -> list[str]:
    filtered = [pair.name for pair in pairs if pair.path.name != _INPUTS[0]]
    messages = [f"the quality of a pair is written as {_QUALITY}"]
    if filtered:
        messages.append(f"{len(filtered)} of {len(pairs)} pairs have no {_INPUTS[0]}: {_INPUTS[1]} is read there")
    if len(folders) > len(pairs):
        messages.append(f"{len(folders) - len(pairs)} folders without {' or '.join(_INPUTS)} are left out")
    return messages


def store(pair: Pair, denoised: DenoisedPair, folder: Path, access: Access = LOCAL) -> None:
    """The two rasters of a pair, with their headers."""
    for source, name in ((denoised.quality, pair.outputs[2]), (denoised.values, pair.outputs[-1])):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with gdal().open(source) as raster:
            shape, dtype, properties = raster.shape, raster.dtypes[0], raster.tags(ns="ISCE")
        write_isce(folder / name, shape, dtype, partial(read_window, source), properties)


def write_isce(
    target: Path,
    shape: tuple[int, int],
    dtype: str,
    read: Callable[[Window], np.ndarray],
    properties: Mapping[str, str] | None = None,
) -> None:
    """A raster as ISCE2 has it: raw, with NAME.xml and NAME.vrt; 0 where there are no data.

    Args:
        target: where the data will be.
        dtype: "float32" or "complex64".
        read: gives the values of a window.
        properties: of the header of the file it comes from.
    """
    place = import_optional("rasterio.windows", "insar").Window
    size = {"height": shape[0], "width": shape[1]}
    kept = {key: value for key, value in (properties or {}).items() if key.upper() not in _OWN}
    with gdal().open(target, "w", driver="ISCE", count=1, dtype=dtype, **size) as raster:
        raster.update_tags(ns="ISCE", **kept)
        for window in windows(shape):
            raster.write(np.nan_to_num(read(window), nan=0.0), 1, window=place.from_slices(*window))
    pixel = np.dtype(dtype).itemsize
    text = _VRT.format(**size, kind=_KINDS[dtype], name=target.name, size=pixel, line=pixel * shape[1])
    Path(f"{target}.vrt").write_text(text, encoding="utf-8")


KIND = StackKind(NAME, find, store)
