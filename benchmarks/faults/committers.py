"""Everything that writes results, as small as it can be: what is killed to see whether results are whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Committer:
    """A writer of results.

    write: the run, from its start to its end: (folder, version 1 or 2), in the place of what is there.
    recover: the start of the same run, which does not come to its work.
    kept: patterns of the names of what a killed run may leave for the next one.
    prepare: makes what is there before the first run.
    """

    write: Callable[[Path, int], object]
    recover: Callable[[Path], object]
    kept: tuple[str, ...] = ()
    prepare: Callable[[Path], object] = lambda folder: None


def _recover(folder: Path) -> None:
    from mvnet.storage import recover

    recover(folder.parent)
    recover(folder)


def _outputs(folder: Path, version: int) -> None:
    from mvnet.apps.common.outputs import Outputs

    names = ["a.txt", "b.txt", "c.txt"]
    with Outputs(folder / "out", names, overwrite=True, shared=["common.json"]) as outputs:
        for name in names:
            outputs.path(name).write_text(f"{version} {name}")
        outputs.path("common.json").write_text("{}")


def _outputs_in_folder(folder: Path, version: int) -> None:
    from mvnet.apps.common.outputs import Outputs

    with Outputs(folder, ["a.txt", "b.txt", "c.txt"], overwrite=True) as outputs:
        for name in ("a.txt", "b.txt", "c.txt"):
            outputs.path(name).write_text(f"{version} {name}")


def _recover_out(folder: Path) -> None:
    _recover(folder / "out")


def _one_file(folder: Path, version: int) -> None:
    from mvnet.storage import write_json

    write_json(folder / "a.json", version)


def _nifti(folder: Path, version: int) -> None:
    import nibabel

    from mvnet.data_loaders.dti.nifti import write_image

    write_image(np.full((2, 3, 4), version, np.float32), np.eye(4), nibabel.Nifti1Header(), folder / "a.nii.gz")


def _motion(folder: Path, version: int) -> None:
    from mvnet.data_loaders.motion import MotionSet, save_motion

    motions = MotionSet((np.full((4, 2, 3), version, np.float32),))
    save_motion(motions, folder / "a.npz", overwrite=True)


def _through_links(folder: Path, version: int) -> None:
    """Files behind links to another folder."""
    from mvnet.storage import Staging

    with Staging(folder / "links") as staging:
        for name in ("a", "b"):
            staging.path(name).write_text(f"{version} {name}")
        staging.commit({name: folder / "links" / name for name in ("a", "b")})


def _make_links(folder: Path) -> None:
    for name in ("real", "links"):
        (folder / name).mkdir()
    for name in ("a", "b"):
        (folder / "links" / name).symlink_to(Path("../real") / f"{name}.txt")


def _recover_links(folder: Path) -> None:
    _recover(folder / "links")


def _checkpoint(folder: Path, version: int) -> None:
    import torch
    from torch import nn

    from mvnet.models.checkpoint import save_checkpoint

    torch.manual_seed(version)
    network = nn.Linear(2, 1)
    network.config = {"in_features": 2, "out_features": 1}  # type: ignore[assignment]
    save_checkpoint(folder / "model", network, {"version": version})


def _load_checkpoint(folder: Path) -> None:
    """To read the pair is enough to have a whole one; the next run removes what is left besides."""
    from mvnet.storage import finish_pair

    finish_pair(folder / "model.safetensors", folder / "model.json")
    _recover(folder)


def _progress(folder: Path, version: int) -> None:
    import torch

    from mvnet.storage import save_progress

    save_progress(folder, "checkpoint", 10 * version, {"w": torch.full((3,), float(version))}, {"step": 10 * version})


def _training(folder: Path, version: int) -> None:
    """Two steps, a checkpoint after each, then the network beside its card."""
    import torch
    from torch import nn

    from mvnet.storage import write_pair
    from mvnet.training import Run, Schedule

    Run.drop(folder)
    torch.manual_seed(version)
    run = Run(folder, nn.Linear(2, 1), Schedule(steps=2, batch=1, checkpoint_every=1, warm_up=1, seed=version))

    def objective(model: nn.Module, batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        return model(batch).square().mean(), {}

    for _ in run.steps(objective, [torch.ones(3, 2)] * 2):
        pass
    trained = run.finish()
    write_pair(folder / "net.safetensors", trained.state_dict(), folder / "net.json", {"version": version})
    run.close()


def _image(folder: Path) -> Any:
    from mvnet.data_loaders.insar import open_interferogram
    from mvnet.data_loaders.insar.rasters import gdal

    path = folder.parent / "input.tif"
    if not path.is_file():
        values = np.exp(1j * np.linspace(0, 9, 48 * 32).reshape(48, 32)).astype(np.complex64)
        with gdal().open(path, "w", driver="GTiff", height=48, width=32, count=1, dtype="complex64") as file:
            file.write(values, 1)
    return open_interferogram(path)


def _raster(folder: Path, version: int, extra: tuple[str, ...] = ("report.html",)) -> None:
    from mvnet.data_loaders.insar import open_outputs

    image = _image(folder)
    how = {"job": {"version": version}, "overwrite": True, "extra": extra}
    with open_outputs(folder / "o.tif", image, block=32, **how) as out:
        for window in out.pending():
            block = image.read(window, with_coherence=False)
            out.write(window, block.values, block.valid, quality=np.full(block.valid.shape, version, np.float32))
        for name in extra:
            out.staged(name).write_text(f"page {version}")
        out.commit()


def _subject(folder: Path, version: int) -> None:
    """A commit of many files below folders, some of which go."""
    from mvnet.storage import Staging

    names = [f"dwi/{version}.nii", "sub.json"]
    target = folder / "sub-01"
    old = [path for path in target.rglob("*") if path.is_file() and path.relative_to(target).as_posix() not in names]
    with Staging(folder) as staging:
        staging.path("dwi").mkdir()
        for name in names:
            staging.path(name).write_text(f"{version} {name}")
        staging.commit({name: target / name for name in names}, remove=old, through=False)


def _whole_folder(folder: Path, version: int) -> None:
    """A folder in the place of another, as a Zarr store is, with what it was made of."""
    from mvnet.storage import Staging

    with Staging(folder) as staging:
        staging.path("new.zarr/x").mkdir(parents=True)
        staging.path("new.zarr/x/0").write_text(str(version))
        staging.path("job").write_text(json.dumps(version))
        staging.commit({"new.zarr": folder / "s.zarr", "job": folder / ".s.zarr.job.json"}, through=False)


COMMITTERS = {
    "file": Committer(_one_file, _recover),
    "NIfTI": Committer(_nifti, _recover),
    "motion": Committer(_motion, _recover),
    "new folder": Committer(_outputs, _recover_out),
    "files in a folder": Committer(_outputs_in_folder, _recover),
    "subject": Committer(_subject, _recover),
    "whole folder": Committer(_whole_folder, _recover),
    "through links": Committer(_through_links, _recover_links, prepare=_make_links),
    "checkpoint": Committer(_checkpoint, _load_checkpoint),
    "progress": Committer(_progress, _recover),
    "training": Committer(_training, _recover, (".training.lock", "checkpoint*")),
    "raster": Committer(_raster, _recover, (".o.tif.partial",)),
}
"""By name; a new one is one line."""
