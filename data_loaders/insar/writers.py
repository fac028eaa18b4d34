"""Filtered interferograms out: tiled GeoTIFF with overviews, the georeferencing, nodata and metadata of the file read.

OUT.tif holds the wrapped phase (float32) or the complex values, OUT_mask.tif 1 where there are data, and OUT_NAME.tif
one float32 map each, such as the quality. Blocks are gathered in `.OUT.tif.partial` beside them (see block_store); the
files appear together when all blocks are there, also after a kill (see mvnet.storage). Files that are not made block
by block (an unwrapped phase, a page) can appear with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mvnet.data_loaders.errors import DataError, InputChangedError
from mvnet.data_loaders.insar.block_store import BlockStore, OutputSpec
from mvnet.data_loaders.insar.formats.locations import file_of, fingerprint
from mvnet.data_loaders.insar.geotiff import TILES, Write, create_tiff
from mvnet.data_loaders.insar.interferogram import Interferogram
from mvnet.data_loaders.insar.layers import Window
from mvnet.errors import MvnetError
from mvnet.storage import Inputs, Staging, check_names, longest_name, recover

KINDS = {"phase": "float32", "complex": "complex64"}


class OutputSet:
    """The files of one run, made by `open_outputs`. As a context manager: commits at the end, or keeps the blocks
    written for the next run if an error or a signal ends the block.

    specs: "values", "mask" and the maps -> what is written where. extra: other files of the run -> where they will be.
    resumed: blocks of an earlier run were found.
    """

    def __init__(
        self,
        image: Interferogram,
        specs: dict[str, OutputSpec],
        store: BlockStore,
        tags: Mapping[str, str],
        extra: Mapping[str, Path],
        inputs: Inputs,
    ):
        self._image, self.specs, self._store, self._tags, self.extra = image, specs, store, tags, dict(extra)
        self._inputs = inputs
        self._staging: Staging | None = None
        self.resumed = store.resumed
        self.committed = False

    @property
    def block(self) -> int:
        """Rows and columns of a block."""
        return self._store.block

    @property
    def folder(self) -> Path:
        """Where the blocks wait."""
        return self._store.folder

    def windows(self) -> list[Window]:
        """All blocks, row by row."""
        return self._store.windows()

    def pending(self) -> list[Window]:
        """The blocks still to be written."""
        return self._store.pending()

    def write(self, window: Window, values: np.ndarray, valid: np.ndarray, **maps: np.ndarray) -> None:
        """Write one of `windows()`; may be called by several threads.

        Args:
            values: (h, w) complex, or phases in radians, which are stored as they are; anything where not valid.
            valid: (h, w) bool.
            maps: (h, w) of every map.
        Raises:
            ValueError: not a block, another shape, a map too few or too many.
            InputChangedError: an input is another file now.
        """
        self.check_inputs(thoroughly=False)
        names = set(self.specs) - {"values", "mask"}
        if set(maps) != names:
            raise MvnetError(f"maps: found {sorted(maps)}, expected {sorted(names)}")
        arrays = {name: np.where(valid, array, np.float32(np.nan)) for name, array in maps.items()}
        arrays["mask"] = valid.astype(np.uint8)
        arrays["values"] = encode(values, valid, self.specs["values"])
        self._store.write(window, arrays)

    def read(self, name: str, window: Window) -> np.ndarray:
        """What was written of "values", "mask" or a map in any window whose blocks are there, nodata included."""
        return self._store.read(name, window)

    def check_inputs(self, *, thoroughly: bool = True) -> None:
        """InputChangedError where an input is another file than at the start."""
        changed = self._inputs.changed(thoroughly=thoroughly)
        if changed is not None:
            raise InputChangedError(f"{changed}: found that it was changed during the run, expected one that stays")

    def staged(self, name: str) -> Path:
        """Where to write the file `name` of `extra` before `commit` puts it in place."""
        return self._staged_files().path(self.extra[name].name)

    def _staged_files(self) -> Staging:
        if self._staging is None:
            self._staging = Staging(self.folder.parent)
        return self._staging

    def write_raster(self, name: str, values: np.ndarray, nodata: float | None = None, unit: str = "") -> None:
        """Write the file `name` of `extra` as a raster (rows, columns) like the others; its data type is kept."""
        spec = OutputSpec(self.extra[name], values.dtype.name, nodata, unit, Path(name).stem)
        self._write(self.staged(name), spec, values.__getitem__)

    def open_raster(self, name: str, unit: str, description: str, *, count: int = 1) -> AbstractContextManager[Write]:
        """The file `name` of `extra` as a float32 raster of `count` bands, to be written block by block."""
        spec = OutputSpec(self.extra[name], "float32", float("nan"), unit, description)
        return create_tiff(self.staged(name), spec, self._image, self._tags, self.block, count=count)

    def commit(self) -> list[Path]:
        """Make the files of the blocks and put them in place; returns their paths.

        Raises:
            DataError: a block or a file of `extra` is missing, or an input was changed.
            OSError: the disk is full.
        """
        missing = len(self.pending())
        if missing:
            raise DataError(f"output: found {missing} of {len(self.windows())} blocks not written, expected all")
        if absent := [name for name in self.extra if not self.staged(name).is_file()]:
            raise DataError(f"output: found no {', '.join(absent)}, expected it to be written before `commit`")
        self.check_inputs()
        staging = self._staged_files()
        for name, spec in self.specs.items():
            place = staging.path(spec.path.name)
            self._write(place, spec, lambda window, name=name: self._store.read(name, window))
        targets = [*(spec.path for spec in self.specs.values()), *self.extra.values()]

        def moves() -> dict[str, Path]:
            self.check_inputs()
            return {path.name: path for path in reversed(targets)}

        staging.commit(moves, drop=[self.folder])
        self._end()
        self.committed = True
        return targets

    def _end(self) -> None:
        """Let go of the blocks, and remove what was staged."""
        self._store.close()
        if self._staging is not None:
            self._staging.close()
            self._staging = None

    def _write(self, path: Path, spec: OutputSpec, read: Callable[[Window], np.ndarray]) -> None:
        same = spec is self.specs["values"]
        with create_tiff(path, spec, self._image, self._tags, self.block, same_values=same) as write:
            for window in self.windows():
                write(read(window), window, 1)

    def discard(self) -> None:
        """Give up and remove the blocks written."""
        self._end()
        self._store.discard()

    def __enter__(self) -> OutputSet:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        try:
            if kind is None and not self.committed:
                self.commit()
        finally:
            self._end()


def open_outputs(
    path: str | os.PathLike[str],
    image: Interferogram,
    *,
    kind: str = "phase",
    maps: Sequence[str] | Mapping[str, str] = ("quality",),
    extra: Sequence[str] = (),
    block: int = 1024,
    job: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> OutputSet:
    """Begin, or go on with, the files of a filtered interferogram.

    Where there are no data the file holds the value the input declares for that; if it declares none NaN in a phase and
    0 in a complex file, which is then declared.

    Args:
        path: OUT.tif, in an existing folder.
        kind: "phase" (float32, radians) or "complex" (complex64).
        maps: names of float32 maps beside it, and what they are.
        extra: ends of the names of further files that appear with it: "report.html" is OUT_report.html, ".qml" OUT.qml.
        block: rows and columns of a block, a multiple of 16.
        job: what determines the values beside the input (model, strength, version): a run goes on only with blocks of
            the same job and of an unchanged input.
        tags: provenance, added to the tags of the input.
        overwrite: replace existing files.
    Raises:
        DataError: wrong suffix, missing folder, existing files, the output is an input, another run is writing it.
    """
    path = Path(path)
    if block < TILES[-1] or block % TILES[-1]:
        raise DataError(f"block: found {block}, expected a multiple of {TILES[-1]}")
    inputs = [layer.path for layer in (image.layer, image.coherence) if layer is not None]
    check_outputs(path, inputs, kind=kind, maps=maps, extra=extra, overwrite=overwrite)
    specs = _output_specs(path, image, kind, maps)
    further = _further(path, extra)
    files = [file for name in inputs if (file := file_of(name)) is not None]
    whole_job = {
        "input": [fingerprint(name) for name in inputs],
        "kind": kind,
        "nodata": str(specs["values"].nodata),
        **(job or {}),
        "missing": str(image.missing),
        "looks": image.looks,
        "window": image.window,
    }
    dtypes = {name: spec.dtype for name, spec in specs.items()}
    store = BlockStore(_folder_of_blocks(path), image.shape, dtypes, block, whole_job)
    return OutputSet(image, specs, store, dict(tags or {}), further, Inputs(files))


def _folder_of_blocks(path: Path) -> Path:
    """Where the blocks of OUT.tif wait: the same in every run."""
    name = f".{path.name}.partial"
    if len(os.fsencode(name)) > longest_name(path.parent):
        name = f".{sha256(os.fsencode(path.name)).hexdigest()[:16]}.partial"
    return path.with_name(name)


def check_outputs(
    path: str | os.PathLike[str],
    inputs: Sequence[str],
    *,
    kind: str = "phase",
    maps: Iterable[str] = ("quality",),
    extra: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Whether the files that `open_outputs` is to make may be made, as far as that is known before an input is opened.

    Args:
        inputs: paths that must not be replaced.
    Raises:
        DataError: as `open_outputs`.
    """
    path = Path(path)
    if kind not in KINDS:
        raise DataError(f"kind: found {kind!r}, expected one of {', '.join(KINDS)}")
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise DataError(f"output: found {path}, expected a name ending in .tif")
    if not path.parent.is_dir():
        raise DataError(f"output: found no such folder {path.parent}, expected one that exists")
    targets = [path, *_beside(path, maps).values(), *_further(path, extra).values()]
    check_names(targets)
    recover(path.parent)
    for target in targets:
        _check_target(target, inputs, overwrite)


def _further(path: Path, extra: Sequence[str]) -> dict[str, Path]:
    """Where the files of `extra` will be."""
    return {name: path.with_name(path.stem + ("" if name.startswith(".") else "_") + name) for name in extra}


def _beside(path: Path, maps: Iterable[str]) -> dict[str, Path]:
    """Where the mask and the maps will be."""
    return {name: path.with_name(f"{path.stem}_{name}{path.suffix}") for name in ("mask", *maps)}


def _output_specs(
    path: Path, image: Interferogram, kind: str, maps: Sequence[str] | Mapping[str, str]
) -> dict[str, OutputSpec]:
    """The rasters of a run: "values", "mask" and the maps, float32 with NaN for no data."""
    unit, nan = ("radian" if kind == "phase" else ""), float("nan")
    nodata = image.nodata if image.nodata is not None else 0.0 if kind == "complex" else nan
    descriptions = maps if isinstance(maps, Mapping) else {name: name for name in maps}
    beside = _beside(path, descriptions)
    return {
        "values": OutputSpec(path, KINDS[kind], nodata, unit, "interferogram"),
        "mask": OutputSpec(beside["mask"], "uint8", None, "", "1 where there are data"),
        **{name: OutputSpec(beside[name], "float32", nan, "1", text) for name, text in descriptions.items()},
    }


def _check_target(target: Path, inputs: Sequence[str], overwrite: bool) -> None:
    """DataError where a file cannot be written without the loss of another."""
    if any(os.path.realpath(target) == os.path.realpath(name) for name in inputs):
        raise DataError(f"output: found {target}, which is an input, expected another file")
    if target.is_symlink() and not Path(os.path.realpath(target)).parent.is_dir():
        raise DataError(f"output: found a link {target} into a folder that does not exist, expected one that does")
    if target.is_dir():
        raise DataError(f"output: found a folder {target}, expected a file or nothing")
    if target.exists() and not overwrite:
        raise DataError(f"output: found that {target} exists, expected no such file; give --overwrite to replace it")


def encode(values: np.ndarray, valid: np.ndarray, spec: OutputSpec) -> np.ndarray:
    """Values as stored: wrapped phase or complex64, nodata where not valid; data equal to nodata move 1e-6 away."""
    if spec.dtype == "complex64":
        stored = values if np.iscomplexobj(values) else np.exp(1j * values)
    else:
        stored = np.angle(values) if np.iscomplexobj(values) else values
    stored = stored.astype(spec.dtype)
    if spec.nodata is None:
        return stored
    fill = np.asarray(spec.nodata, dtype=spec.dtype)
    stored[valid & (stored == fill)] += np.asarray(1e-6, dtype=spec.dtype)
    stored[~valid] = fill
    return stored
