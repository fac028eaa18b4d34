"""`mvnet denoise motion`: files of every format in and out, and one clear line for what cannot be done."""

import json

import numpy as np
import pytest

from mvnet.data_loaders.motion import MotionSet, save_motion
from mvnet.data_loaders.motion.editing import open_recording
from tests.data_loaders.motion.files import bvh
from tests.data_loaders.motion.test_editing import FILES
from tests.models.motion.curves import jitter, smooth_positions


@pytest.mark.parametrize("format", FILES)
def test_every_format_comes_back(format, denoise, tmp_path):
    path = FILES[format](tmp_path)
    out = tmp_path / f"out.{format}"
    done = denoise(path, "-o", out, "--json")
    assert done.status == 0, done.err
    summary = json.loads(done.out)
    before, after = open_recording(path), open_recording(out)
    assert [c.values.shape for c in before.curves] == [c.values.shape for c in after.curves]
    assert all(c.seen.all() for c in after.curves)
    assert summary["counts"]["missing"] == sum(int((~c.seen).sum()) for c in before.curves)
    assert summary["format"] == format and summary["weights"]["name"] == "tiny"
    with np.load(summary["outputs"]["confidence"]) as arrays:
        error = arrays[f"{before.curves[0].name}_error"]
        assert error.shape == before.curves[0].seen.shape and (error > 0).all()
        assert (arrays[f"{before.curves[0].name}_missing"] == ~before.curves[0].seen).all()


def test_bones_of_positions_become_constant(denoise, tmp_path):
    parent = np.array([-1, 0, 1, 1])
    path = save_motion(MotionSet([jitter(smooth_positions(), 0.05).numpy()], parent=parent), tmp_path / "a.npz")
    assert denoise(path, "-o", tmp_path / "b.npz").status == 0
    x = open_recording(tmp_path / "b.npz").curves[0].values
    length = np.linalg.norm(x[:, 1:] - x[:, parent[1:]], axis=-1)
    assert np.ptp(length, axis=0).max() < 1e-9 and not np.allclose(length[0], length[0, 0])


def test_strength_0_keeps_the_numbers(denoise, tmp_path):
    path = FILES["trc"](tmp_path)
    assert denoise(path, "-o", tmp_path / "out.trc", "--strength", 0).status == 0
    before, after = (open_recording(p).curves[0] for p in (path, tmp_path / "out.trc"))
    assert np.allclose(after.values[before.seen], before.values[before.seen])


def test_the_page_moves_without_a_network(denoise, tmp_path):
    done = denoise(FILES["bvh"](tmp_path), "-o", tmp_path / "out.bvh", "--report")
    text = (tmp_path / "out_report.html").read_text()
    assert done.status == 0 and "report" in done.out
    assert "<canvas" in text and "http" not in text.replace("http-equiv", "")
    data = json.loads(text.split('class="spec">')[1].split("</script>")[0])
    assert [len(body) for body in data["bodies"]] == [12, 12] and data["parent"] == [-1, 0, 1]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--strength", 2], "--strength: found 2.0"),
        (["--trust-region", 0], "--trust-region: found 0.0"),
        (["-o", "out.c3d"], "output: found out.c3d, expected a name that ends in .bvh"),
    ],
)
def test_bad_options_are_one_line(options, message, denoise, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = FILES["bvh"](tmp_path)
    done = denoise(path, *([] if "-o" in options else ["-o", "out.bvh"]), *options)
    assert done.status == 2 and message in done.err and done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_kept_unless_told(denoise, tmp_path):
    path = FILES["bvh"](tmp_path)
    assert denoise(path, "-o", path, "--overwrite").status == 2
    assert denoise(path, "-o", tmp_path / "out.bvh").status == 0
    again = denoise(path, "-o", tmp_path / "out.bvh")
    assert again.status == 2 and "--overwrite" in again.err
    assert denoise(path, "-o", tmp_path / "out.bvh", "--overwrite").status == 0
    missing = denoise(tmp_path / "none.bvh", "-o", tmp_path / "x.bvh")
    assert missing.status == 2 and "found no file" in missing.err


def test_one_frame(denoise, tmp_path):
    (tmp_path / "a.bvh").write_text(bvh(np.zeros((1, 12))))
    assert denoise(tmp_path / "a.bvh", "-o", tmp_path / "b.bvh", "--report").status == 0
