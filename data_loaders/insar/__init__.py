"""Interferograms: files in, complex blocks; filtered blocks, files out.

    image = open_interferogram("20230901_20230913.int")          format and coherence found by themselves
    block = image.read((slice(0, 512), slice(0, 512)))           complex values, validity, coherence
    with open_outputs("out.tif", image, job={...}) as out: ...   tiled, resumable, whole or not at all

The modules are imported when a name is first used: the estimate of coherence needs torch, the rest does not.
"""

from typing import TYPE_CHECKING

from mvnet.data_loaders.errors import DataError
from mvnet.lazy import lazy_names

if TYPE_CHECKING:
    from mvnet.data_loaders.insar.block_store import OutputSpec
    from mvnet.data_loaders.insar.coherence import estimate_coherence
    from mvnet.data_loaders.insar.formats.registry import FORMATS, Format
    from mvnet.data_loaders.insar.interferogram import Block, Interferogram
    from mvnet.data_loaders.insar.layers import Window
    from mvnet.data_loaders.insar.reader import open_interferogram
    from mvnet.data_loaders.insar.writers import OutputSet, check_outputs, open_outputs

__all__ = [
    "FORMATS",
    "Block",
    "DataError",
    "Format",
    "Interferogram",
    "OutputSet",
    "OutputSpec",
    "Window",
    "check_outputs",
    "estimate_coherence",
    "open_interferogram",
    "open_outputs",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "FORMATS": "formats.registry",
        "Block": "interferogram",
        "Format": "formats.registry",
        "Interferogram": "interferogram",
        "OutputSet": "writers",
        "OutputSpec": "block_store",
        "Window": "layers",
        "estimate_coherence": "coherence",
        "open_interferogram": "reader",
        "check_outputs": "writers",
        "open_outputs": "writers",
    },
)
