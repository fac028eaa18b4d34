"""SIGKILL before every file operation of everything that writes results: old or new files after the next start."""

from __future__ import annotations

import os

import pytest

from benchmarks.faults.committers import COMMITTERS
from benchmarks.faults.sweep import TARGETS, sweep

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", COMMITTERS)
def test_files_are_all_old_or_all_new(name, target, tmp_path):
    if name == "raster":
        pytest.importorskip("rasterio", reason="needs mvnet[insar]")
    every = 3 if target == "existing" else 1  # the same operations as of a fresh one
    found = sweep(name, target, tmp_path, every=every, again=6)
    assert found.points > 3
    assert (found.mixed, found.left, found.other) == ([], [], [])
