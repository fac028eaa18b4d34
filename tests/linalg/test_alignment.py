"""Dynamic programming: enumeration, a plain loop, the pieces of the warp, chunks, windows, refusals, geomstats."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mvnet.linalg import alignment

SIZES = [(1, 1, 1), (5, 5, 1), (4, 4, 3), (3, 5, 2), (9, 9, 4), (7, 12, 4), (10, 8, 6)]  # n, m, max_step


def sequences(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def move_score(gram: Tensor, i: int, j: int, a: int, b: int, fine: int = 840) -> float:
    """sqrt(a b) times the mean of the Gram matrix along the segment, by sampling; 840 divides well."""
    total = 0.0
    for r in range(fine):
        share = (r + 0.5) / fine
        total += gram[i + int(a * share), j + int(b * share)].item() / fine
    return math.sqrt(a * b) * total


def loop(gram: Tensor, max_step: int) -> float:
    """The recursion, cell by cell and move by move; non-coprime moves too, which change nothing."""
    n, m = gram.shape
    table = {(0, 0): 0.0}
    cost = {}
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            for a in range(1, min(i, max_step) + 1):
                for b in range(1, min(j, max_step) + 1):
                    before = table.get((i - a, j - b), -math.inf)
                    if before > -math.inf:
                        key = (i - a, j - b, a, b)
                        cost[key] = sum(
                            math.sqrt(a * b) * share * gram[i - a + p, j - b + q].item()
                            for p, q, share in alignment.pieces(a, b)
                        )
                        table[i, j] = max(table.get((i, j), -math.inf), before + cost[key])
    return table[n, m]


def enumerate_warps(gram: Tensor, max_step: int, i: int = 0, j: int = 0) -> float:
    """The best of all warps, listed one by one."""
    n, m = gram.shape
    if (i, j) == (n, m):
        return 0.0
    best = -math.inf
    for a, b in alignment.moves(max_step):
        if i + a <= n and j + b <= m:
            best = max(best, move_score(gram, i, j, a, b) + enumerate_warps(gram, max_step, i + a, j + b))
    return best


@pytest.mark.parametrize(("max_step", "count"), [(1, 1), (4, 11), (6, 23)])
def test_moves(max_step: int, count: int) -> None:
    moves = alignment.moves(max_step)
    assert moves[0] == (1, 1) and len(moves) == count
    assert {(b, a) for a, b in moves} == set(moves)
    for a, b in moves:
        pieces = alignment.pieces(a, b)
        assert len(pieces) == a + b - 1
        for cell, size in ((0, a), (1, b)):  # every row, and every column, of the rectangle gets its share
            for k in range(size):
                assert math.isclose(sum(p[2] for p in pieces if p[cell] == k), 1 / size)


@pytest.mark.parametrize(("n", "m", "max_step"), [(3, 3, 2), (4, 4, 3), (2, 5, 4)])
def test_all_warps(n: int, m: int, max_step: int) -> None:
    x, y = sequences(n, 3), sequences(m, 3, seed=1)
    expected = enumerate_warps(x @ y.mT, max_step)
    assert math.isclose(alignment.align(x, y, max_step=max_step).score.item(), expected, abs_tol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("n", "m", "max_step"), SIZES)
def test_plain_loop(n: int, m: int, max_step: int, dtype: torch.dtype) -> None:
    x, y = sequences(3, n, 4, dtype=dtype), sequences(2, m, 4, seed=1, dtype=dtype)
    expected = x.new_tensor([[loop(a @ b.mT, max_step) for b in y.double()] for a in x.double()])
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    scores = alignment.pairwise_scores(x, y, max_step=max_step)
    assert scores.dtype == dtype
    torch.testing.assert_close(scores, expected, rtol=tolerance, atol=tolerance)
    found = alignment.align(x[:, None], y, max_step=max_step)
    torch.testing.assert_close(found.score, scores)
    swapped = alignment.pairwise_scores(y, x, max_step=max_step).mT
    torch.testing.assert_close(swapped, scores)


@pytest.mark.parametrize(("n", "m", "max_step"), SIZES)
def test_pieces_of_the_warp(n: int, m: int, max_step: int) -> None:
    x, y = sequences(6, n, 4), sequences(6, m, 4, seed=1)
    found = alignment.align(x, y, max_step=max_step)
    assert found.first.shape == (6, n + m - 1)
    products = (x.take_along_dim(found.first[..., None], -2) * y.take_along_dim(found.second[..., None], -2)).sum(-1)
    torch.testing.assert_close(((found.alpha * found.beta).sqrt() * products).sum(-1), found.score)
    for cell, share, size in ((found.first, found.alpha, n), (found.second, found.beta, m)):
        whole = torch.zeros(6, size, dtype=x.dtype).scatter_add_(-1, cell, share)
        torch.testing.assert_close(whole, torch.ones_like(whole))
        used = cell.masked_fill(share == 0, size)
        assert (used.diff() >= 0).all()
    along, other = found.path()
    for corner, size in ((along, n), (other, m)):
        assert (corner[:, 0] == 0).all() and (corner.diff() >= 0).all()
        torch.testing.assert_close(corner[:, -1], torch.full((6,), float(size), dtype=x.dtype))
    slope = (other.diff() / along.diff())[found.alpha > 0]
    assert (slope <= max_step + 1e-9).all() and (slope >= 1 / max_step - 1e-9).all()


def test_equal_sequences_stay_unwarped() -> None:
    x = sequences(4, 11, 3)
    x[1, 3:7] = 0  # at rest
    x[2] = x[2, :1]
    x[3] = 0
    found = alignment.align(x, x)
    assert torch.equal(found.first, found.second)
    torch.testing.assert_close(found.score, x.square().sum((-2, -1)))


@pytest.mark.parametrize("device_rows", [1, 3])
def test_blocks_and_chunks_change_nothing(device_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = sequences(9, 12, 4), sequences(9, 10, 4, seed=1)
    scores, found = alignment.pairwise_scores(x, y), alignment.align(x, y)
    monkeypatch.setitem(alignment._PAIRS, "cpu", 4)
    monkeypatch.setitem(alignment._BLOCK, "cpu", device_rows * 4 * 4 * 10 * 4 * 8)
    torch.testing.assert_close(alignment.pairwise_scores(x, y), scores)
    torch.testing.assert_close(alignment.pairwise_scores(x, y, memory=1), scores)
    again = alignment.align(x, y, memory=1)
    assert torch.equal(again.first, found.first) and torch.equal(again.alpha, found.alpha)


def test_window() -> None:
    x, y = sequences(12, 4), sequences(12, 4, seed=1)
    free = alignment.align(x, y)
    last = -math.inf
    for window in (0.0, 0.1, 0.25, 1.0):
        found = alignment.align(x, y, window=window)
        along, other = found.path()
        corner = (found.alpha > 0) & (along[1:] == along[1:].round()) & (other[1:] == other[1:].round())
        assert ((along - other)[1:][corner].abs() <= 12 * window + 1e-9).all()
        assert last <= found.score <= free.score
        last = found.score
    torch.testing.assert_close(last, free.score)
    torch.testing.assert_close(alignment.align(x, y, window=0.0).score, (x * y).sum())


def test_batches() -> None:
    x, y = sequences(2, 1, 6, 3), sequences(4, 6, 3, seed=1)
    found = alignment.align(x, y)
    assert found.score.shape == (2, 4) and found.first.shape == (2, 4, 11)
    torch.testing.assert_close(found.score[1, 2], alignment.align(x[1, 0], y[2]).score)
    empty = alignment.align(x[:0], y)
    assert empty.score.shape == (0, 4) and empty.alpha.shape == (0, 4, 11)
    assert alignment.pairwise_scores(y[:0], y).shape == (0, 4)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        ((3, 2), (13, 2), {}, "expected lengths of a ratio of at most max_step = 4"),
        ((0, 2), (0, 2), {}, "expected lengths of a ratio"),
        ((3, 2), (3, 4), {}, r"x, y: found shapes \(3, 2\) and \(3, 4\), expected \(..., n, d\) and \(..., m, d\)"),
        ((3,), (3, 4), {}, r"expected \(..., n, d\)"),
        ((3, 2), (3, 2), {"max_step": 0}, "max_step: found 0, expected at least 1"),
        ((3, 2), (3, 2), {"window": -1.0}, "window: found -1.0, expected a number >= 0 or None"),
        ((5, 2), (7, 2), {"window": 0.0}, "window: found one that no warp of these slopes stays in"),
    ],
)
def test_refusals(x: tuple[int, ...], y: tuple[int, ...], options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        alignment.align(sequences(*x), sequences(*y), **options)


def test_refuses_values_that_are_not_finite() -> None:
    x = sequences(2, 5, 3)
    x[1, 2, 0] = math.nan
    for call in (alignment.align, alignment.pairwise_scores):
        with pytest.raises(ValueError, match="x, y: found values that are not finite"):
            call(x, x)
    with pytest.raises(ValueError, match="x, y: found dtypes"):
        alignment.align(sequences(5, 3, dtype=torch.float32), sequences(5, 3))
