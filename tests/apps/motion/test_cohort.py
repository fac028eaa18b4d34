"""`mvnet denoise motion FOLDER`: every recording, those that fail and those that are there."""

import json

import pytest

from mvnet.data_loaders.motion.editing import open_recording
from tests.data_loaders.motion.test_editing import FILES


@pytest.fixture
def takes(tmp_path):
    """walk/a.bvh, run/b.trc, a damaged broken.bvh, and what is no recording."""
    folder = tmp_path / "takes"
    for name, format in (("walk/a", "bvh"), ("run/b", "trc")):
        (folder / name).parent.mkdir(parents=True)
        FILES[format](tmp_path).rename(folder / f"{name}.{format}")
    (folder / "broken.bvh").write_text("HIERARCHY\nROOT")
    (folder / "notes.txt").write_text("about")
    (folder / ".hidden.bvh").write_text("x")
    return folder


def test_every_recording_of_a_folder(denoise, takes, tmp_path):
    out = tmp_path / "out"
    done = denoise(takes, "-o", out, "--json", "--report")
    assert done.status == 2
    summary = json.loads(done.out)
    assert summary["counts"] == {"done": 2, "skipped": 0, "failed": 1}
    assert [one["recording"] for one in summary["recordings"]] == ["broken.bvh", "run/b.trc", "walk/a.bvh"]
    assert "broken.bvh: " in done.err and "found" in summary["recordings"][0]["message"]
    assert open_recording(out / "walk/a.bvh").curves and (out / "run/b_confidence.npz").is_file()
    assert (out / "walk/a_report.html").is_file() and not (out / "broken.bvh").exists()
    (takes / "broken.bvh").unlink()
    before = (out / "run/b.trc").stat().st_mtime_ns
    again = denoise(takes, "-o", out)
    assert again.status == 0 and "0 done, 2 skipped, 0 failed" in again.out
    assert (out / "run/b.trc").stat().st_mtime_ns == before
    assert "2 done, 0 skipped" in denoise(takes, "-o", out, "--overwrite").out


def test_errors_are_one_line(denoise, takes, tmp_path):
    (tmp_path / "empty").mkdir()
    for words, message in {
        (tmp_path / "empty", "-o", tmp_path / "out"): "found no recordings in",
        (takes, "-o", takes / "out"): "in the folder of the input, expected another place",
        (takes, "-o", takes / "notes.txt"): "output: found a file at",
        (takes, "-o", tmp_path / "no/out"): "output: found no folder",
        (takes, "-o", tmp_path / "out", "--strength", 2): "--strength: found 2.0",
    }.items():
        done = denoise(*words)
        assert done.status == 2 and message in done.err and done.err.count("\n") == 1, done.err
    (takes / "walk/a.trc").write_text("x")
    assert "both have a_confidence.npz" in denoise(takes, "-o", tmp_path / "out").err
    assert not (tmp_path / "out").exists()
