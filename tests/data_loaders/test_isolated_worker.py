"""What the process of the compiled parsers says, said by its functions in this one; and what becomes of its ends."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from mvnet.data_loaders import isolated, isolated_worker
from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.isolated import parse_isolated
from tests.data_loaders.insar.files import gmtsar_classic

VALUES = {"a": np.arange(6.0).reshape(2, 3), "text": "words", "struct": {"inner": np.ones(3)}}


def matlab(folder: Path) -> Path:
    cells = np.array([np.ones(2), {"a": 1.0}, None], dtype=object)
    savemat(folder / "a.mat", VALUES | {"cells": cells[:2]})
    return folder / "a.mat"


def c3d(folder: Path) -> Path:
    ezc3d = pytest.importorskip("ezc3d", reason="needs mvnet[motion]")
    file = ezc3d.c3d()
    point = file["parameters"]["POINT"]
    point["UNITS"]["value"], point["RATE"]["value"], point["LABELS"]["value"] = ["mm"], [100.0], ["LASI", "RASI"]
    file["data"]["points"] = np.random.default_rng(0).uniform(100, 900, size=(4, 2, 5))
    file.write(str(folder / "a.c3d"))
    return folder / "a.c3d"


def hdf5(folder: Path) -> Path:
    h5py: Any = pytest.importorskip("h5py", reason="needs mvnet[insar]")
    (folder / "raw.bin").write_bytes(bytes(16))
    with h5py.File(folder / "b.h5", "w") as file:
        file["values"] = np.ones((2, 2), np.float32)
        source = h5py.VirtualSource(file["values"])
    layout = h5py.VirtualLayout((2, 2), "f4")
    layout[:] = source
    with h5py.File(folder / "a.h5", "w") as file:
        file["plain"] = np.ones((2, 2))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("stored", (2, 2), "f4", external=[(str(folder / "raw.bin"), 0, 16)])
        file["linked"] = h5py.ExternalLink("c.h5", "x")
        file.attrs["name"] = "a"
    return folder / "a.h5"


def netcdf(folder: Path) -> Path:
    pytest.importorskip("rasterio", reason="needs mvnet[insar]")
    return gmtsar_classic(folder, np.ones((4, 5), np.complex64), np.ones((4, 5), np.float32))


def arrays(folder: Path, protocol: int = 4) -> Path:
    content = [
        {"x": np.arange(3.0), "y": np.array([1, "b"], object), "z": np.float32(2), "s": {1, 2}},
        (b"1", "t", None),
    ]
    (folder / "a.pkl").write_bytes(pickle.dumps(content, protocol))
    return folder / "a.pkl"


FILES = {
    "MATLAB": (matlab, {"squeeze": True}),
    "C3D": (c3d, {}),
    "HDF5": (hdf5, {}),
    "GDAL": (netcdf, {}),
    "pickle": (arrays, {}),
    "pickle 2": (lambda folder: arrays(folder, 2), {}),
    "pickle 5": (lambda folder: arrays(folder, 5), {}),
}


def answered(parser: str, path: Path, **options: Any) -> Any:
    """What the worker writes, read as `isolated` reads it; the reply itself where it tells an error."""
    out = io.BytesIO()
    isolated_worker.answer({"parser": parser, "path": str(path), "options": options}, out)
    line, _, rest = out.getvalue().partition(b"\n")
    reply, found = json.loads(line), []
    for dtype, shape, order in reply.get("arrays", ()):
        size = np.dtype(dtype).itemsize * int(np.prod(shape))
        found.append(np.frombuffer(rest[:size], dtype).reshape(shape, order=order))
        rest = rest[size:]
    assert rest == b""
    return isolated._decode(reply["tree"], found) if "tree" in reply else reply


def plain(value: Any) -> Any:
    if isinstance(value, SimpleNamespace):
        return {key: plain(item) for key, item in vars(value).items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return [plain(item) for item in value.ravel()] if isinstance(value, np.ndarray) and value.dtype == object else value


@pytest.mark.parametrize("name", FILES)
def test_both_processes_find_the_same(name: str, tmp_path: Path) -> None:
    make, options = FILES[name]
    parser, path = name.split()[0], make(tmp_path)
    np.testing.assert_equal(plain(answered(parser, path, **options)), plain(parse_isolated(parser, path, **options)))


def test_names_in_hdf5_files(tmp_path: Path) -> None:
    found = answered("HDF5", hdf5(tmp_path))
    assert found.files == [str(tmp_path / "b.h5"), "c.h5"] and found.storage == [str(tmp_path / "raw.bin")]


class Named:
    def __reduce__(self):
        return os.getcwd, ()


def test_errors_are_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "FileNotFoundError" in answered("MATLAB", tmp_path / "none.mat", squeeze=True)["error"]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Named()))
    assert "neither array, list, dictionary" in answered("pickle", tmp_path / "a.pkl")["error"]

    def greedy(path: str) -> None:
        raise MemoryError

    monkeypatch.setitem(isolated_worker.PARSERS, "pickle", greedy)
    assert answered("pickle", tmp_path / "a.pkl") == {"memory": True}


def test_limits_are_what_is_held_and_more(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource", reason="no limits on this system")
    told = {}
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: told.update({kind: limits[0]}))
    isolated_worker.limit(1 << 30, 2.0)
    assert told[resource.RLIMIT_AS] > 1 << 30 and told[resource.RLIMIT_CPU] >= 2 and told[resource.RLIMIT_CORE] == 0

    def refuse(kind: int, limits: tuple[int, int]) -> None:
        raise ValueError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    isolated_worker.limit(1 << 30, 2.0)


SPEECHES = {
    "import time; time.sleep(9)": r"no answer in 0 s",
    'print(\'{"arrays": [["<f8", [4], "C"]]}\', flush=True)': "status 0",
    'print(\'{"arrays": [["|O", [4], "C"]]}\', flush=True)': "objects",
    "import sys; sys.stdin.close(); sys.exit(3)": "status 3|status 0",
}


@pytest.mark.parametrize("code", SPEECHES)
def test_a_worker_that_does_not_do_as_it_should(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is refused in one line, and the next one is read by another."""
    path = matlab(tmp_path)
    start = f"import sys; sys.stdin.readline(); sys.stdin.readline(); {code}"
    isolated.stop_workers()
    with monkeypatch.context() as patch:
        patch.setattr(isolated, "_PATIENCE", 0.1 if "sleep" in code else 20)
        popen = isolated.subprocess.Popen
        patch.setattr(isolated.subprocess, "Popen", lambda *_, **given: popen([sys.executable, "-c", start], **given))
        with pytest.raises(DataError, match=SPEECHES[code]) as caught:
            parse_isolated("MATLAB", path, squeeze=True)
    assert "a.mat: found damaged data that end its parser" in str(caught.value) and "\n" not in str(caught.value)
    assert vars(parse_isolated("MATLAB", path, squeeze=True))["text"] == "words"
