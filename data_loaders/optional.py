"""Packages that only some data need."""

from __future__ import annotations

import importlib
from typing import Any

from mvnet.data_loaders.errors import DataError


def import_optional(module: str, extra: str) -> Any:
    """The imported module; DataError naming `pip install mvnet[extra]` when it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise DataError(f"{package}: found it not installed, expected it: pip install mvnet[{extra}]") from error
