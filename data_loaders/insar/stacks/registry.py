"""The kinds of stacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mvnet.data_loaders.insar.checks.sources import LOCAL, Access
from mvnet.data_loaders.insar.stacks import arrays, dolphin, isce2, mintpy, products
from mvnet.data_loaders.insar.stacks.base import Stack, StackKind

KINDS: tuple[StackKind, ...] = (mintpy.KIND, arrays.ZARR, arrays.NETCDF, dolphin.KIND, isce2.KIND, products.KIND)
"""Every kind of stack. A new one is one line here and its file."""


def find_stack(path: Path, access: Access = LOCAL) -> Stack | None:
    """The stack at a path, None where there is a single scene, or nothing.

    Args:
        path: file or folder.
        access: what its files may read besides themselves.
    Raises:
        DataError: a stack that is damaged, none of whose pairs is to be used, or whose file has its data elsewhere.
    """
    found = (kind.find(path, access) for kind in KINDS)
    stack = next((stack for stack in found if stack is not None), None)
    return None if stack is None else replace(stack, access=access)


def find_kind(name: str) -> StackKind:
    """The kind of a name."""
    return next(kind for kind in KINDS if kind.name == name)
