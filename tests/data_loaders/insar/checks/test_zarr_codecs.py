"""A Zarr store that names a codec which runs code is refused before anything is decoded."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar import open_interferogram
from mvnet.data_loaders.insar.checks.zarr_codecs import SAFE_CODECS, SAFE_CODECS_3, check_codecs
from mvnet.data_loaders.insar.stacks.registry import find_stack

zarr = pytest.importorskip("zarr", reason="needs mvnet[insar]")
pytest.importorskip("rasterio", reason="needs mvnet[insar]")


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self):
        return Path.touch, (self.flag,)


def store(folder: Path, version: int = 2) -> Path:
    group = zarr.open_group(folder / "a.zarr", mode="w", zarr_format=version)
    z = np.exp(1j * np.random.default_rng(0).uniform(-3, 3, (16, 16))).astype(np.complex64)
    group.create_array("ifg", data=z, chunks=(8, 8))
    group.create_array("y", data=np.arange(16.0))
    return folder / "a.zarr"


PICKLE = {"id": "pickle", "protocol": 5}
BASE = {"zarr_format": 2, "shape": [16], "chunks": [16], "compressor": None, "order": "C", "fill_value": ""}
ARRAYS = {
    "filter": BASE | {"dtype": "|O", "filters": [{"id": "vlen-utf8"}, PICKLE]},
    "compressor": BASE | {"dtype": "<f4", "filters": None, "compressor": PICKLE},
    "objects without codec": BASE | {"dtype": "|O", "filters": None},
    "objects in a field": BASE | {"dtype": [["a", "<f4"], ["b", "|O"]], "filters": None},
    "unknown": BASE | {"dtype": "<f4", "filters": [{"id": "mine"}]},
    "no id": BASE | {"dtype": "<f4", "filters": [{}]},
    "no type": BASE | {"dtype": "nothing", "filters": None},
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("place", ["x/.zarray", "deep/er/.zarray", ".zmetadata"])
def test_version_2(array: dict, place: str, tmp_path: Path) -> None:
    path, flag = store(tmp_path), tmp_path / "ran"
    consolidated = {"zarr_consolidated_format": 1, "metadata": {".zgroup": {"zarr_format": 2}, "x/.zarray": array}}
    (path / place).parent.mkdir(parents=True, exist_ok=True)
    (path / place).write_text(json.dumps(consolidated if place == ".zmetadata" else array))
    (path / "x").mkdir(exist_ok=True)
    (path / "x" / "0").write_bytes(pickle.dumps(Trap(flag)))
    for read in (open_interferogram, find_stack):
        with pytest.raises(DataError, match=r"found (codec|an array of objects).*expected"):
            read(path)
    assert not flag.exists()


@pytest.mark.parametrize("inside", [False, True], ids=["plain", "in shards"])
@pytest.mark.parametrize("consolidated", [False, True])
def test_version_3(inside: bool, consolidated: bool, tmp_path: Path) -> None:
    path = store(tmp_path, 3)
    file = path / "ifg" / "zarr.json"
    array = json.loads(file.read_text())
    bad: list = [{"name": "bytes"}, {"name": "numcodecs.pickle"}]
    if inside:
        bad = [{"name": "sharding_indexed", "configuration": {"chunk_shape": [4, 4], "codecs": bad}}]
    array["codecs"] = bad
    if consolidated:
        root = json.loads((path / "zarr.json").read_text())
        root["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": {"ifg": array}}
        (path / "zarr.json").write_text(json.dumps(root))
    else:
        file.write_text(json.dumps(array))
    with pytest.raises(DataError, match=r"found codec 'numcodecs\.pickle'"):
        open_interferogram(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"codecs": "pickle"}, "found codec 'pickle'"),
        ({"data_type": {"name": "numpy.object"}}, r"found values of type numpy\.object, expected numbers or texts"),
    ],
)
def test_version_3_in_other_words(change: dict, words: str, tmp_path: Path) -> None:
    path = store(tmp_path, 3)
    file = path / "ifg" / "zarr.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError, match=words):
        open_interferogram(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b" " * (1 + (1 << 26)), "expected at most .* of metadata"), (b"{", "cannot be read as the metadata")],
)
def test_metadata_that_are_none(content: bytes, words: str, tmp_path: Path) -> None:
    path = store(tmp_path)
    (path / "ifg" / ".zarray").write_bytes(content)
    with pytest.raises(DataError, match=words):
        open_interferogram(path)
    (path / "ifg" / ".zarray").write_bytes(b"[]")  # no metadata of an array
    check_codecs(path)


def test_what_zarr_writes_by_itself_is_read(tmp_path: Path) -> None:
    for version in (2, 3):
        (tmp_path / str(version)).mkdir()
        path = store(tmp_path / str(version), version)
        assert open_interferogram(path).read().valid.all()
        check_codecs(path)
    labels = BASE | {"dtype": "|O", "filters": [{"id": "vlen-utf8"}]}
    (tmp_path / ".zarray").write_text(json.dumps(labels))
    check_codecs(tmp_path)


def test_no_safe_codec_is_of_pickles() -> None:
    assert not any("pickle" in name or "msgpack" in name for name in SAFE_CODECS | SAFE_CODECS_3)


def test_a_store_that_changes_is_looked_at_again(tmp_path: Path) -> None:
    path = store(tmp_path)
    open_interferogram(path)
    (path / "x").mkdir()
    (path / "x" / ".zarray").write_text(json.dumps(ARRAYS["filter"]))
    with pytest.raises(DataError, match="pickle"):
        open_interferogram(path)
