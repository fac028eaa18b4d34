"""Every export of `mvnet.nn` shows in its docstring how it is used, and the example runs."""

import doctest

import pytest
import torch

import mvnet.nn


@pytest.mark.parametrize("name", mvnet.nn.__all__)
def test_the_example_in_the_docstring_runs(name: str):
    layer = getattr(mvnet.nn, name)
    assert "Example:" in (layer.__doc__ or ""), f"{name}: found no Example: block in its docstring, expected one"
    found = doctest.DocTestFinder(recurse=False).find(layer, name, globs={})
    assert sum(len(test.examples) for test in found) > 1
    torch.manual_seed(0)
    runner, report = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), []
    for test in found:
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", mvnet.nn.__all__)
def test_layers_say_the_shapes_of_input_and_output(name: str):
    layer = getattr(mvnet.nn, name)
    if isinstance(layer, type) and issubclass(layer, torch.nn.Module):
        assert "Shape:" in (layer.__doc__ or "") and "->" in (layer.__doc__ or "").split("Shape:")[1]
        assert "Returns:" in (layer.forward.__doc__ or "")
