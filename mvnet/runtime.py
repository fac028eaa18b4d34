"""How the process gets its memory: what a tile or a training step frees is kept for the next one.

The allocator of glibc hands arrays beyond 32 MB straight back to the system, which clears every page of the next one
anew: a third of the time of a network on large tiles. Kept, memory is that of the largest tile and no more.
"""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3), from malloc.h
_LARGEST = 2**30  # bytes of an array that is kept


def keep_freed_memory() -> bool:
    """Ask the allocator not to return memory between tiles; False where there is no such allocator."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # threads share one arena: those of threads are too small for the arrays of a tile
    return all(mallopt(*o) == 1 for o in ((_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, _LARGEST), (_ARENA_MAX, 1)))
