"""The same three small interferograms in every kind of stack: name -> writer(folder, z, g) -> path to open."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.data_loaders.insar.files import tiff

SHAPE = (48, 64)
NAMES = ("20200101_20200113", "20200101_20200125", "20200113_20200125")
X, Y = 500000 + 40.0 * np.arange(SHAPE[1]), 4000000 - 40.0 * np.arange(SHAPE[0])


def pairs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Interferograms (3, 48, 64), complex64, and their coherence."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    phases = np.stack([0.15 * columns, 0.1 * rows + 0.2 * columns, 0.25 * rows])
    noise = rng.normal(scale=0.7, size=phases.shape)
    z = (1 + rng.random(phases.shape)) * np.exp(1j * (phases + noise))
    z[:, :6, :9] = 0  # no data
    return z.astype(np.complex64), np.where(z == 0, 0, 0.6).astype(np.float32)


def mintpy(folder: Path, z, g) -> Path:
    import h5py

    with h5py.File(folder / "ifgramStack.h5", "w") as file:
        file.create_dataset("wrapPhase", data=np.angle(z), chunks=(2, 16, 24), compression="lzf")
        file["coherence"], file["bperp"] = g, np.array([10.0, -5.0, 3.0], np.float32)
        file["date"] = np.array([name.split("_") for name in NAMES], dtype="S8")
        file["dropIfgram"] = np.ones(3, bool)
        file["wrapPhase"].attrs["UNIT"] = "radian"
        file.attrs.update({"FILE_TYPE": "ifgramStack", "WIDTH": "64", "LENGTH": "48", "PROCESSOR": "isce"})
    return folder / "ifgramStack.h5"


def dolphin(folder: Path, z, g) -> Path:
    (folder / "interferograms").mkdir()
    for name, one, coherence in zip(NAMES, z, g):
        tiff(folder / f"interferograms/{name}.int.tif", one)
        tiff(folder / f"interferograms/{name}.int.cor.tif", coherence)
    return folder


def isce2(folder: Path, z, g) -> Path:
    for name, one, coherence in zip(NAMES, z, g):
        place = folder / "interferograms" / name
        place.mkdir(parents=True)
        tiff(place / "fine.cor", coherence, "ISCE")
        tiff(place / "fine.int", one, "ISCE")
        tiff(place / "filt_fine.int", one**2, "ISCE")
    return folder


def hyp3(folder: Path, z, g) -> Path:
    for k, (name, one, coherence) in enumerate(zip(NAMES, z, g)):
        product = folder / f"S1AA_{name}_VVP012_INT80_G_weF_{k:04X}"
        product.mkdir()
        phase = np.angle(one)
        tiff(product / f"{product.name}_wrapped_phase.tif", phase, nodata=0)
        tiff(product / f"{product.name}_unw_phase.tif", np.where(one == 0, 0, phase + 4 * np.pi), nodata=0)
        tiff(product / f"{product.name}_corr.tif", coherence, nodata=0)
        (product / f"{product.name}.txt").write_text(f"Reference Granule: {name}\n")
    return folder


def licsar(folder: Path, z, g) -> Path:
    for name, one, coherence in zip(NAMES, z, g):
        epoch = folder / "GEOC" / name
        epoch.mkdir(parents=True)
        tiff(epoch / f"{name}.geo.diff_pha.tif", np.angle(one), nodata=0)
        tiff(epoch / f"{name}.geo.cc.tif", np.round(coherence * 255).astype(np.uint8), nodata=0)
    return folder


def dataset(z, g):
    """As xarray has it, with a coordinate of every axis."""
    import xarray

    axes = ("pair", "y", "x")
    variables = {"ifg": (axes, z, {"units": "1", "sensor": "S1"}), "coherence": (axes, g)}
    coordinates = {"pair": list(NAMES), "y": Y, "x": X, "baseline": ("pair", [10.0, -5.0, 3.0])}
    return xarray.Dataset(variables, coordinates, {"title": "a test"})


def zarr(folder: Path, z, g) -> Path:
    stored = dataset(z, g).chunk({"pair": 2, "y": 20, "x": 30})
    stored.to_zarr(folder / "stack.zarr")
    return folder / "stack.zarr"


def netcdf(folder: Path, z, g) -> Path:
    stored = dataset(z, g).rename(ifg="phase")
    stored["phase"] = stored.phase.copy(data=np.where(z == 0, np.nan, np.angle(z)).astype(np.float32))
    stored.to_netcdf(folder / "stack.nc", engine="h5netcdf")
    return folder / "stack.nc"


WRITERS = {
    "mintpy": mintpy,
    "dolphin": dolphin,
    "isce2": isce2,
    "products": hyp3,
    "licsar": licsar,
    "zarr": zarr,
    "netcdf": netcdf,
}
KINDS = {**{name: name for name in WRITERS}, "licsar": "products"}
OUTPUTS = {"mintpy": "out.h5", "zarr": "out.zarr", "netcdf": "out.nc"}


def output_name(kind: str) -> str:
    return OUTPUTS.get(kind, "out")
