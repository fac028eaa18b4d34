"""Every error that the user can mend reads `argument: found X, expected Y`, and nothing else is raised for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import PACKAGES, files, parse, place

FORM = re.compile(r"(?P<argument>[^:\s][^:]*): (?:[^:]+: )?found .*\S, expected .*\S", re.DOTALL)
"""Before the colon stand the arguments, the option or the file; a part of the file may follow, with a second colon."""

ROOTS = {"MvnetError"}
OTHERS = {
    "AttributeError": "of a module or an object that is asked for a name it lacks",
    "KeyError": "of a mapping",
    "KeyboardInterrupt": "handed on",
    "NotImplementedError": "of a method that classes below provide",
    "OSError": "of the disk, with the system's words",
    "RuntimeError": "a defect that is noticed",
    "SystemExit": "a signal",
    "typer.BadParameter": "the parser's own, which names the option",
    "typer.Exit": "the status of a command that ran",
}
"""What may be raised besides. None of it is for arguments, options or files that cannot be used."""


def raised() -> Iterator[tuple[Path, ast.Raise, ast.expr]]:
    """Every `raise` of an exception that is made there, or named: file, statement, the exception's class."""
    for file in files(*PACKAGES):
        for node in ast.walk(parse(file)):
            if isinstance(node, ast.Raise) and node.exc is not None:
                yield file, node, node.exc.func if isinstance(node.exc, ast.Call) else node.exc


def mendable() -> set[str]:
    """MvnetError and what derives from it, by name."""
    found = set(ROOTS)
    classes = [n for file in files(*PACKAGES) for n in ast.walk(parse(file)) if isinstance(n, ast.ClassDef)]
    while True:
        more = {c.name for c in classes if {ast.unparse(base) for base in c.bases} & found} - found
        if not more:
            return found
        found |= more


def render(node: ast.expr) -> str:
    """The text of a message: what is only known when it is raised stands as X."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(render(value) for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return render(node.left) + render(node.right)
    return "X"


def makers() -> set[str]:
    """Functions that are declared to return such an error."""
    names = mendable()
    functions = [n for file in files(*PACKAGES) for n in ast.walk(parse(file)) if isinstance(n, ast.FunctionDef)]
    return {f.name for f in functions if f.returns is not None and ast.unparse(f.returns) in names}


def test_the_form_of_messages() -> None:
    """Of every such error that is made, raised there or returned."""
    names, wrong, count = mendable(), [], 0
    for file in files(*PACKAGES):
        for node in ast.walk(parse(file)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                count += 1
                message = render(node.args[0]) if node.args else ""
                if not FORM.fullmatch(message):
                    wrong.append(f"{place(file, node)}: {message}")
    assert wrong == []
    assert count > 300


def test_nothing_else_is_raised() -> None:
    allowed = mendable() | makers() | set(OTHERS)
    found = {ast.unparse(kind): place(file, node) for file, node, kind in raised()}
    assert {name: where for name, where in found.items() if name not in allowed} == {}


def test_the_form_itself() -> None:
    good = ("x, y: found (3,) and (4,), expected one shape", "--rate: found -1, expected a number of at least 0")
    good += ("a.npz: label: found 'x', expected one of class: a, b",)
    bad = ("found (3,), expected (4,)", "x: expected (4,), found (3,)", "x: is wrong", ": found 1, expected 2")
    assert all(map(FORM.fullmatch, good)) and not any(map(FORM.fullmatch, bad))
