"""A store of blocks that cannot be opened lets go of all that it has opened."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mvnet.data_loaders.insar.block_store import BlockStore

DTYPES = {"values": "f4", "quality": "f4"}


def begin(folder: Path) -> BlockStore:
    return BlockStore(folder, (20, 20), DTYPES, 16, {"job": 1})


@pytest.mark.parametrize("name", ["values.raw", "quality.raw", "done.txt"])
def test_nothing_stays_open_after_an_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = begin(tmp_path / "a")
    block = np.ones((16, 16), np.float32)
    store.write((slice(0, 16), slice(0, 16)), {"values": block, "quality": block})
    store.close()
    store.close()
    opened, closed, open_, close = [], [], os.open, os.close

    def limited(path, *arguments, **options):
        if Path(path).name == name:
            raise OSError(24, "Too many open files")
        opened.append(open_(path, *arguments, **options))
        return opened[-1]

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", limited)
        patch.setattr(os, "close", lambda number: closed.append(number) or close(number))
        with pytest.raises(OSError, match="Too many open files"):
            begin(tmp_path / "a")
    assert sorted(opened) == sorted(closed) and opened
    again = begin(tmp_path / "a")  # nor is the folder locked
    assert again.resumed and len(again.pending()) == 3
    again.close()
