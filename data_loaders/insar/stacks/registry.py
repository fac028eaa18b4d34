"""The kinds of stacks."""

from __future__ import annotations

from pathlib import Path

from mvnet.data_loaders.insar.stacks import arrays, dolphin, isce2, mintpy, products
from mvnet.data_loaders.insar.stacks.base import Stack, StackKind

KINDS: tuple[StackKind, ...] = (mintpy.KIND, arrays.ZARR, arrays.NETCDF, dolphin.KIND, isce2.KIND, products.KIND)
"""Every kind of stack. A new one is one line here and its file."""


def find_stack(path: Path) -> Stack | None:
    """The stack at a path, None where there is a single scene, or nothing.

    Raises:
        DataError: a stack that is damaged, or none of whose pairs is to be used.
    """
    found = (kind.find(path) for kind in KINDS)
    return next((stack for stack in found if stack is not None), None)


def find_kind(name: str) -> StackKind:
    """The kind of a name."""
    return next(kind for kind in KINDS if kind.name == name)
