"""The names of a package whose modules are imported on first access to a name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The two functions of a package that imports late: `__getattr__, __dir__ = lazy_names(__name__, places)`.

    Args:
        package: the package's `__name__`.
        places: public name -> the module that defines it, as a path below the package (`"formats.registry"`).
            A name that is a module itself stands with an empty path: `{"nn": ""}`.

    Returns:
        `__getattr__`, which imports the module of a name once and remembers the value in the package, and
        `__dir__`, which lists the names before they are imported.
    """

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place = places[name]
        value = getattr(import_module(f"{package}.{place}"), name) if place else import_module(f"{package}.{name}")
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *places})

    return get, names
