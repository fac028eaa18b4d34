"""Process-wide settings: device, threads, random state, denormal numbers, allocator. Every change is undone.

Memory that a tile or a training step frees is kept for the next one: glibc returns arrays beyond 32 MB to the system at
once, and the system clears every page of the next array, which costs a third of the time of a network on large tiles.
The memory kept is that of the largest tile.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mvnet.errors import MvnetError, first_line

if TYPE_CHECKING:
    import torch

MEMORY = ("plain", "low")
"""How much of a forward pass is kept for the backward pass (`mvnet.nn.memory`)."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3), from malloc.h
_LARGEST = 2**30  # bytes of an array that is kept
_DYNAMIC_MMAP = 2**25  # largest threshold that glibc sets by itself; the current one cannot be read


def find_device(name: str = "auto") -> torch.device:
    """Look up a device and check that it can be used.

    Args:
        name: "auto" for the GPU when there is one and the CPU otherwise, or a name of torch such as "cuda:1".
    Returns:
        the device.
    Raises:
        MvnetError: the device does not exist or cannot be used.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = first_line(error, 80)
        raise MvnetError(
            f"device: found {name!r}, which cannot be used ({reason}), expected auto, cpu or a GPU such as cuda"
        ) from error
    return device


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let torch compute with a number of threads inside.

    The number is process-wide: threads that are started inside inherit it.

    Args:
        count: number of threads; None or 0 leaves it unchanged.
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
def seed_torch(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global random state, from which dropout draws, inside; restore it afterwards.

    Args:
        seed: random seed.
        device: its random state is seeded as well as that of the CPU.
    """
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Treat numbers below 1e-38 as zero inside: on the CPU they make a backward pass three times slower."""
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
    """Keep freed memory in the allocator inside; afterwards restore the thresholds of glibc."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
    libc.mallopt(_TRIM_THRESHOLD, _LARGEST)
    libc.mallopt(_ARENA_MAX, 1)  # one arena for all threads: an arena per thread is too small for the arrays of a tile
    try:
        yield
    finally:
        libc.mallopt(_MMAP_THRESHOLD, _DYNAMIC_MMAP)
        libc.mallopt(_TRIM_THRESHOLD, 2 * _DYNAMIC_MMAP)
        libc.mallopt(_ARENA_MAX, 0)  # no limit
        libc.malloc_trim(0)
