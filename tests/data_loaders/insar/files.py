"""The same small interferogram in every format that is read: name -> writer(folder, z, coherence) -> path to open."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from affine import Affine

TRANSFORM = Affine(0.001, 0, 10.0, 0, -0.002, 45.0)
CRS = "EPSG:4326"


def tiff(path: Path, data: np.ndarray, driver: str = "GTiff", **more) -> Path:
    import rasterio

    bands = data if data.ndim == 3 else data[None]
    profile = {"driver": driver, "height": bands.shape[1], "width": bands.shape[2], "count": len(bands)}
    profile |= {"dtype": bands.dtype.name, "crs": CRS, "transform": TRANSFORM}
    with rasterio.open(path, "w", **(profile | more)) as file:
        file.write(bands)
    return path


def geotiff(folder: Path, z, g) -> Path:
    tiff(folder / "coh_vv.tif", g)
    return tiff(folder / "phi_vv.tif", np.angle(z))


def dolphin(folder: Path, z, g) -> Path:
    tiff(folder / "20200101_20200113.int.cor.tif", g)
    return tiff(folder / "20200101_20200113.int.tif", z)


def hyp3(folder: Path, z, g) -> Path:
    tiff(folder / "S1AA_2020_corr.tif", g)
    tiff(folder / "S1AA_2020_unw_phase.tif", np.angle(z) + 100)
    tiff(folder / "S1AA_2020_wrapped_phase.tif", np.angle(z))
    return folder


def hyp3_zip(folder: Path, z, g) -> Path:
    inner = folder / "S1AA_2020"
    inner.mkdir()
    hyp3(inner, z, g)
    with zipfile.ZipFile(folder / "product.zip", "w") as archive:
        for file in inner.iterdir():
            archive.write(file, f"S1AA_2020/{file.name}")
    return folder / "product.zip"


def licsar(folder: Path, z, g) -> Path:
    tiff(folder / "20200101_20200113.geo.cc.tif", np.round(g * 255).astype(np.uint8), nodata=0)
    return tiff(folder / "20200101_20200113.geo.diff_pha.tif", np.angle(z))


def isce(folder: Path, z, g) -> Path:
    tiff(folder / "filt_fine.cor", np.stack([np.abs(z), g]), "ISCE")
    return tiff(folder / "filt_fine.int", z, "ISCE")


def isce_header(folder: Path, z, g) -> Path:
    return Path(f"{isce(folder, z, g)}.xml")


def roi_pac(folder: Path, z, g) -> Path:
    tiff(folder / "20200101-20200113.cor", np.stack([np.abs(z), g]), "ROI_PAC", interleave="line")
    return tiff(folder / "20200101-20200113.int", z, "ROI_PAC")


def envi(folder: Path, z, g) -> Path:
    tiff(folder / "pair.cor", g, "ENVI", suffix="add")
    return tiff(folder / "pair.int", z, "ENVI", suffix="add")


def gamma(folder: Path, z, g) -> Path:
    par = "dem_projection: EQA\nwidth: {}\nnlines: {}\ncorner_lat: 44.999 decimal degrees\n"
    par += "corner_lon: 10.0005\npost_lat: -0.002\npost_lon: 0.001\n"
    (folder / "EQA.dem_par").write_text(par.format(z.shape[1], z.shape[0]))
    g.astype(">f4").tofile(folder / "20200101_20200113.cc")
    z.astype(">c8").tofile(folder / "20200101_20200113.diff")
    return folder / "20200101_20200113.diff"


def gmtsar_classic(folder: Path, z, g) -> Path:
    from scipy.io import netcdf_file

    for name, data in (("phasefilt.grd", np.angle(z)), ("corr.grd", g)):
        with netcdf_file(folder / name, "w") as file:
            _grid(file, z.shape, lambda n, f=file: f.createDimension(*n))
            for axis, values in zip("xy", _centres(z.shape)):
                file.createVariable(axis, "d", (axis,))[:] = values[::-1] if axis == "y" else values
            file.createVariable("z", "f", ("y", "x"))[:] = data[::-1]
    return folder / "phasefilt.grd"


def gmtsar(folder: Path, z, g) -> Path:
    import h5netcdf

    for name, data in (("real.grd", z.real), ("imag.grd", z.imag), ("corr.grd", g)):
        with h5netcdf.File(folder / name, "w") as file:
            file.dimensions = {"y": z.shape[0], "x": z.shape[1]}
            x, y = _centres(z.shape)
            file.create_variable("x", ("x",), data=x)
            file.create_variable("y", ("y",), data=y[::-1])
            file.create_variable("z", ("y", "x"), data=np.ascontiguousarray(data[::-1], dtype=np.float32))
    return folder / "real.grd"


def _grid(file, shape, create) -> None:
    for pair in zip("yx", shape):
        create(pair)


def _centres(shape) -> tuple[np.ndarray, np.ndarray]:
    return 10 + 0.001 * (np.arange(shape[1]) + 0.5), 45 - 0.002 * (np.arange(shape[0]) + 0.5)


def nisar(folder: Path, z, g) -> Path:
    import h5py

    x, y = _centres(z.shape)
    with h5py.File(folder / "gunw.h5", "w") as file:
        group = file.create_group("science/LSAR/GUNW/grids/frequencyA/wrappedInterferogram")
        group["xCoordinates"], group["yCoordinates"] = x, y
        group["projection"] = np.uint32(4326)
        group["projection"].attrs["epsg_code"] = 4326
        group["HH/wrappedInterferogram"] = z
        group["HH/coherenceMagnitude"] = g
        other = file.create_group("science/LSAR/GUNW/grids/frequencyA/unwrappedInterferogram/HH")
        other["unwrappedPhase"], other["coherenceMagnitude"] = np.angle(z)[::2, ::2], g[::2, ::2]
    return folder / "gunw.h5"


def aria(folder: Path, z, g) -> Path:
    import h5py

    x, y = _centres(z.shape)
    with h5py.File(folder / "S1-GUNW.nc", "w") as file:
        data = file.create_group("science/grids/data")
        data["unwrappedPhase"], data["coherence"], data["longitude"], data["latitude"] = np.angle(z), g, x, y
        data["crs"] = 0
        data["crs"].attrs["crs_wkt"] = _wkt()
        data["unwrappedPhase"].attrs["grid_mapping"] = "crs"
    return folder / "S1-GUNW.nc"


def mintpy(folder: Path, z, g) -> Path:
    import h5py

    with h5py.File(folder / "ifgramStack.h5", "w") as file:
        file["unwrapPhase"] = np.stack([np.zeros_like(g), np.angle(z)])
        file["coherence"] = np.stack([g * 0, g])
        file["date"] = np.array([["20200101", "20200113"], ["20200113", "20200125"]], dtype="S8")
        places = {"X_FIRST": "10.0", "Y_FIRST": "45.0", "X_STEP": "0.001", "Y_STEP": "-0.002", "EPSG": "4326"}
        file.attrs.update({"FILE_TYPE": "ifgramStack", **places})
    return folder / "ifgramStack.h5"


def xarray_netcdf(folder: Path, z, g) -> Path:
    import h5py

    x, y = _centres(z.shape)
    with h5py.File(folder / "stack.nc", "w") as file:
        file["interferogram"], file["coherence"], file["x"], file["y"] = z, g, x, y
        file["spatial_ref"] = 0
        file["spatial_ref"].attrs["crs_wkt"] = _wkt()
    return folder / "stack.nc"


def zarr(folder: Path, z, g) -> Path:
    import zarr

    store = zarr.open_group(folder / "pair.zarr", mode="w")
    x, y = _centres(z.shape)
    for name, data in (("ifg", z), ("coherence", g), ("x", x), ("y", y), ("spatial_ref", np.zeros(()))):
        store.create_array(name, data=data, chunks=(7, 9) if np.ndim(data) == 2 else "auto")
    store["spatial_ref"].attrs["crs_wkt"] = _wkt()
    return folder / "pair.zarr"


def znap(folder: Path, z, g) -> Path:
    import zarr

    store = zarr.open_group(folder / "pair.znap", mode="w", zarr_format=2)
    bands = (("i_ifg_VV", z.real), ("q_ifg_VV", z.imag), ("coh_VV", g))
    for name, data in bands:
        store.create_array(name, data=np.ascontiguousarray(data))
    return folder / "pair.znap"


def dimap(folder: Path, z, g) -> Path:
    (folder / "pair.data").mkdir()
    (folder / "pair.dim").write_text("<Dimap_Document/>")
    for name, data in (("i_ifg_VV", z.real), ("q_ifg_VV", z.imag), ("coh_VV", g)):
        tiff(folder / f"pair.data/{name}.img", np.ascontiguousarray(data), "ENVI")
    return folder / "pair.dim"


def _wkt() -> str:
    from rasterio.crs import CRS as Crs

    return Crs.from_epsg(4326).to_wkt()


WRITERS = {
    "geotiff": (geotiff, "geotiff"),
    "dolphin": (dolphin, "geotiff"),
    "HyP3": (hyp3, "product"),
    "HyP3 zip": (hyp3_zip, "product"),
    "LiCSAR": (licsar, "geotiff"),
    "ISCE2": (isce, "isce2"),
    "ISCE2 xml": (isce_header, "isce2"),
    "ROI_PAC": (roi_pac, "roi_pac"),
    "ENVI": (envi, "envi"),
    "GAMMA": (gamma, "gamma"),
    "GMTSAR classic": (gmtsar_classic, "gmtsar"),
    "GMTSAR complex": (gmtsar, "gmtsar"),
    "NISAR": (nisar, "nisar"),
    "ARIA": (aria, "aria"),
    "MintPy": (mintpy, "mintpy"),
    "NetCDF-4": (xarray_netcdf, "hdf5"),
    "Zarr": (zarr, "zarr"),
    "ZNAP": (znap, "zarr"),
    "BEAM-DIMAP": (dimap, "beam-dimap"),
}
NOT_GEOREFERENCED = ("ZNAP", "ISCE2", "ISCE2 xml")
"""Written here without; in ISCE the driver knows none."""
PHASE_ONLY = ("geotiff", "HyP3", "HyP3 zip", "LiCSAR", "GMTSAR classic", "ARIA", "MintPy")
