"""Every exported layer says its shapes, and the examples in docstrings run."""

from __future__ import annotations

import doctest

import pytest
import torch

import mvnet.invertible
from mvnet.invertible import Invertible

EXPORTS = {name: getattr(mvnet.invertible, name) for name in mvnet.invertible.__all__}
LAYERS = [n for n, v in EXPORTS.items() if isinstance(v, type) and issubclass(v, Invertible) and v is not Invertible]
WITH_EXAMPLE = [name for name, value in EXPORTS.items() if "Examples:" in (getattr(value, "__doc__", None) or "")]
COMPOSED = {"Chain", "Inverted", "Split"}


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_examples_run(name: str) -> None:
    found = doctest.DocTestFinder(recurse=False).find(EXPORTS[name], name, globs={})
    runner, report = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), []
    torch.manual_seed(0)
    for test in found:
        runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in COMPOSED])
def test_layers_say_their_shapes(name: str) -> None:
    text = EXPORTS[name].__doc__
    assert "Shape:" in text and "->" in text.split("Shape:")[1]
    assert len(WITH_EXAMPLE) > 12
