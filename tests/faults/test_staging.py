"""What hidden folders are taken for, and what is never touched."""

from __future__ import annotations

import errno
import json
import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from mvnet.errors import MvnetError
from mvnet.storage import Staging, recover, write_atomically
from mvnet.storage import staging as staging_module
from mvnet.storage.journal import JOURNAL, Journal

NAME = ".mvnet-0123456789abcdef"


def listing(folder: Path) -> dict[str, str | None]:
    return {str(p.relative_to(folder)): p.read_text() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.fixture
def precious(tmp_path) -> Path:
    folder = tmp_path / "precious"
    folder.mkdir()
    for name in ("lock", "thesis.txt"):
        (folder / name).write_text("x")
    return folder


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_link_is_not_followed(precious, out):
    (out / NAME).symlink_to(precious)
    before = listing(precious)
    recover(out)
    write_atomically(out / "a.txt", b"a")
    assert listing(precious) == before and (out / NAME).is_symlink()


def test_links_inside_a_dead_folder_go_and_their_targets_stay(precious, out):
    (out / NAME / "new").mkdir(parents=True)
    (out / NAME / "lock").touch()
    (out / NAME / "new/link").symlink_to(precious)
    (out / NAME / "old").symlink_to(precious)
    before = listing(precious)
    recover(out)
    assert listing(precious) == before and listing(out) == {}


def test_a_lock_that_is_a_link_is_not_opened(precious, out):
    (out / NAME).mkdir()
    (out / NAME / "lock").symlink_to(precious / "lock")
    (out / NAME / "note").write_text("of somebody")
    recover(out)
    assert (out / NAME / "note").exists()


@pytest.mark.parametrize("name", [".mvnet-0123", ".mvnet-0123456789abcdeg", "mvnet-0123456789abcdef", ".other"])
def test_other_names_are_left_alone(name, out):
    (out / name).mkdir()
    (out / name / "lock").touch()
    before = listing(out)
    recover(out)
    assert listing(out) == before


def test_a_folder_without_the_lock_is_left_alone_unless_it_is_empty(out):
    (out / NAME).mkdir()
    (out / NAME / "note").write_text("of somebody")
    (out / ".mvnet-fedcba9876543210").mkdir()
    recover(out)
    assert listing(out) == {NAME: None, f"{NAME}/note": "of somebody"}


def test_the_folder_of_a_living_run_is_left_alone(out):
    with Staging(out) as staging:
        staging.path("a").write_text("new")
        recover(out)
        write_atomically(out / "b", b"b")
        staging.commit({"a": out / "a"})
    assert listing(out) == {"a": "new", "b": "b"}


JOURNALS = {
    "no JSON": "{",
    "no journal": "[]",
    "another folder": {"inode": 1, "entries": [], "made": [], "dropped": {}},
    "absolute target": {"target": "/etc/passwd"},
    "target above": {"target": "../precious/thesis.txt"},
    "source elsewhere": {"source": "thesis.txt"},
    "old elsewhere": {"old": "../precious/lock"},
    "folder above": {"made": ["../made"]},
    "dropped above": {"dropped": {"../precious": 0}},
    "dropped below": {"dropped": {"a/b": 0}},
}


@pytest.mark.parametrize("kind", JOURNALS)
def test_a_journal_that_was_not_written_there_is_refused(kind, precious, out):
    place = out / NAME
    (place / "new").mkdir(parents=True)
    (place / "lock").touch()
    (place / "new/a").write_text("evil")
    (out / "a").write_text("old")
    content = JOURNALS[kind]
    if isinstance(content, dict) and "inode" not in content:
        inode = (place / "new/a").stat().st_ino
        entry = {"source": f"{NAME}/new/a", "target": "a", "old": f"{NAME}/old/0", "linked": True, "inode": inode}
        entry |= {key: value for key, value in content.items() if key in entry}
        whole = {"inode": place.stat().st_ino, "entries": [entry], "made": [], "dropped": {}}
        content = whole | {key: value for key, value in content.items() if key in whole}
    (place / JOURNAL).write_text(content if isinstance(content, str) else json.dumps(content))
    before = listing(out), listing(precious)
    with pytest.raises(MvnetError, match="found a journal that was not written here, expected none"):
        recover(out)
    assert (listing(out), listing(precious)) == before


def test_a_linked_folder_below_the_target_is_refused(precious, out):
    (out / "sub").symlink_to(precious)
    place = out / NAME
    (place / "new").mkdir(parents=True)
    (place / "lock").touch()
    (place / "new/a").write_text("evil")
    inode = (place / "new/a").stat().st_ino
    entry = {"source": f"{NAME}/new/a", "target": "sub/thesis.txt", "old": f"{NAME}/old/0"}
    entry |= {"linked": True, "inode": inode}
    journal = {"inode": place.stat().st_ino, "entries": [entry], "made": [], "dropped": {}}
    (place / JOURNAL).write_text(json.dumps(journal))
    with pytest.raises(MvnetError, match="not written here"):
        recover(out)
    assert (precious / "thesis.txt").read_text() == "x"


def test_the_mode_of_results_follows_the_umask(out):
    previous = os.umask(0o027)
    try:
        write_atomically(out / "a", b"")
    finally:
        os.umask(previous)
    assert (out / "a").stat().st_mode & 0o777 == 0o640


def test_a_failed_move_brings_everything_back(out, monkeypatch):
    for name in ("a", "b", "c"):
        (out / name).write_text(f"old {name}")
    (out / "blocks").mkdir()
    before, rename = listing(out), os.rename

    def unreliable(source, target):
        if Path(target).name == "sub":
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(os, "rename", unreliable)
    with Staging(out) as staging, pytest.raises(OSError, match="no"):
        for name in ("a", "n", "sub"):
            staging.path(name).write_text("new")
        moves = {"a": out / "a", "n": out / "deep/er/n", "sub": out / "sub"}
        staging.commit(moves, remove=[out / "b"], drop=[out / "blocks"])
    assert listing(out) == before


def test_without_hard_links_it_is_the_same(out, monkeypatch):
    def refused(*arguments, **options):
        raise OSError("no such links")

    monkeypatch.setattr(os, "link", refused)
    for name in ("a", "b", "c"):
        (out / name).write_text("old")
    with Staging(out) as staging:
        staging.path("a").write_text("new")
        staging.path("b").write_text("new")
        staging.commit({"a": out / "a", "b": out / "b"}, remove=[out / "c"])
    assert listing(out) == {"a": "new", "b": "new"}


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EACCES])
def test_a_file_is_carried_to_another_disk(number, out, tmp_path, monkeypatch):
    """Copied where no rename reaches; any other error ends the commit, and nothing has changed."""
    (tmp_path / "disk").mkdir()
    (out / "a").symlink_to(tmp_path / "disk/a")
    before, rename = listing(out), os.rename

    def other_disk(source, target):
        if Path(source).parent.name == "new" and Path(target).parent.name == "disk":
            raise OSError(number, "no")
        rename(source, target)

    monkeypatch.setattr(os, "rename", other_disk)
    with Staging(out) as staging:
        for name in ("a", "b"):
            staging.path(name).write_text("new")
        with nullcontext() if number == errno.EXDEV else pytest.raises(OSError, match="no"):
            staging.commit({name: out / name for name in ("a", "b")}, through=True)
    done = number == errno.EXDEV
    assert listing(tmp_path / "disk") == ({"a": "new"} if done else {})
    assert set(listing(out)) == ({"a", "b"} if done else set(before))


def test_a_staging_that_cannot_begin_leaves_nothing(out, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(staging_module, "write_new", full)
    with pytest.raises(OSError, match="no room"):
        Staging(out)
    assert listing(out) == {}


def test_a_commit_that_cannot_be_finished_is_named(out, monkeypatch):
    """The next run that comes by says where it lies, and does not go on."""
    for name in ("a", "b"):
        (out / name).write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "finish", lambda self: os._exit(9))
        child = os.fork()
        if child == 0:
            try:
                staging = Staging(out)
                for name in ("a", "b"):
                    staging.path(name).write_text("new")
                staging.commit({name: out / name for name in ("a", "b")})
            finally:
                os._exit(1)
        os.waitpid(child, 0)

    def full(self):
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "finish", full)
        with pytest.raises(MvnetError, match=r"found an unfinished commit in .* \(.*no room.*\), expected one"):
            recover(out)
    recover(out)
    assert listing(out) == {"a": "new", "b": "new"}
