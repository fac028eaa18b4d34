"""One source, two ways to run it: the compiled kernel gives what the eager one gives."""

import pytest
import torch

from mvnet.linalg import compile as compiler
from mvnet.linalg import sym3
from tests.linalg.matrices import moderate


def test_compiled_equals_eager(monkeypatch):
    if not compiler.available("cpu"):
        pytest.skip("no C++ compiler on this machine")
    p = moderate(3000).float()
    monkeypatch.setenv("MVNET_COMPILE", "0")
    eager = sym3.sqrt(p)
    monkeypatch.setenv("MVNET_COMPILE", "1")
    torch.testing.assert_close(sym3.sqrt(p), eager, rtol=1e-5, atol=1e-6)


def test_a_failing_compiler_falls_back(monkeypatch):
    def broken(*_: object):
        def graph(*_: object):
            raise RuntimeError("no compiler today")

        return graph

    p = moderate(70_000)
    monkeypatch.setenv("MVNET_COMPILE", "0")
    eager = sym3.invsqrt(p)
    monkeypatch.setattr(compiler, "_compile", broken)
    monkeypatch.setattr(compiler, "_graphs", {})
    monkeypatch.setenv("MVNET_COMPILE", "1")
    torch.testing.assert_close(sym3.invsqrt(p), eager, rtol=0, atol=0)


def test_an_unknown_setting_is_named(monkeypatch):
    monkeypatch.setenv("MVNET_COMPILE", "maybe")
    with pytest.raises(ValueError, match="maybe"):
        compiler.mode()
