"""Operations of torch on the calling thread alone, while every other thread keeps its number of threads.

A block of planes lives in one core's cache, and waking other threads for it costs more than they bring: torch divides
an operation from 32768 elements on, logarithms and roots from 2048 on. `torch.set_num_threads` is no remedy: its number
is the process's, and threads that are born meanwhile keep it for life. The numbers that OpenMP and MKL hold, which
decide before anything is divided, belong to the calling thread and are set here.

Source: OpenMP 5.2, section 2.1 (one nthreads-var per data environment); MKL reference, mkl_set_num_threads_local.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

Setter = Callable[[int], int | None]


def _find(library: str | None, name: str, result: type | None) -> Setter | None:
    """A function int -> result of a library that is loaded already (None: of those whose names are global)."""
    try:
        found = getattr(ctypes.PyDLL(library), name)
    except (AttributeError, OSError, TypeError):  # no such symbol, no such file, no global names on Windows
        return None
    found.argtypes, found.restype = (ctypes.c_int,), result
    return found


@cache
def _omp() -> Setter | None:
    """`omp_set_num_threads` of the OpenMP that torch runs on; None where there is none that torch follows."""
    setter = _find(None, "omp_set_num_threads", None)
    if setter is None:
        return None
    before = torch.get_num_threads()
    setter(before + 1)
    followed = torch.get_num_threads() == before + 1
    setter(before)
    return setter if followed else None


@cache
def _mkl() -> Setter | None:
    """`MKL_Set_Num_Threads_Local` of the MKL inside torch: number (0: the process's) -> the one before."""
    libraries = Path(torch.__file__).parent.glob("lib/libtorch_cpu.*")
    return next(
        (setter for lib in libraries if (setter := _find(str(lib), "MKL_Set_Num_Threads_Local", ctypes.c_int))), None
    )


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Torch divides no operation of the calling thread inside.

    Yields:
        nothing. Where torch runs on another library operations are divided as usual: the same numbers, more slowly.
    """
    omp, mkl = _omp(), _mkl()
    threads = torch.get_num_threads()
    mkl_threads = mkl(1) if mkl else None
    if omp:
        omp(1)
    try:
        yield
    finally:
        if omp:
            omp(threads)
        if mkl:
            mkl(mkl_threads or 0)
