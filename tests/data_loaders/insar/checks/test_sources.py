"""A file reads nothing but what lies beside it, and asks no network, unless that is allowed."""

from __future__ import annotations

import socket
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.checks.sources import Access, drivers

rasterio = pytest.importorskip("rasterio", reason="needs mvnet[insar]")
h5py = pytest.importorskip("h5py", reason="needs mvnet[insar]")

PHASE = np.random.default_rng(0).uniform(-3, 3, (8, 8)).astype(np.float32)
OUTSIDE = r"a\.[\w.]+: (?:b\.\w+: )?found a source (outside of its folder|.*expected files of the archive).*"


def vrt(source: str, relative: int = 1, raw: bool = True) -> str:
    name = f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename>'
    kind, inner = ' subClass="VRTRawRasterBand"', f"{name}<PixelOffset>4</PixelOffset><LineOffset>32</LineOffset>"
    if not raw:
        kind, inner = "", f"<SimpleSource>{name}<SourceBand>1</SourceBand></SimpleSource>"
    band = f'<VRTRasterBand dataType="Float32" band="1"{kind}>{inner}</VRTRasterBand>'
    return f'<VRTDataset rasterXSize="8" rasterYSize="8">{band}</VRTDataset>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder, with a secret beside it and data in it."""
    (tmp_path / "secret.bin").write_bytes(PHASE.tobytes())
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "b.bin").write_bytes(PHASE.tobytes())
    return tmp_path / "in"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_sources_beside_and_below_are_read(folder: Path) -> None:
    path = write(folder / "a.vrt", vrt("deep/b.bin"))
    np.testing.assert_array_equal(open_interferogram(path).read_stored(), PHASE)
    path = write(folder / "c.vrt", vrt(str(folder / "deep" / "b.bin"), 0))
    np.testing.assert_array_equal(open_interferogram(path).read_stored(), PHASE)


@pytest.mark.parametrize("name", ["a.vrt", "a.tif", "a.xml", "a.int.vrt"])
@pytest.mark.parametrize("raw", [True, False])
def test_sources_elsewhere_are_refused_whatever_the_name(name: str, raw: bool, folder: Path) -> None:
    for source, relative in (
        ("../secret.bin", 1),
        (str(folder.parent / "secret.bin"), 0),
        ("deep/../../secret.bin", 1),
    ):
        path = write(folder / name, vrt(source, relative, raw))
        with pytest.raises(DataError, match=OUTSIDE + "--allow-external"):
            open_interferogram(path)
        if name == "a.int.vrt":  # as ISCE names it
            (folder / "a.int").write_bytes(PHASE.tobytes())
            with pytest.raises(DataError, match="--allow-external"):
                open_interferogram(folder / "a.int")
    if raw:
        image = open_interferogram(path, allow_external=True)
        np.testing.assert_array_equal(image.read_stored(), PHASE)


def test_a_link_is_followed(folder: Path) -> None:
    (folder / "b.bin").symlink_to(folder.parent / "secret.bin")
    with pytest.raises(DataError, match=OUTSIDE):
        open_interferogram(write(folder / "a.vrt", vrt("b.bin")))


def test_an_input_that_is_a_link_has_its_sources_where_it_lies(folder: Path) -> None:
    write(folder / "a.vrt", vrt("deep/b.bin"))
    (folder.parent / "link.vrt").symlink_to(folder / "a.vrt")
    try:
        np.testing.assert_array_equal(open_interferogram(folder.parent / "link.vrt").read_stored(), PHASE)
    except DataError as error:  # GDAL looks beside the link
        assert "found no file" in str(error)


def test_a_source_of_a_source(folder: Path) -> None:
    write(folder / "b.vrt", vrt("../secret.bin"))
    with pytest.raises(DataError, match=OUTSIDE):
        open_interferogram(write(folder / "a.vrt", vrt("b.vrt", raw=False)))


def test_a_warped_raster_and_a_geolocation_array(folder: Path) -> None:
    warped = "<GDALWarpOptions><SourceDataset relativeToVRT='1'>../secret.bin</SourceDataset></GDALWarpOptions>"
    placed = "<Metadata domain='GEOLOCATION'><MDI key='X_DATASET'>/etc/passwd</MDI></Metadata>"
    for inner in (warped, placed):
        text = f'<VRTDataset rasterXSize="8" rasterYSize="8" subClass="VRTWarpedDataset">{inner}</VRTDataset>'
        with pytest.raises(DataError, match=OUTSIDE):
            open_interferogram(write(folder / "a.vrt", text))


def test_a_raster_without_end_in_itself(folder: Path) -> None:
    write(folder / "a.vrt", vrt("b.vrt", raw=False))
    write(folder / "b.vrt", vrt("a.vrt", raw=False))
    with pytest.raises(DataError):
        open_interferogram(folder / "a.vrt")


def test_a_text_in_an_archive(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("a.vrt", vrt(str(folder.parent / "secret.bin"), 0))
    with pytest.raises(DataError):
        open_interferogram(folder / "a.zip")
    with pytest.raises(DataError, match="expected files of the archive"):
        open_interferogram(f"/vsizip/{folder}/a.zip/a.vrt")


def test_a_text_in_an_archive_that_is_longer_than_any(folder: Path) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.vrt", "<VRTDataset>" + " " * (1 << 24))
    with pytest.raises(DataError, match=r"a\.vrt: found more than 16777216 bytes of text, expected"):
        open_interferogram(f"/vsizip/{folder}/a.zip/a.vrt")


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port, and what was asked there."""
    asked: list[bytes] = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                asked.append(connection.recv(60))
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1], asked
        server.shutdown(socket.SHUT_RDWR)


def test_no_network_is_asked(folder: Path, listener: tuple[int, list[bytes]]) -> None:
    port, asked = listener
    address = f"http://127.0.0.1:{port}"
    texts = {
        "a.vrt": vrt(f"/vsicurl/{address}/x.tif", 0, raw=False),
        "b.vrt": vrt("c.xml", raw=False),
        "c.xml": f"<GDAL_WMS><Service name='TMS'><ServerUrl>{address}/{{z}}</ServerUrl></Service></GDAL_WMS>",
        "d.vrt": vrt(f"{address}/x.tif", 0).replace("SourceFilename", "sourcefilename"),
        "e.tif": f"   <!-- x --> {vrt(f'/vsicurl_streaming/{address}/x.tif', 0, raw=False)}",
        "f.mrf": f"<MRF_META><CachedSource><Source>{address}/x.tif</Source></CachedSource></MRF_META>",
    }
    for name, text in texts.items():
        write(folder / name, text)
    for name in texts:
        with pytest.raises(DataError):
            open_interferogram(folder / name).read(with_coherence=False)
    assert asked == []


def test_network_drivers_are_off() -> None:
    names = ["GTiff", "WMS", "HTTP", "MRF", "VRT"]
    assert drivers(names, Access()) == ["GTiff", "VRT"]
    assert drivers(names, Access(network=True)) == ["GTiff", "WMS", "HTTP", "VRT"]
    assert drivers(names, Access(True, True)) == names


def external(file, folder: Path) -> None:
    file.create_dataset("phase", PHASE.shape, "<f4", external=[(str(folder.parent / "secret.bin"), 0, PHASE.nbytes)])


def virtual(file, folder: Path) -> None:
    with h5py.File(folder.parent / "secret.h5", "w") as other:
        other["phase"] = PHASE
    layout = h5py.VirtualLayout(PHASE.shape, "f4")
    layout[:] = h5py.VirtualSource(str(folder.parent / "secret.h5"), "phase", PHASE.shape)
    file.create_virtual_dataset("phase", layout)


def linked(file, folder: Path) -> None:
    with h5py.File(folder.parent / "secret.h5", "w") as other:
        other["phase"] = PHASE
    file["phase"] = h5py.ExternalLink(str(folder.parent / "secret.h5"), "phase")
    file["other"] = PHASE


@pytest.mark.parametrize("refer", [external, virtual, linked])
def test_hdf5(refer, folder: Path) -> None:
    with h5py.File(folder / "a.h5", "w") as file:
        refer(file, folder)
    with pytest.raises(DataError, match=OUTSIDE + "--allow-external"):
        open_interferogram(folder / "a.h5")
    found = open_interferogram(folder / "a.h5", layer="phase", allow_external=True).read_stored()
    np.testing.assert_array_equal(found, PHASE)


@pytest.mark.parametrize("refer", [external, virtual, linked])
def test_hdf5_of_hdf5(refer, folder: Path) -> None:
    with h5py.File(folder / "deep" / "b.h5", "w") as file:
        refer(file, folder)
    with h5py.File(folder / "a.h5", "w") as file:
        file["phase"] = h5py.ExternalLink("deep/b.h5", "phase")
    with pytest.raises(DataError, match=r"a.h5: b.h5: found a source outside of its folder.*--allow-external"):
        open_interferogram(folder / "a.h5")
    np.testing.assert_array_equal(open_interferogram(folder / "a.h5", allow_external=True).read_stored(), PHASE)


def test_hdf5_beside_by_a_relative_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(folder / "deep" / "b.h5", "w") as file:
        file["phase"] = PHASE
    with h5py.File(folder / "a.h5", "w") as file:
        file["phase"] = h5py.ExternalLink("deep/b.h5", "phase")
    np.testing.assert_array_equal(open_interferogram(folder / "a.h5").read_stored(), PHASE)
    (folder / "deep").rename(folder.parent / "deep")  # HDF5 finds it from the working folder
    monkeypatch.chdir(folder.parent)
    with pytest.raises(DataError, match=OUTSIDE + "--allow-external"):
        open_interferogram(folder / "a.h5")


def test_hdf5_without_end_in_itself(folder: Path) -> None:
    for one, other in (("a.h5", "b.h5"), ("b.h5", "a.h5")):
        with h5py.File(folder / one, "w") as file:
            file["phase"] = h5py.ExternalLink(other, "phase")
    with pytest.raises(DataError, match="HDF5 files without end in one another"):
        open_interferogram(folder / "a.h5")
