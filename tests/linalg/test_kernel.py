"""Layout, blocking, tracing and compilation: the same numbers whichever way a kernel runs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mvnet.linalg import affine_invariant, gl3, sym3
from mvnet.linalg import compile as compiler
from mvnet.linalg import kernel as planes
from tests.linalg.cases import random_spd

SHAPES = [(6,), (4, 6), (6, 5), (1, 6, 7), (3, 6, 2, 5), (2, 6, 300), (2, 3, 6), (6, 0), (0, 6, 3)]


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVNET_COMPILE", "0")


def field(shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    dim = shape.index(6)
    rest = shape[:dim] + shape[dim + 1 :]
    points = random_spd(max(1, torch.Size(rest).numel()), 0, dtype)[: torch.Size(rest).numel()]
    return points.reshape(*rest, 6).movedim(-1, dim)


@pytest.mark.parametrize("shape", SHAPES)
def test_components_anywhere(shape: tuple[int, ...]) -> None:
    dim = shape.index(6)
    p = field(shape)
    for axis in (dim, dim - len(shape)):
        out = sym3.log(p, dim=axis)
        assert out.shape == p.shape
        last = sym3.log(p.movedim(dim, -1).reshape(-1, 6), dim=1)
        torch.testing.assert_close(out.movedim(dim, -1).reshape(-1, 6), last)
        assert affine_invariant.dist(p, p, dim=axis).shape == p.select(dim, 0).shape if p.dim() > 1 else True


@pytest.mark.parametrize("shape", [(6, 1000), (5, 6, 130), (2, 6, 17, 40), (3, 6, 700)])
def test_blocks_change_nothing(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    p = field(shape).requires_grad_()
    dim = shape.index(6)

    def outcome() -> tuple[Tensor, ...]:
        out = affine_invariant.log(p, sym3.exp(p, dim), dim)
        return out, *torch.autograd.grad(out.sum(), p)

    whole = outcome()
    monkeypatch.setattr(planes, "BLOCK_BYTES", 8 * 64)
    monkeypatch.setattr(planes, "SHORT", 32)
    threads = torch.get_num_threads()
    for a, b in zip(whole, outcome(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_in_float32(dtype: torch.dtype) -> None:
    p = field((2, 6, 5), torch.float32).to(dtype)
    out = sym3.log(p)
    assert out.dtype == dtype
    torch.testing.assert_close(out, sym3.log(p.float()).to(dtype))


def test_dtypes_promote_and_integers_are_refused() -> None:
    p = field((4, 6))
    assert affine_invariant.dist(p, p.float()).dtype == torch.float64
    with pytest.raises(ValueError, match=r"p: found dtype torch\.int64, expected a floating point one"):
        sym3.exp(p.long())
    with pytest.raises(ValueError, match="same number of dimensions"):
        sym3.congruence(p, p.unsqueeze(-1))
    with pytest.raises(ValueError, match=r"p: found shape \(4, 6\), expected 6 component planes at dim 5"):
        sym3.exp(p, dim=5)


def test_transforms_and_outer_compilation() -> None:
    p = field((3, 6, 4))

    def energy(x: Tensor) -> Tensor:
        return affine_invariant.dist(sym3.power(x, 0.5), x).square().sum()

    x = p.clone().requires_grad_()
    (expected,) = torch.autograd.grad(energy(x), x)
    torch.testing.assert_close(torch.func.grad(energy)(p), expected)
    torch.testing.assert_close(torch.vmap(lambda q: sym3.log(q, dim=0))(p), sym3.log(p))
    traced = torch.compile(energy, backend="aot_eager")
    torch.testing.assert_close(torch.autograd.grad(traced(x), x)[0], expected)


@pytest.mark.skipif(not compiler.available("cpu"), reason="no C++ compiler")
def test_compiled_is_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    # among the points: equal, exactly repeated and nearly repeated eigenvalues
    x = torch.cat((field((6, 40), torch.float32), sym3.pack(torch.eye(3).expand(8, 3, 3), 0)), 1)
    v = sym3.pack(torch.diag_embed(torch.tensor([[0.0, 0, 0], [0, 0, 1], [1, 1, 0], [0, 1e-6, 1]] * 12)), 0)
    expected = affine_invariant.exp(x, v, dim=0)
    monkeypatch.setenv("MVNET_COMPILE", "1")
    found = affine_invariant.exp(x, v, dim=0)
    assert any(key[0] is affine_invariant._EXP.fn and graph for key, graph in compiler._graphs.items())
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert affine_invariant.exp(x[:, :20], v[:, :20], dim=0).shape == (6, 20)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before  # one graph for every length


def test_failing_compiler_leaves_it_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setenv("MVNET_COMPILE", "1")
    monkeypatch.setattr(compiler, "_graphs", {})
    monkeypatch.setattr(compiler, "_work", {})
    monkeypatch.setattr(compiler, "_compile", lambda *arguments: broken)
    x = torch.randn(9, 50, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(gl3.to_matrix(gl3.exp(x, 0), 0), torch.linalg.matrix_exp(gl3.to_matrix(x, 0)))
    assert list(compiler._graphs.values()) == [None]


def test_auto_compiles_once_the_work_repays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def compiled(fn, axis: int, groups: int):
        return lambda x: calls.append(fn) or (x,)

    monkeypatch.setenv("MVNET_COMPILE", "auto")
    monkeypatch.setattr(compiler, "_graphs", {})
    monkeypatch.setattr(compiler, "_work", {})
    monkeypatch.setattr(compiler, "_compile", compiled)
    monkeypatch.setattr(compiler, "available", lambda device: True)
    monkeypatch.setattr(compiler, "LARGE", 10)
    monkeypatch.setattr(compiler, "REPAID", 40)
    x = field((6, 15))
    for _ in range(4):
        sym3.log(x[:, :5], dim=0)  # small calls never compile and do not count
    for expected in (0, 0, 1, 2):
        sym3.log(x, dim=0)
        assert len(calls) == expected


def test_environment_variable_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVNET_COMPILE", "yes")
    with pytest.raises(ValueError, match="MVNET_COMPILE: found 'yes', expected 0, 1 or auto"):
        sym3.log(field((4, 6)))
