"""How large folders, files and functions may be. (How tangled: ruff's C901, set in pyproject.toml.)"""

from __future__ import annotations

import ast
from collections import Counter

from tests.house.source import FOLDERS, files, parse, place

MODULES, FILE, FUNCTION, FUNCTION_ELSEWHERE = 15, 320, 60, 80
"""Modules of a folder without its `__init__.py`; lines of a file; lines of a function in mvnet/, and elsewhere."""


def test_folders() -> None:
    count = Counter(place(file.parent) for file in files(*FOLDERS) if file.name != "__init__.py")
    assert {folder: number for folder, number in count.items() if number > MODULES} == {}


def test_files() -> None:
    lines = {place(file): len(file.read_text(encoding="utf-8").splitlines()) for file in files(*FOLDERS)}
    assert {file: number for file, number in lines.items() if number > FILE} == {}


def test_functions() -> None:
    long = {}
    for file in files(*FOLDERS):
        limit = FUNCTION if place(file).startswith("mvnet/") else FUNCTION_ELSEWHERE
        for node in ast.walk(parse(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > limit:
                    long[f"{place(file, node)} {node.name}"] = lines
    assert long == {}
