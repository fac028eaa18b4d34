"""A lock lets go of its own descriptor and of no other, whatever number that has."""

from __future__ import annotations

import errno
import os

import pytest

from mvnet.storage import lock, recover, write_atomically
from mvnet.storage.lock import lock_file, locked


def test_a_lock_that_was_released_does_not_close_what_has_its_number(tmp_path) -> None:
    first = lock_file(tmp_path / "a")
    assert first is not None
    first.release()
    second = lock_file(tmp_path / "b")
    assert second is not None and second._descriptor == first._descriptor
    first.release()
    del first
    assert os.fstat(second._descriptor).st_ino == (tmp_path / "b").stat().st_ino
    assert lock_file(tmp_path / "b") is None  # still held
    second.release()
    again = lock_file(tmp_path / "b")
    assert again is not None
    again.release(remove=True)
    assert not (tmp_path / "b").exists()


def refused(*arguments: object) -> None:
    raise OSError(errno.ENOLCK, "no locks")


@pytest.mark.parametrize("missing", ["flock", "fcntl"])
def test_a_file_system_or_a_system_without_locks_keeps_nobody_away(missing, tmp_path, monkeypatch) -> None:
    """Nor is anything taken for dead there: a hidden folder stays."""
    if missing == "fcntl":
        monkeypatch.setattr(lock, "fcntl", None)
    else:
        monkeypatch.setattr(lock.fcntl, "flock", refused)
    held = lock_file(tmp_path / "a")
    assert held is not None and not held.sure
    held.release()
    with locked(tmp_path) as sure:
        assert not sure
    dead = tmp_path / ".mvnet-0123456789abcdef"
    (dead / "new").mkdir(parents=True)
    (dead / "lock").touch()
    recover(tmp_path)
    write_atomically(tmp_path / "b", b"b")
    assert dead.is_dir() and (tmp_path / "b").read_bytes() == b"b"


def test_a_file_that_goes_while_it_is_locked_is_made_anew(tmp_path, monkeypatch) -> None:
    path, attempt, tries = tmp_path / "a", lock._try_lock, []

    def slow(descriptor: int) -> bool | None:
        if not tries:
            path.unlink()
        tries.append(descriptor)
        return attempt(descriptor)

    monkeypatch.setattr(lock, "_try_lock", slow)
    held = lock_file(path)
    assert held is not None and len(tries) == 2 and os.fstat(held._descriptor).st_ino == path.stat().st_ino
    held.release()


def test_a_folder_that_is_not_there_or_a_link_is_not_locked(tmp_path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path / "none", tmp_path / "link"):
        with locked(folder) as held:
            assert not held
