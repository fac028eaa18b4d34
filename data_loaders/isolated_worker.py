"""The process in which compiled parsers read files that may be damaged; started by `isolated`, it imports no mvnet.

In    a line of JSON, the module path; then a line for each file: parser, path, bytes and seconds that it may take.
Out   for each file a line of JSON, {"tree": ..., "arrays": [[dtype, shape, order], ...]} or {"error": ...}, and the
      bytes of the arrays one after the other. Nothing is pickled.

In a tree {"array": k} is the k-th array, {"fields": {...}} a struct, {"cells": [...], "shape": [...]} an array of
objects, and anything else what JSON has.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

_PLAIN = "fciubUS"  # kinds of arrays that are handed back


def read_mat(path: str, squeeze: bool) -> Any:
    """The variables of a MATLAB file up to version 7; with `squeeze` axes of length 1 are dropped."""
    from scipy.io import loadmat

    found = loadmat(path, squeeze_me=squeeze, struct_as_record=False)
    return {name: value for name, value in found.items() if not name.startswith("__")}


def read_c3d(path: str) -> Any:
    """Points (4, markers, frames), residuals (markers, frames), matrices of segments (4, 4, segments, frames).

    With the parameters of the groups POINT and ROTATION.
    """
    import ezc3d

    file = ezc3d.c3d(path)
    point, rotation = (
        {name: entry["value"] for name, entry in file["parameters"].get(group, {}).items() if "value" in entry}
        for group in ("POINT", "ROTATION")
    )
    data = file["data"]
    found = {"points": data["points"], "residuals": data["meta_points"]["residuals"][0], "parameters": point}
    return found | {"matrices": data["rotations"] if rotation else None, "rotation": rotation}


def probe_hdf5(path: str) -> Any:
    """Go through a file as its readers will; returns the names of other files that it would open, HDF5 and raw."""
    import h5py

    files: list[str] = []
    storage: list[str] = []

    def look(name: str, item: Any) -> None:
        for key in item.attrs:
            _tried(item.attrs.__getitem__, key)
        if not isinstance(item, h5py.Dataset):
            return
        storage.extend(_tried(lambda: [entry[0] for entry in item.external or ()]) or ())
        if _tried(lambda: item.is_virtual):
            files.extend(source.file_name for source in item.virtual_sources())
            return
        _tried(lambda: [(axis.label, [scale.name for scale in axis.values()]) for axis in item.dims])
        _tried(lambda: (item.dtype, item.chunks, item.fillvalue, item.id.get_storage_size()))
        if item.ndim and 0 not in item.shape and not item.external:
            _tried(lambda: item[tuple(slice(0, 1) for _ in item.shape)])

    def look_at_link(name: str, link: Any) -> None:
        if isinstance(link, h5py.ExternalLink):
            files.append(link.filename)

    with h5py.File(path, "r") as file:
        look("", file)
        file.visititems(look)
        file.visititems_links(look_at_link)
    return {"files": sorted({name for name in files if name != "."}), "storage": sorted(set(storage))}


def _tried(work: Callable[..., Any], *arguments: Any) -> Any:
    """What can be read; None where the reader will be told why it cannot."""
    try:
        return work(*arguments)
    except (OSError, RuntimeError, TypeError, ValueError, KeyError, LookupError, ArithmeticError):
        return None


def probe_gdal(path: str) -> None:
    """Open a raster with GDAL and read lines spread over its bands."""
    import rasterio
    from rasterio.windows import Window

    with rasterio.open(path) as file:
        for band in range(1, min(file.count, 64) + 1):
            file.tags(band)
            for k in range(min(file.height, 64)):
                row = k * file.height // min(file.height, 64)
                file.read(band, window=Window(0, row, min(file.width, 1 << 16), 1))  # type: ignore[call-arg]


class _Array:
    """An array while its pickle is read: shape, type and bytes come one after the other, as its own state."""

    value: Any = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _array(_bytes(data), dtype, shape, "F" if fortran else "C")


class _Type:
    """A type of numbers or texts, by its name and byte order; objects are lists."""

    byte_order: Any

    def __init__(self, name: str, *_: Any) -> None:
        self.name, self.byte_order = str(name), "="  # of this machine

    def __setstate__(self, state: Any) -> None:
        self.byte_order = str(state[1]) if state[1] in ("<", ">") else "="


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    """The array of some bytes, of objects from their list; None of other types than numbers, texts and objects."""
    import numpy as np

    if not isinstance(dtype, _Type) or not dtype.name[:1] or dtype.name[0] not in _PLAIN + "O":
        return None
    if dtype.name[0] != "O":
        return np.frombuffer(data, np.dtype(dtype.name).newbyteorder(dtype.byte_order)).reshape(shape, order=order)
    cells = np.empty(len(data), object)
    cells[:] = [_whole(item) for item in data]
    return cells.reshape(shape, order=order)


def _bytes(data: Any) -> Any:
    """Bytes that pickles of Python 2 hold as text."""
    return data.encode("latin1") if isinstance(data, str) else data


def _scalar(dtype: Any, data: Any) -> Any:
    found = _array(_bytes(data), dtype, (), "C")
    return None if found is None else found.item()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: str) -> Any:
    return _array(data, dtype, shape, "F" if order == "F" else "C")


def _encode(text: str, coding: str = "latin1") -> bytes:
    """What bytes are in old pickles."""
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Any] = {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _Type}
_STAND_INS |= {("_codecs", "encode"): _encode, ("collections", "OrderedDict"): dict}
_STAND_INS["__builtin__", "bytes"] = lambda: b""  # how old pickles have no bytes at all
_STAND_INS |= {(module, name): list for module in ("builtins", "__builtin__") for name in ("set", "frozenset")}
for _core in ("numpy.core", "numpy._core"):
    _STAND_INS |= {(f"{_core}.multiarray", "_reconstruct"): _Array, (f"{_core}.multiarray", "scalar"): _scalar}
    _STAND_INS[f"{_core}.numeric", "_frombuffer"] = _from_buffer


def read_pickle(path: str) -> Any:
    """Lists, dictionaries, texts, numbers and numpy arrays of a pickle; nothing that it names is imported or called.

    Every name goes through a table of stand-ins for what arrays are made of; one that is not there ends the reading.
    """
    import pickle

    class Plain(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if (module, name) not in _STAND_INS:
                raise KeyError(f"{module}.{name}, which is neither array, list, dictionary, text nor number")
            return _STAND_INS[module, name]

    with open(path, "rb") as file:
        return _whole(Plain(file, encoding="latin1").load())


def _whole(value: Any) -> Any:
    """The same tree with arrays in place of their stand-ins."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {str(name): _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list | tuple) else value


PARSERS: dict[str, Callable[..., Any]] = {
    "MATLAB": read_mat,
    "C3D": read_c3d,
    "HDF5": probe_hdf5,
    "GDAL": probe_gdal,
    "pickle": read_pickle,
}
"""Every compiled parser that is not trusted with damaged files. A new one is one line here and its function."""


def encode(value: Any, arrays: list[Any]) -> Any:
    """A tree of what a parser found; its arrays are appended to a list. What is of no known type is null."""
    import numpy as np

    if isinstance(value, np.ndarray):
        if value.dtype.kind in _PLAIN:
            arrays.append(value)
            return {"array": len(arrays) - 1}
        if value.dtype.kind == "O":
            return {"cells": [encode(item, arrays) for item in value.ravel()], "shape": list(value.shape)}
        return None
    if isinstance(value, complex):
        return encode(np.asarray(value), arrays)
    if isinstance(value, np.generic):
        return encode(value.item(), arrays)
    if isinstance(value, dict):
        return {"fields": {str(name): encode(item, arrays) for name, item in value.items()}}
    if hasattr(value, "_fieldnames"):  # a struct of scipy
        return {"fields": {name: encode(getattr(value, name), arrays) for name in value._fieldnames}}
    if isinstance(value, list | tuple):
        return [encode(item, arrays) for item in value]
    return value if isinstance(value, str | int | float) else None


def limit(room: int, seconds: float) -> None:
    """Let this process take so many bytes more than it has, and so many seconds of a core."""
    try:
        import resource
    except ImportError:  # Windows
        return
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            held = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + room, resource.getrlimit(resource.RLIMIT_AS)[1]))
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(used.ru_utime + used.ru_stime + seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (spent, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):  # the system has other limits, or none
        return


def answer(request: dict[str, Any], out: BinaryIO) -> None:
    """Read the file of a request and write what was found."""
    import numpy as np

    arrays: list[Any] = []
    try:
        parse = PARSERS[request["parser"]]
        with open(request["path"], "rb"):  # a missing file is said by the system
            pass
        tree = encode(parse(request["path"], **request["options"]), arrays)
        head = json.dumps({"tree": tree, "arrays": [[a.dtype.str, list(a.shape), _order(a)] for a in arrays]})
    except MemoryError:
        head, arrays = json.dumps({"memory": True}), []
    except Exception as error:
        head, arrays = json.dumps({"error": f"{type(error).__name__}: {error}"[:2000]}), []
    out.write(head.encode() + b"\n")
    for array in arrays:
        flat = array.T if _order(array) == "F" else array
        out.write(np.ascontiguousarray(flat).reshape(-1).view(np.uint8).data if array.nbytes else b"")
    out.flush()


def _order(array: Any) -> str:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print
    sys.path[:] = json.loads(sys.stdin.readline())
    import numpy  # noqa: F401  before the limits

    for line in sys.stdin:
        request = json.loads(line)
        for module in request["imports"]:
            __import__(module)
        limit(request["room"], request["seconds"])
        answer(request, out)


if __name__ == "__main__":
    main()
