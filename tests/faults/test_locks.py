"""A lock lets go of its own descriptor and of no other, whatever number that has."""

from __future__ import annotations

import os

from mvnet.storage.lock import lock_file


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
