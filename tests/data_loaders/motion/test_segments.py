"""Long recordings cut by a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mvnet.data_loaders.motion import DataError, MotionSet, load_motion, save_motion

HEAD = "file,start,stop,label,subject\n"


def recordings(folder, count=2, **known: Any) -> None:
    """s01.npz, s02.npz, ...: 30 frames at 10 per second, in which all coordinates of frame k are k."""
    known = {"rate": 10.0} | known
    values = np.tile(np.arange(30.0)[:, None, None], (1, 4, 3))
    for k in range(1, count + 1):
        save_motion(MotionSet([values + 100 * k], **known), folder / f"s{k:02d}.npz")


def table(folder, *lines: str, head: str = HEAD) -> None:
    (folder / "segments.csv").write_text(head + "\n".join(lines) + "\n")


def test_segments_are_cut_at_the_nearest_frames(tmp_path) -> None:
    recordings(tmp_path)
    table(tmp_path, "s01.npz,0,1.01,wave,anna", "s01.npz,1.01,3,kick,anna", "s02,0.52,1.5,wave,ben")
    found = load_motion(tmp_path)
    assert [(s[0, 0, 0], s[-1, 0, 0]) for s in found.sequences] == [(100, 109), (110, 129), (205, 214)]
    assert found.classes == ("kick", "wave") and found.require_labels().tolist() == [1, 0, 1]
    assert found.require_subjects().tolist() == ["anna", "anna", "ben"] and found.rate == 10
    assert found.notes[0] == "3 segments of 2 recordings" and found.names[2] == "s02 0.52-1.5 s"


def test_times_of_frames_are_used(tmp_path) -> None:
    times = np.cumsum(np.where(np.arange(30) < 15, 0.1, 0.2)) + 7
    recordings(tmp_path, 1, rate=None, timestamps=(times,))
    table(tmp_path, "s01.npz;0;1,6;a", "s01.npz;1,6;3;b", head="file;start;stop;label\n")
    found = load_motion(tmp_path / "segments.csv")
    assert found.lengths.tolist() == [15, 7] and found.subjects is None


def test_subjects_of_the_names_of_the_recordings(tmp_path) -> None:
    recordings(tmp_path)
    table(tmp_path, "s01.npz,0,1,a", "s02.npz,0,1,b", head="file,start,stop,label\n")
    found = load_motion(tmp_path)
    assert found.require_subjects().tolist() == ["1", "2"] and "names no subject" in found.notes[1]


def test_a_segment_beyond_the_end_is_left_out_and_said(tmp_path) -> None:
    recordings(tmp_path)
    table(tmp_path, "s01.npz,0,1,wave,1", "s01.npz,2,9,wave,1", "s02.npz,1,3.05,kick,2")
    found = load_motion(tmp_path)
    assert found.lengths.tolist() == [10, 20]
    assert found.notes[1] == "left out line 3 of segments.csv: 2 to 9 s of s01.npz, which ends at 3 s"


@pytest.mark.parametrize(
    ("lines", "head", "message"),
    [
        ((), HEAD, "found no segments"),
        (("s01.npz,0,1,a",), "file,from,stop,label\n", "found no column start"),
        (("s01.npz,0,x,a,1",), HEAD, "line 2: found no start and stop"),
        (("s01.npz,2,1,a,1",), HEAD, "line 2: found 2 to 1"),
        (("s01.npz,0,1,,1",), HEAD, "line 2: found no file or no label"),
        (("s09.npz,0,1,a,1",), HEAD, "line 2: found no file 's09.npz'"),
        (("../s01.npz,0,1,a,1",), HEAD, "expected a file in the folder of the table"),
        (("s01.npz,7,8,a,1",), HEAD, "found no segment within its recording"),
        (("still.npz,0,1,a,1",), HEAD, "found no frames per second in still.npz"),
        (("two.npz,0,1,a,1",), HEAD, "found 2 sequences in two.npz"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, lines, head, message) -> None:
    recordings(tmp_path, 1)
    save_motion(MotionSet([np.zeros((9, 2, 3))]), tmp_path / "still.npz")
    save_motion(MotionSet([np.zeros((9, 2, 3))] * 2, rate=1.0), tmp_path / "two.npz")
    table(tmp_path, *lines, head=head)
    with pytest.raises(DataError, match=message) as raised:
        load_motion(tmp_path)
    assert "\n" not in str(raised.value)


def test_the_rate_that_is_asked_for(tmp_path) -> None:
    save_motion(MotionSet([np.zeros((9, 2, 3))]), tmp_path / "still.npz")
    table(tmp_path, "still.npz,0,1,a,1")
    assert load_motion(tmp_path, rate=5).lengths.tolist() == [5]
