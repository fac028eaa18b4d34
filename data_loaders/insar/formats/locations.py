"""Where an interferogram is: a path, a part of an archive, a subdataset, or an address on a network.

scene.tif                        a file or folder
/vsizip/pair.zip/phase.tif       any file system of GDAL
NETCDF:"scene.nc":phase          a dataset of a file, as GDAL names it
https://..., s3://..., /vsicurl/...   on a network: only where that is allowed
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.insar.checks.sources import NETWORK
from mvnet.storage import content_digest

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/+")
_SUBDATASET = re.compile(
    r'^(?P<driver>[A-Za-z0-9_]+):(?:"(?P<quoted>[^"]+)"|(?P<plain>[^"]+?))(?::/*(?P<name>[^"]+))?$'
)
_OWN_READERS = ("netcdf", "hdf5", "zarr")  # formats whose subdatasets are read without GDAL


class Location(NamedTuple):
    """path: of a file or folder, None where GDAL alone can open the place. uri: what GDAL opens. layer: named in it.
    network: it is not on this computer."""

    path: Path | None
    uri: str
    layer: str | None = None
    network: bool = False

    @property
    def shown(self) -> str:
        """The place without a password or query."""
        return re.sub(r"//[^/@\s]*@", "//", self.uri).partition("?")[0] if self.network else self.uri


def locate(place: str | os.PathLike[str], allow_network: bool = False) -> Location:
    """What a place is.

    Args:
        place: as above.
        allow_network: let it be on a network.
    Raises:
        DataError: it is on a network, which is not allowed.
    """
    text = _restored(os.fspath(place))
    if text.lower().startswith("file:"):
        text = "/" + re.sub(r"^file:/*(?:localhost/)?", "", text, flags=re.IGNORECASE)
    if Path(text).exists():
        return Location(Path(text), text)
    if NETWORK.search(text):
        found = Location(None, text, network=True)
        if not allow_network:
            raise DataError(f"{found.shown}: found a place on a network, expected a file, or --allow-network")
        return found
    if text.startswith("/vsi"):
        return Location(None, text)
    match = _SUBDATASET.match(text)
    if match is not None:
        path = Path(match["quoted"] or match["plain"])
        if match["driver"].lower() in _OWN_READERS and path.exists():
            return Location(path, text, match["name"])
        if any(Path(part.strip('"')).is_file() for part in text.split(":")[1:]):
            return Location(None, text)
    return Location(Path(text), text)


def local_file(uri: str) -> Path | None:
    """The file of this computer that a place is in, None if there is none."""
    path = Path(re.sub(r"^(?:/vsi[a-z]+/)+", "", uri))
    return next((part for part in (Path(uri), path, *path.parents) if part.is_file()), None)


def fingerprint(name: str) -> list[str | int]:
    """What tells that a place holds the same as before: its path, size, time of change and a digest of its ends,
    where they can be known."""
    path = file_of(name)
    if path is None:  # not on this computer
        return [name]
    state = path.stat()
    shown = str(path.resolve()) if str(path) == name else name
    return [shown, state.st_size if path.is_file() else 0, state.st_mtime_ns, content_digest(path)]


def file_of(name: str) -> Path | None:
    """The file or folder of this computer that a place is, or is in; None if there is none."""
    return Path(name) if Path(name).exists() else local_file(name)


def _restored(text: str) -> str:
    """With the two slashes that a path object makes one of."""
    if not Path(text).exists():
        text = _SCHEME.sub(lambda match: f"{match[1]}://", text) if _SCHEME.match(text) else text
        match = re.match(r"^(/vsi(?:zip|tar|gzip|7z|rar)/)(?!/)(.+)$", text)
        if match and local_file(match[2]) is None and local_file(f"/{match[2]}") is not None:
            return f"{match[1]}/{match[2]}"
    return text
