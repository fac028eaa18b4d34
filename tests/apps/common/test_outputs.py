"""All files appear together or none does."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mvnet.apps.common.errors import UserError
from mvnet.apps.common.outputs import Outputs

NAMES = ["a.txt", "b.txt", "c.txt"]


def write(outputs: Outputs, text: str) -> None:
    for name in NAMES:
        outputs.path(name).write_text(text + name)


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("existing", [False, True])
def test_files_appear_at_the_end_only(existing, tmp_path):
    folder = tmp_path / "out"
    if existing:
        folder.mkdir()
    with Outputs(folder, NAMES) as outputs:
        write(outputs, "new ")
        assert not any((folder / name).exists() for name in NAMES)
    assert contents(tmp_path) == {f"out/{name}": f"new {name}" for name in NAMES}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_new_folder_follows_the_umask(tmp_path):
    (tmp_path / "plain").mkdir()
    with Outputs(tmp_path / "out", NAMES) as outputs:
        write(outputs, "")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError, RuntimeError])
@pytest.mark.parametrize("existing", [False, True])
def test_any_error_inside_leaves_everything_as_it_was(existing, error, tmp_path):
    folder = tmp_path / "out"
    if existing:
        folder.mkdir()
        (folder / "a.txt").write_text("old")
    before = contents(tmp_path)
    with pytest.raises(error), Outputs(folder, NAMES, overwrite=True) as outputs:
        write(outputs, "new ")
        raise error
    assert contents(tmp_path) == before and folder.exists() == existing


@pytest.mark.parametrize("failing", range(1, 5))
def test_an_error_while_moving_is_rolled_back(failing, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("old " + name)
    before, rename, calls = contents(folder), os.rename, []

    def unreliable(source, target):
        calls.append(target)
        if len(calls) == failing:
            raise OSError("moving failed")
        rename(source, target)

    monkeypatch.setattr(os, "rename", unreliable)
    with pytest.raises(OSError, match="moving failed"), Outputs(folder, NAMES, overwrite=True) as outputs:
        write(outputs, "new ")
    assert contents(tmp_path / "out") == before
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt"]


@pytest.mark.usefixtures("listening")
def test_ctrl_c_waits_for_the_move(tmp_path, monkeypatch):
    folder, rename = tmp_path / "out", os.rename
    folder.mkdir()

    def interrupted(source, target):
        signal.raise_signal(signal.SIGINT)
        rename(source, target)

    monkeypatch.setattr(os, "rename", interrupted)
    with Outputs(folder, NAMES) as outputs:
        write(outputs, "new ")
    assert set(contents(folder)) == set(NAMES)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_what_is_in_the_way_is_told_at_once(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(UserError, match=r"found .*a\.txt, expected no such file, or --overwrite"):
        Outputs(tmp_path, ["a.txt"])
    with pytest.raises(UserError, match="found a folder at"):
        Outputs(tmp_path, ["b.txt"], overwrite=True)
    with pytest.raises(UserError, match="found a file at"):
        Outputs(tmp_path / "a.txt", NAMES)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    with pytest.raises(UserError, match="a link to nothing"):
        Outputs(tmp_path / "dangling", NAMES)
    with pytest.raises(UserError, match="found no folder"):
        Outputs(tmp_path / "x" / "y", NAMES)
    with pytest.raises(UserError, match="found the input"):
        Outputs(tmp_path, ["a.txt"], overwrite=True, inputs=[tmp_path / "a.txt"])
    (tmp_path / "link.txt").symlink_to(tmp_path / "a.txt")
    with pytest.raises(UserError, match="found the input"):
        Outputs(tmp_path, ["link.txt"], overwrite=True, inputs=[tmp_path / "a.txt"])


@pytest.mark.parametrize("existing", [False, True])
def test_of_two_runs_at_once_the_first_to_finish_is_kept(existing, tmp_path):
    folder = tmp_path / "out"
    if existing:
        folder.mkdir()
    with (
        pytest.raises(UserError, match=r"found .*a\.txt and 2 more, expected no such file"),
        Outputs(folder, NAMES) as late,
    ):
        with Outputs(folder, NAMES) as early:
            write(early, "early ")
        write(late, "late ")
    assert contents(tmp_path) == {f"out/{name}": f"early {name}" for name in NAMES}


@pytest.mark.parametrize("existing", [False, True])
def test_runs_at_once_with_other_names_share_a_folder(existing, tmp_path):
    folder = tmp_path / "out"
    if existing:
        folder.mkdir()
    with Outputs(folder, ["a.txt"], shared=["common"]) as late, Outputs(folder, ["b.txt"], shared=["common"]) as early:
        for outputs, name, text in ((late, "a.txt", "late"), (early, "b.txt", "early")):
            outputs.path(name).write_text(text)
            outputs.path("common").write_text(text)
    assert contents(tmp_path) == {"out/a.txt": "late", "out/b.txt": "early", "out/common": "early"}


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    def refused(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(UserError, match="not writable"), Outputs(tmp_path / "out", NAMES):
        pass
