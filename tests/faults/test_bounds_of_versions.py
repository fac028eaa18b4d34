"""What parses files has a lower bound, so that a guard never rests on which version happens to be installed."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARSERS = ("h5py", "zarr", "numcodecs", "rasterio", "nibabel", "scipy", "numpy", "pynrrd", "isal", "safetensors")
PARSERS += ("torch", "pybvh", "ezc3d", "h5netcdf", "xarray")


def required() -> dict[str, str]:
    """Lower bounds by package, "" without one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    names = (re.match(r"[\w-]+", line) for line in lines)
    bounds = (re.search(r">=([\d.]+)", line) for line in lines)
    return {name[0]: bound[1] if bound else "" for name, bound in zip(names, bounds) if name}


@pytest.mark.parametrize("name", PARSERS)
def test_parsers_are_bounded_from_below(name: str) -> None:
    assert required()[name]


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_installed_is_not_older(name: str) -> None:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", text)][:3]

    try:
        assert numbers(version(name)) >= numbers(required()[name])
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")


def test_the_codec_of_pickles_is_refused_by_numcodecs_too() -> None:
    assert [int(part) for part in required()["numcodecs"].split(".")] >= [0, 16]
