"""Links and folders of somebody else at the names that a run uses for a while."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rasterio", reason="needs mvnet[insar]")
from mvnet.data_loaders.insar import DataError, open_interferogram, open_outputs
from mvnet.storage import write_json
from tests.data_loaders.insar.files import tiff

PHASE = np.random.default_rng(0).uniform(-np.pi, np.pi, (32, 32)).astype(np.float32)


@pytest.fixture
def precious(tmp_path) -> Path:
    folder = tmp_path / "precious"
    folder.mkdir()
    for number in range(3):
        (folder / f"thesis{number}.txt").write_text("x")
    return folder


def begin(folder: Path):
    folder.mkdir(exist_ok=True)
    source = folder / "in.tif"
    image = open_interferogram(source if source.is_file() else tiff(source, PHASE))
    return open_outputs(folder / "o.tif", image, block=32, maps=())


def write(out) -> None:
    with out:
        out.write(out.pending()[0], PHASE, PHASE > -9)


def unchanged(folder: Path) -> bool:
    return {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(
        ("thesis0.txt", "thesis1.txt", "thesis2.txt"), "x"
    )


def test_a_link_at_the_folder_of_blocks_is_refused(precious, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.o.tif.partial").symlink_to(precious)
    with pytest.raises(DataError, match=r"found a link, or something of another user, at .*\.o\.tif\.partial"):
        begin(tmp_path / "out")
    assert unchanged(precious) and (tmp_path / "out/.o.tif.partial").is_symlink()


STRANGE = {
    "no job": ({"a.raw": ""}, "found no job.json"),
    "a file of the user": ({"job.json": "{}", "thesis.txt": "x"}, "found thesis.txt"),
    "a folder": ({"job.json": "{}", "sub/thesis.txt": "x"}, "found sub in"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_folder_of_somebody_else_is_refused(kind, tmp_path):
    files, message = STRANGE[kind]
    for name, text in files.items():
        path = tmp_path / "out/.o.tif.partial" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        begin(tmp_path / "out")
    for name, text in files.items():
        assert (tmp_path / "out/.o.tif.partial" / name).read_text() == text


@pytest.mark.parametrize("name", ["job.json", "values.raw", "mask.raw", "done.txt", "lock"])
def test_a_link_in_the_folder_of_blocks_is_refused(name, precious, tmp_path):
    out = begin(tmp_path / "out")
    out._store.close()
    path = tmp_path / "out/.o.tif.partial" / name
    path.unlink()
    path.symlink_to(precious / "thesis0.txt")
    with pytest.raises(DataError, match=f"found {name}"):
        begin(tmp_path / "out")
    assert unchanged(precious)


def test_a_link_at_an_older_temporary_name_is_ignored(precious, tmp_path):
    (tmp_path / ".a.json.part").symlink_to(precious / "thesis0.txt")
    write_json(tmp_path / "a.json", {})
    assert unchanged(precious) and not (tmp_path / "a.json").is_symlink()


@pytest.mark.parametrize("text", ["0 0\n", "0 0 00000000\n", "\xff\n", "0\n", "0 0 zz\n1 1\n", "-1 -1 0\n"])
def test_a_list_of_blocks_that_is_damaged_counts_nothing(text, tmp_path):
    begin(tmp_path / "out")._store.close()
    (tmp_path / "out/.o.tif.partial/done.txt").write_text(text, encoding="latin-1")
    out = begin(tmp_path / "out")
    assert out.resumed and len(out.pending()) == 1
    write(out)


def test_blocks_that_did_not_reach_the_disk_are_computed_again(tmp_path):
    """What a power failure leaves: the block is in the list, its data are not there."""
    out = begin(tmp_path / "out")
    out.write(out.pending()[0], PHASE, PHASE > -9)
    out._store.close()
    path = tmp_path / "out/.o.tif.partial/values.raw"
    path.write_bytes(bytes(path.stat().st_size))
    again = begin(tmp_path / "out")
    assert again.resumed and len(again.pending()) == 1
    again.discard()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["in.tif"]
