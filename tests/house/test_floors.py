"""An import points down, or stays within its room; nothing is circular."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from tests.house.floors import FLOORS, FRONTS
from tests.house.source import imports, modules

FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}
KINDS = ("activity", "dti", "image", "insar", "demo")


def find_room(module: str) -> str | None:
    """The longest entry that a module belongs to."""
    name = module
    while name:
        if name in FLOOR and (name == module or name not in FRONTS):
            return name
        name = name.rpartition(".")[0]
    return None


def test_every_module_has_a_room() -> None:
    assert [module for module in modules() if find_room(module) is None] == []


def test_nothing_is_circular() -> None:
    try:
        TopologicalSorter({module: imports(module) for module in modules()}).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_every_import_points_down() -> None:
    wrong = []
    for module in modules():
        for target in sorted(imports(module)):
            room, other = find_room(module), find_room(target)
            assert room is not None and other is not None
            if room != other and FLOOR[other] >= FLOOR[room]:
                wrong.append(f"{module} -> {target}")
    assert wrong == []


def test_applications_do_not_know_each_other() -> None:
    for module in modules():
        kind = module.split(".")[2] if module.startswith("mvnet.apps.") else ""
        if kind in KINDS:
            allowed = set(KINDS) - {"activity"} if kind == "demo" else {kind}
            others = tuple(f"mvnet.apps.{other}." for other in KINDS if other not in allowed)
            assert [target for target in imports(module) if f"{target}.".startswith(others)] == [], module


def test_loaders_know_no_network() -> None:
    networks = ("mvnet.models.", "mvnet.nn.", "mvnet.training.", "mvnet.api.")
    for module in modules():
        if module.startswith("mvnet.data_loaders"):
            assert [target for target in imports(module) if f"{target}.".startswith(networks)] == [], module
