"""Packages that only some data need."""

from __future__ import annotations

import importlib
import shlex
from importlib import metadata
from typing import Any

from mvnet.data_loaders.errors import DataError


def import_optional(module: str, extra: str) -> Any:
    """The imported module; DataError with the command that installs the packages of `extra` when it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise DataError(f"{package}: found it not installed, expected it: {install_command(extra)}") from error


def install_command(extra: str) -> str:
    """What to type to get the packages of an extra of ours, wherever mvnet itself came from."""
    marker = f"extra == '{extra}'"
    lines = (line.replace('"', "'") for line in metadata.requires("mvnet") or [])
    return shlex.join(["pip", "install", *(line.split(";")[0].strip() for line in lines if marker in line)])
