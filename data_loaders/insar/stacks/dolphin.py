"""The interferograms of dolphin: `interferograms/20200101_20200113.int.tif`, complex, and `.int.cor.tif` beside it.

Source: github.com/isce-framework/dolphin, dolphin.interferogram and dolphin.unwrap.
"""

from __future__ import annotations

import os
from pathlib import Path

from mvnet.data_loaders.insar.checks.sources import LOCAL, Access
from mvnet.data_loaders.insar.formats.products import coherence_beside
from mvnet.data_loaders.insar.stacks.base import DenoisedPair, Pair, Stack, StackKind

NAME = "dolphin"
_ENDING, _QUALITY = ".int.tif", ".int.cor.tif"


def find(path: Path, access: Access) -> Stack | None:
    """The stack of a folder, or of its `interferograms`."""
    for below in ("", "interferograms"):
        files = sorted((path / below).glob(f"*{_ENDING}")) if path.is_dir() else []
        if files:
            text = f"the quality of a pair is written as {_QUALITY}, which stands for its coherence"
            return Stack(path, NAME, tuple(_pair(file, below) for file in files), True, messages=(text,))
    return None


def _pair(file: Path, below: str) -> Pair:
    name, partner = file.name.removesuffix(_ENDING), coherence_beside(file)
    outputs = tuple(str(Path(below, name + ending)) for ending in (_QUALITY, _ENDING))
    return Pair(name, file, (file,) if partner is None else (file, partner), outputs)


def store(pair: Pair, denoised: DenoisedPair, folder: Path, access: Access = LOCAL) -> None:
    """The two files of a pair."""
    for source, name in zip((denoised.quality, denoised.values), pair.outputs):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(source, folder / name)


KIND = StackKind(NAME, find, store)
