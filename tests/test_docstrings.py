"""Every parameter of a public function is explained under Args. (That a section is there, ruff sees to.)"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mvnet

ROOT = Path(mvnet.__file__).parent
ROOMS = ("linalg", "curves", "metrics.py", "models/activity", "models/image/network.py")
NOT_YET = ("models/activity/training.py", "models/activity/lie_classifier.py")


def files() -> Iterator[Path]:
    for room in ROOMS:
        path = ROOT / room
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            if file.relative_to(ROOT).as_posix() not in NOT_YET:
                yield file


def public_functions(node: ast.AST, name: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
            if isinstance(child, ast.FunctionDef):
                yield name + child.name, child
            else:
                yield from public_functions(child, f"{name}{child.name}.")


def explained(docstring: str) -> set[str]:
    """Names before the colons of the entries under Args; "x, y: ..." are two."""
    section = re.search(r"^Args:\n((?:[ \t].*\n?|\n)*)", docstring, re.MULTILINE)
    entries = re.findall(r"^ {4}(\w[\w, ]*):", section[1], re.MULTILINE) if section else []
    return {name.strip() for entry in entries for name in entry.split(",")}


@pytest.mark.parametrize("file", files(), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_parameter_is_explained(file: Path) -> None:
    for name, function in public_functions(ast.parse(file.read_text())):
        arguments = function.args
        wanted = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)} - {"self", "cls"}
        missing = wanted - explained(ast.get_docstring(function) or "")
        assert not missing, f"{name} says nothing of {sorted(missing)}"
