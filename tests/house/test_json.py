"""JSON is written by one function, which knows no NaN and no Infinity."""

from __future__ import annotations

from tests.house.source import PACKAGES, files, place

WRITERS = ("mvnet/storage/", "data_loaders/isolated")
"""The function itself, and what two processes of one version tell each other."""


def test_json_is_written_in_one_place() -> None:
    found = [place(file) for file in files(*PACKAGES) if "json.dump" in file.read_text(encoding="utf-8")]
    assert [name for name in found if not name.startswith(WRITERS)] == []
