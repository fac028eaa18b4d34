"""Every parameter of a public function is explained under Args. (That a section is there, ruff sees to.)

A method that a base class explains needs no more than what is its own: a formula.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import mvnet
from mvnet.integrators.base import Marching, Method, Solver
from mvnet.integrators.gradients.adjoint import Scheme
from mvnet.integrators.lie_group.munthe_kaas import Coordinates
from mvnet.manifolds import Manifold

ROOT = Path(mvnet.__file__).parent
FILES = [
    file for file in sorted(ROOT.rglob("*.py")) if not {"apps", "data_loaders"} & set(file.relative_to(ROOT).parts)
]

CONTRACTS: dict[str, type] = {
    "MeanSpace": Manifold,
    "AffineInvariant": Manifold,
    "LogEuclidean": Manifold,
    "MuntheKaas": Method,
    "CommutatorFree": Method,
    "ImplicitRungeKutta": Method,
    "Leapfrog": Method,
    "Magnus": Method,
    "SphericalMidpoint": Method,
    "Proximal": Method,
    "RiemannianGonzalez": Method,
    "Splitting": Method,
    "DiscreteGradient": Method,
    "Rattle": Method,
    "Projection": Method,
    "RungeKutta": Marching,
    "Adaptive": Solver,
    "SymplecticAdjoint": Scheme,
    "Coupled": Scheme,
    "Inverted": Scheme,
    "Continuous": Scheme,
    "Exponential": Coordinates,
    "Cayley": Coordinates,
}
"""What classes follow without a base class."""


def public_functions(node: ast.AST, owner: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """(name of the class or "", function) of a module."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef) and not child.name.startswith("_"):
            if isinstance(child, ast.FunctionDef):
                yield owner, child
            else:
                yield from public_functions(child, child.name)


def overrides(module: ModuleType, owner: str, name: str) -> bool:
    """Whether the method stands in the contract of its class, or in a base class of ours."""
    if not owner:
        return False
    bases = getattr(module, owner).__mro__[1:]
    return hasattr(CONTRACTS.get(owner), name) or any(
        base.__module__.startswith("mvnet.") and name in vars(base) for base in bases
    )


def explained(docstring: str) -> set[str]:
    """Names before the colons of the entries under Args; "x, y: ..." are two."""
    section = re.search(r"^Args:\n((?:[ \t].*\n?|\n)*)", docstring, re.MULTILINE)
    entries = re.findall(r"^ {4}(\w[\w, ]*):", section[1], re.MULTILINE) if section else []
    return {name.strip() for entry in entries for name in entry.split(",")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_parameter_is_explained(file: Path) -> None:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
    for owner, function in public_functions(ast.parse(file.read_text())):
        if overrides(module, owner, function.name):
            continue
        arguments = function.args
        wanted = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)} - {"self", "cls"}
        missing = wanted - explained(ast.get_docstring(function) or "")
        assert not missing, f"{owner}.{function.name} says nothing of {sorted(missing)}".lstrip(".")
