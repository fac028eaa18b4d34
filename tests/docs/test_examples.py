"""What the pages show runs: every Python block as printed, in a folder with small files of the names that it uses."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mvnet.data_loaders.errors import DataError
from mvnet.data_loaders.motion import load_motion
from mvnet.data_loaders.motion.formats import registry
from mvnet.optim.registry import OPTIMIZERS, Entry
from tests.docs.pages import ROOT, Block, blocks, exists, pages
from tests.equivariant import test_layers
from tests.manifolds import test_laws
from tests.optim import test_laws as test_optimizers

BLOCKS = [block for page in pages() for block in blocks(page)]
DTYPES = (torch.float64, torch.float32)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a DWI, its tensors, an interferogram, its coherence and motions."""
    folder = tmp_path_factory.mktemp("pages")
    write_dti(folder)
    write_interferogram(folder)
    write_motions(folder)
    return folder


def write_dti(folder: Path) -> None:
    """dwi.nii.gz, dwi.bval, dwi.bvec; tensor.nii.gz in FSL's order."""
    import nibabel

    from mvnet.data_loaders.dti.layouts import LAYOUTS, UNITS
    from mvnet.data_loaders.dti.simulation import gradient_scheme, simulate_brain, simulate_dwi

    tensors, _, s0 = simulate_brain((14, 14, 10), seed=3, voxel_size=3.0)
    bvals, bvecs = gradient_scheme(12, seed=3)
    dwi, _ = simulate_dwi(tensors, s0, bvals, bvecs, snr=20.0, generator=torch.Generator().manual_seed(3))
    affine = np.diag([-3.0, 3.0, 3.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(np.asarray(dwi, dtype=np.float32), affine), folder / "dwi.nii.gz")
    np.savetxt(folder / "dwi.bval", np.asarray(bvals)[None], fmt="%g")
    np.savetxt(folder / "dwi.bvec", np.asarray(bvecs).T, fmt="%.8f")
    stored = LAYOUTS["fsl"].from_mandel(tensors / UNITS["mm2/s"])
    nibabel.save(nibabel.Nifti1Image(stored, affine), folder / "tensor.nii.gz")


def write_interferogram(folder: Path) -> None:
    """interferogram.tif, complex, and coherence.tif; z.npy, the same as an array."""
    y, x = np.mgrid[:96, :128] / 64
    random = np.random.default_rng(0)
    noise = random.normal(size=(2, *x.shape)) * 0.5
    z = (np.exp(6j * (x * y + y**2)) + noise[0] + 1j * noise[1]).astype(np.complex64)
    np.save(folder / "z.npy", z)
    rasterio = pytest.importorskip("rasterio", reason="rasterio is in the extra `insar`")
    for name, values in (("interferogram", z), ("coherence", np.full(z.shape, 0.7, np.float32))):
        options = {"driver": "GTiff", "height": 96, "width": 128, "count": 1, "dtype": values.dtype}
        with rasterio.open(folder / f"{name}.tif", "w", **options) as raster:
            raster.write(values, 1)


def write_motions(folder: Path) -> None:
    """motions.npz: two classes of three people, four joints."""
    random = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "parent": np.array([-1, 0, 1, 2]),
        "label": np.arange(24) % 2,
        "subject": np.arange(24) // 8,
    }
    for k in range(24):
        t = np.linspace(0, 1, 20 + k)[:, None]
        swing = np.sin((4 + 4 * (k % 2)) * t + random.normal() / 4)
        joints = [np.concatenate([j * swing / 4, 0 * t, 0.4 * j + 0 * t], 1) for j in range(4)]
        arrays[f"seq_{k:04d}"] = np.stack(joints, 1) + 0.01 * random.normal(size=(len(t), 4, 3))
    np.savez(folder / "motions.npz", **arrays)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.name for block in BLOCKS])
def test_block_runs(block: Block, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in block.needs:
        if not exists(name):
            pytest.skip(f"{name} does not exist")
    monkeypatch.chdir(files)
    block.run()


def battery(module: Any) -> dict[str, Callable[..., None]]:
    """The tests of a module that take what its parametrisation gives."""
    return {k: v for k, v in vars(module).items() if k.startswith("test_") and inspect.signature(v).parameters}


def by_dtype(test: Callable[..., None], **arguments: Any) -> None:
    """Run a test of a battery, in both precisions where it has two."""
    dtypes = DTYPES if "dtype" in inspect.signature(test).parameters else (None,)
    for dtype in dtypes:
        test(**arguments, **({} if dtype is None else {"dtype": dtype}))


def example(laws: str) -> dict[str, Any]:
    (block,) = (block for block in BLOCKS if block.laws == laws)
    return block.run()


@pytest.mark.parametrize("law", battery(test_laws))
def test_manifold_of_the_guide_keeps_the_laws(law: str) -> None:
    by_dtype(battery(test_laws)[law], case=example("manifolds")["CASE"])


@pytest.mark.parametrize("law", battery(test_layers))
def test_layer_of_the_guide_keeps_the_laws(law: str) -> None:
    name, groups, make = example("equivariant")["LAYER"]
    for group in groups:
        by_dtype(battery(test_layers)[law], name=name, g=group, make=make)


@pytest.mark.parametrize("law", battery(test_optimizers))
def test_optimizer_of_the_guide_keeps_the_laws(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = example("optim")
    monkeypatch.setattr(Entry, "load", lambda entry: names["Lion"])
    monkeypatch.setitem(OPTIMIZERS, "lion", names["ENTRY"])
    by_dtype(battery(test_optimizers)[law], name="lion")


def test_format_of_the_guide_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "FORMATS", (example("motion formats")["FORMAT"], *registry.FORMATS))
    positions = np.random.default_rng(0).normal(size=(4, 2, 3))
    lines = [json.dumps(dict(zip(("hip", "knee"), frame.tolist()))) for frame in positions]
    file = tmp_path / "walk.jsonl"
    file.write_text("\n".join([*lines, '{"hip": [1, 2, 3]}']))
    found = load_motion(file, scale=2.0)
    assert found.joints == ("hip", "knee") and np.allclose(found.sequences[0][:4], 2 * positions)
    assert np.isnan(found.sequences[0][4, 1]).all()
    for damaged in ('{"hip": [1, 2, 3]}\n{"hip": [1]}', '{"hip": [1, 2, 3]}\n{"hip": ', '{"hip": [1, 2, 3]}\n7'):
        file.write_text(damaged)
        with pytest.raises(DataError, match=r"walk\.jsonl: found .*, expected "):
            load_motion(file)


@pytest.mark.parametrize("laws", ["manifolds", "equivariant", "optim", "motion formats"])
def test_examples_of_the_guide_are_short(laws: str) -> None:
    (block,) = (block for block in BLOCKS if block.laws == laws)
    assert len([line for line in block.code.splitlines() if line.strip()]) < 60


ROWS = re.findall(r"`(\w+)` in `([\w/.]+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("registry, path", ROWS)
def test_how_to_add_names_what_is_there(registry: str, path: str) -> None:
    assert re.search(rf"^{registry}\b[^\n]*=", (ROOT / path).read_text(encoding="utf-8"), re.M)
