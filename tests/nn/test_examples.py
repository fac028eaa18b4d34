"""Every export of `mvnet.nn` and every layer of `mvnet.equivariant` shows how it is used, and the example runs."""

import doctest
from typing import Any

import pytest
import torch

import mvnet.equivariant
import mvnet.nn


def is_layer(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, torch.nn.Module)


EQUIVARIANT = [name for name in mvnet.equivariant.__all__ if is_layer(getattr(mvnet.equivariant, name))]
EXPORTS = {name: getattr(mvnet.equivariant, name) for name in (*EQUIVARIANT, "FieldType", "field_type")}
EXPORTS |= {name: getattr(mvnet.nn, name) for name in mvnet.nn.__all__}


@pytest.mark.parametrize("name", EXPORTS)
def test_the_example_in_the_docstring_runs(name: str):
    layer = EXPORTS[name]
    assert "Examples:" in (layer.__doc__ or ""), f"{name}: found no Examples: block in its docstring, expected one"
    found = doctest.DocTestFinder(recurse=False).find(layer, name, globs={})
    assert sum(len(test.examples) for test in found) > 1
    torch.manual_seed(0)
    runner, report = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), []
    for test in found:
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", [name for name, value in EXPORTS.items() if is_layer(value)])
def test_layers_say_the_shapes_of_input_and_output(name: str):
    layer = EXPORTS[name]
    assert "Shape:" in layer.__doc__ and "->" in layer.__doc__.split("Shape:")[1]
    assert layer.forward.__doc__ and ("Returns:" in layer.forward.__doc__ or "->" in layer.forward.__doc__)
