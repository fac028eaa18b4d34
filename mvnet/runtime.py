"""Everything process-wide in one file: device, threads, allocator, denormal numbers. Whatever is changed is restored.

What a tile or a training step frees is kept for the next one: the allocator of glibc hands arrays beyond 32 MB straight
back to the system, which clears every page of the next one anew, a third of the time of a network on large tiles. Kept,
memory is that of the largest tile and no more.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mvnet.errors import MvnetError

if TYPE_CHECKING:
    import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3), from malloc.h
_LARGEST = 2**30  # bytes of an array that is kept
_DYNAMIC_MMAP = 2**25  # where glibc's own adjustment of the threshold ends; it cannot be asked for the current one


def find_device(name: str = "auto") -> torch.device:
    """The device called `name`.

    Args:
        name: "auto" for the GPU when there is one and the CPU otherwise, or a name of torch such as "cuda:1".
    Raises:
        MvnetError: the device is not there.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:80]
        raise MvnetError(
            f"device: found {name!r}, which cannot be used ({reason}), expected auto, cpu or a GPU such as cuda"
        ) from error
    return device


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Torch computes with `count` threads inside; None or 0 leaves their number as it is.

    The number is process-wide: threads that are born inside start with it.
    """
    import torch

    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """The global random state of torch, which dropout draws from, starts from `seed` inside."""
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Numbers below 1e-38 are zero inside: on the CPU they would slow a backward pass three times."""
    import torch

    smallest = torch.tensor(1e-40)
    before = bool(smallest * 1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """The allocator does not return memory to the system inside; afterwards it is what glibc tends to by itself."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
    libc.mallopt(_TRIM_THRESHOLD, _LARGEST)
    libc.mallopt(_ARENA_MAX, 1)  # threads share one arena: those of threads are too small for the arrays of a tile
    try:
        yield
    finally:
        libc.mallopt(_MMAP_THRESHOLD, _DYNAMIC_MMAP)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _DYNAMIC_MMAP)
        libc.mallopt(_ARENA_MAX, 0)  # no limit
        libc.malloc_trim(0)
