"""Interferograms and stacks in every format."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.random import default_rng

from benchmarks.faults.case import Input, Kind
from mvnet.data_loaders.insar import Block, open_interferogram
from mvnet.data_loaders.insar.stacks.registry import find_stack
from tests.data_loaders.insar import files, stack_files
from tests.data_loaders.insar.files import tiff
from tests.data_loaders.insar.formats.test_formats import ANNOTATION

_SHAPE = (9, 11)
_WINDOW = slice(2, 7), slice(3, 11)


def _scene() -> tuple[np.ndarray, np.ndarray]:
    """An interferogram without structure, and its coherence."""
    random = default_rng(0)
    z = (random.standard_normal(_SHAPE) + 1j * random.standard_normal(_SHAPE)).astype(np.complex64)
    return z, random.uniform(0.05, 0.95, _SHAPE).astype(np.float32)


def _vrt(folder: Path, z: np.ndarray, g: np.ndarray) -> Path:
    tiff(folder / "source.tif", np.angle(z))
    rows, columns = z.shape
    (folder / "phase.vrt").write_text(
        f'<VRTDataset rasterXSize="{columns}" rasterYSize="{rows}"><VRTRasterBand dataType="Float32" band="1">'
        '<SimpleSource><SourceFilename relativeToVRT="1">source.tif</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{columns}" ySize="{rows}"/>'
        f'<DstRect xOff="0" yOff="0" xSize="{columns}" ySize="{rows}"/>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return folder / "phase.vrt"


def _deflated(folder: Path, z: np.ndarray, g: np.ndarray) -> Path:
    return tiff(folder / "phi.tif", np.angle(z), compress="deflate", tiled=True, blockxsize=16, blockysize=16)


def _npy(folder: Path, z: np.ndarray, g: np.ndarray) -> Path:
    np.save(folder / "z.npy", z)
    return folder / "z.npy"


def _npz(folder: Path, z: np.ndarray, g: np.ndarray) -> Path:
    np.savez_compressed(folder / "a.npz", ifg=z, coherence=g)
    return folder / "a.npz"


def _matlab(folder: Path, z: np.ndarray, g: np.ndarray) -> Path:
    from scipy.io import savemat

    savemat(folder / "a.mat", {"ifg": z, "coherence": g, "name": "pair"})
    return folder / "a.mat"


def _uavsar(folder: Path, z: np.ndarray, g: np.ndarray) -> Path:
    rows, columns = z.shape
    (folder / "site_01.ann").write_text(ANNOTATION.replace("23", str(rows)).replace("31", str(columns)))
    z.astype("<c8").tofile(folder / "site_01.int.grd")
    g.tofile(folder / "site_01.cor.grd")
    return folder / "site_01.int.grd"


def _one_in_zip(folder: Path, z: np.ndarray, g: np.ndarray) -> Path:
    inner = tiff(folder / "phi.tif", np.angle(z))
    with zipfile.ZipFile(folder / "pair.zip", "w") as archive:
        archive.write(inner, "inner/phi.tif")
    inner.unlink()
    return folder / "pair.zip"


_MORE = {
    "vrt": _vrt, "deflated": _deflated, "npy": _npy, "npz": _npz, "mat": _matlab, "uavsar": _uavsar, "zip": _one_in_zip
}  # fmt: skip
_WRITERS = {name: writer for name, (writer, _) in files.WRITERS.items()} | _MORE


def _one(name: str) -> Input:
    def make(folder: Path) -> Path:
        return _WRITERS[name](folder, *_scene())

    return Input(make, lambda path: _read(path, 1 if name == "MintPy" else None))


def _read(path: Path, layer: str | int | None = None) -> list[Block]:
    """A window, then all of it."""
    image = open_interferogram(path, layer=layer)
    rows, columns = image.shape
    inside = slice(0, max(1, rows // 2)), slice(columns // 2, columns)
    return [image.read(inside), image.read()]


def blocks_hold(blocks: Sequence[Block]) -> str:
    """Validity in {0, 1}, values finite and of the circle's plane where valid and 0 elsewhere, coherence in [0, 1]."""
    for values, valid, coherence in blocks:
        if valid.dtype != bool or values.shape != valid.shape or coherence.shape != valid.shape:
            return "a validity that is not in {0, 1}, or arrays of several shapes"
        if not np.isfinite(values).all() or (values[valid] == 0).any() or (values[~valid] != 0).any():
            return "values that are not finite, 0 where valid, or not 0 elsewhere"
        known = coherence[~np.isnan(coherence)]
        if ((known < 0) | (known > 1)).any():
            return f"a coherence from {known.min():g} to {known.max():g}"
    return ""


def _stack(name: str) -> Input:
    z, g = stack_files.pairs()

    def make(folder: Path) -> Path:
        found = stack_files.WRITERS[name](folder, z, g)
        return found

    return Input(make, _read_stack)


def _read_stack(path: Path) -> list[Block]:
    """All pairs of a stack, or the scene that is there."""
    stack = find_stack(path)
    if stack is None:
        return _read(path)
    return [block for pair in stack.pairs for block in _read(pair.path, pair.layer)]


def _kind(*names: str, share: float = 1.0) -> Kind:
    return Kind({name: _one(name) for name in names}, blocks_hold, share)


GEOTIFF = _kind("geotiff", "dolphin", "HyP3", "HyP3 zip", "LiCSAR", "deflated")
RASTERS = _kind("ISCE2", "ISCE2 xml", "ROI_PAC", "ENVI", "BEAM-DIMAP", "vrt")
GAMMA = _kind("GAMMA")
CLASSIC = _kind("GMTSAR classic")
ARRAYS = _kind("npy", "npz", "mat", "uavsar", "zip")
HDF5 = _kind("NISAR", "ARIA", "MintPy", "GMTSAR complex", "NetCDF-4")
ZARR = _kind("Zarr", "ZNAP", share=0.5)
STACKS = Kind({name: _stack(name) for name in stack_files.WRITERS}, blocks_hold, share=0.05)
