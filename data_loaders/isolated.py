"""Compiled parsers that damaged files can crash, run in a process of their own with bounds on memory and time.

    variables = parse_isolated("MATLAB", path, squeeze=True)

One process serves all files of a parser; when it dies, the next file gets a new one. How they talk: `isolated_worker`.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from math import prod
from pathlib import Path
from select import select
from types import SimpleNamespace
from typing import IO, Any

import numpy as np

from mvnet.data_loaders.errors import DataError

_IMPORTS = {"MATLAB": ("scipy.io",), "C3D": ("ezc3d",), "HDF5": ("h5py",), "GDAL": ("rasterio",), "pickle": ("pickle",)}
"""Modules of a parser, imported before its limits are set."""
_ROOM, _RATIO = 1 << 28, 64  # bytes that any file may take, and as many times its size
_SECONDS, _RATE = 2.0, 5e6  # of a core; bytes a second above
_PATIENCE = 20  # times as long by the clock, on a machine that is busy
_workers: dict[str, subprocess.Popen[bytes]] = {}
_lock = threading.Lock()


def parse_isolated(parser: str, path: Path, **options: Any) -> Any:
    """What a parser finds in a file.

    Args:
        parser: a key of `isolated_worker.PARSERS`.
        path: of the file.
        options: of the parser, fit for JSON.
    Returns:
        a tree of arrays, arrays of objects, structs (`SimpleNamespace`), lists, texts and numbers.
    Raises:
        DataError: the parser refuses the file, dies of it, or takes more than the size of the file justifies.
        OSError: no such file, no permission.
    """
    size = path.stat().st_size
    room, seconds = _ROOM + _RATIO * size, _SECONDS + size / _RATE
    request = {
        "parser": parser,
        "path": str(path.absolute()),
        "options": options,
        "imports": _IMPORTS[parser],
        "room": room,
        "seconds": seconds,
    }
    with _lock:
        worker = _worker(parser)
        try:
            found = _ask(worker, request, _PATIENCE * seconds)
        except BaseException:  # interrupted: what it would say belongs to no request any more
            _end(_workers.pop(parser))
            raise
        if isinstance(found, str):
            _end(_workers.pop(parser))
            reason = found or _death(worker.returncode)
            raise DataError(
                f"{path}: found damaged data that end its parser ({reason}), expected a whole {parser} file"
            )
    reply, arrays = found
    if reply.get("memory"):
        asked = f"{size} bytes whose header asks for more than {room >> 20} MiB"
        raise DataError(f"{path}: found {asked}, expected a file that holds what it declares")
    if "error" in reply:
        reason = " ".join(str(reply["error"]).split())[:300]
        raise DataError(f"{path}: found truncated or damaged data ({reason}), expected a whole {parser} file")
    return _decode(reply["tree"], arrays)


def _worker(parser: str) -> subprocess.Popen[bytes]:
    """The process of a parser, started if there is none."""
    worker = _workers.get(parser)
    if worker is not None and worker.poll() is None:
        return worker
    if worker is not None:
        _end(worker)
    script = Path(__file__).with_name("isolated_worker.py")
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": ""}
    worker = subprocess.Popen(
        [sys.executable, "-I", "-S", str(script)], stdin=pipe, stdout=pipe, stderr=nowhere, env=environment
    )
    _workers[parser] = worker
    _send(worker, [os.path.abspath(place) for place in sys.path])
    return worker


def _send(worker: subprocess.Popen[bytes], content: Any) -> None:
    assert worker.stdin is not None
    worker.stdin.write(json.dumps(content).encode() + b"\n")
    worker.stdin.flush()


def _ask(
    worker: subprocess.Popen[bytes], request: dict[str, Any], patience: float
) -> tuple[dict[str, Any], list[np.ndarray]] | str:
    """The reply and its arrays; what went wrong in place of them, "" when the process ended."""
    out = worker.stdout
    assert out is not None
    try:
        _send(worker, request)
    except BrokenPipeError:
        return ""
    if not select([out], [], [], patience)[0]:
        return f"no answer in {patience:.0f} s"
    line = out.readline()
    if not line.endswith(b"\n"):
        return ""
    reply = json.loads(line)
    arrays = []
    for dtype, shape, order in reply.get("arrays", ()):
        array = np.empty(shape[::-1] if order == "F" else shape, dtype)
        if array.dtype.hasobject:
            return "objects"
        if not _fill(array, out):
            return ""
        arrays.append(array.T if order == "F" else array)
    return reply, arrays


def _fill(array: np.ndarray, out: IO[bytes]) -> bool:
    """Read the bytes of an array; False if they end before."""
    view = array.reshape(prod(array.shape)).view(np.uint8).data if array.nbytes else memoryview(b"")
    while len(view):
        count = out.readinto(view)  # type: ignore[attr-defined]
        if not count:
            return False
        view = view[count:]
    return True


def _decode(tree: Any, arrays: list[np.ndarray]) -> Any:
    if isinstance(tree, list):
        return [_decode(item, arrays) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        return arrays[tree["array"]]
    if "fields" in tree:
        return SimpleNamespace(**{name: _decode(item, arrays) for name, item in tree["fields"].items()})
    cells = np.empty(len(tree["cells"]), object)
    for k, item in enumerate(tree["cells"]):
        cells[k] = _decode(item, arrays)
    return cells.reshape(tree["shape"])


def _death(status: int | None) -> str:
    """How a process ended, in words."""
    if status is None or status >= 0:
        return f"status {status}"
    return signal.Signals(-status).name


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Stop a process and close its pipes."""
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except OSError:
                continue
    try:
        worker.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def stop_workers() -> None:
    """End all processes; the next file starts a new one."""
    with _lock:
        while _workers:
            _end(_workers.popitem()[1])


def _forget() -> None:
    """In a forked process: the workers are those of the parent."""
    global _lock
    _workers.clear()
    _lock = threading.Lock()


atexit.register(stop_workers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
