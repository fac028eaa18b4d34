"""The sources of the house, read and not run: files, modules, and what each imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = {"mvnet": "mvnet", "apps": "mvnet.apps", "data_loaders": "mvnet.data_loaders"}
"""Folders at the top of the tree, and the names they are installed under."""
FOLDERS = (*PACKAGES, "benchmarks", "tests")


def files(*folders: str) -> list[Path]:
    """Python files below the folders, in order."""
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


@cache
def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def place(file: Path, node: ast.AST | None = None) -> str:
    """A file below the root, with the line of a node."""
    line = f":{node.lineno}" if isinstance(node, ast.stmt | ast.expr) else ""
    return file.relative_to(ROOT).as_posix() + line


@cache
def modules() -> dict[str, Path]:
    """Name as it is imported -> file, of all that is installed."""
    found = {}
    for folder, package in PACKAGES.items():
        for file in files(folder):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = file
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of the house that a module imports, at its top or inside its functions.

    What the `__init__.py` of a package imports for the type checker alone (`if TYPE_CHECKING:`) is a list of names.
    """
    file = modules()[module]
    tree = parse(file)
    hidden: set[ast.AST] = set()
    if file.name == "__init__.py":
        for node in tree.body:
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                hidden |= set(ast.walk(node))
    found: set[str] = set()
    for node in ast.walk(tree):
        if node not in hidden:
            found |= set(_targets(node))
    return frozenset(found - {module})


def _targets(node: ast.AST) -> Iterator[str]:
    known = modules()
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: a relative import, expected an absolute one"
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            if name in known or node.module in known:
                yield name if name in known else str(node.module)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
