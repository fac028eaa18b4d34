"""Optimal monotone alignment of two sequences of vectors, by dynamic programming over batches of pairs.

Two sequences x (n, d) and y (m, d) are step functions on the cells of [0, n] and [0, m]. A warp is a polyline of the
grid [0, n] x [0, m] from corner to corner whose moves (a, b) are coprime and at most `max_step`, so that its slopes
b / a form a finite set, closed under inversion. Along a move the two functions meet in a + b - 1 pieces; a piece that
takes the share alpha of cell i and beta of cell j scores sqrt(alpha beta) x_i . y_j, which for the square-root
velocities of two curves is the integral of <q1, (q2 o gamma) sqrt(gamma')>: no quadrature, no rounding of the warp.

    D[i, j] = max over (a, b) of  D[i-a, j-b] + sqrt(a b) sum_p w_p x_(i-a+k_p) . y_(j-b+l_p)

w_p is the fraction of the move spent in cell (k_p, l_p). Max_step 4 gives 11 slopes; 6 gives the 23 of fdasrsf, and the
slopes of geomstats.

All scores of a move are one stencil over the Gram matrix, and a row of D depends on the max_step rows before it
alone: the pairs of a chunk are the last, contiguous dim, and a row is one addition and one maximum.
Nothing here carries a gradient.
Source: Mio, Srivastava, Joshi, On shape of plane elastic curves, IJCV 73 (2007) 307.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from mvnet.errors import MvnetError

_PAIRS = {"cpu": 128}  # in one chunk; beyond it the working set leaves the cache
_MANY_PAIRS = 8192  # on other devices
_BLOCK = {"cpu": 1 << 23}  # bytes of move scores held at a time
_LARGE_BLOCK = 1 << 28
MEMORY = 1 << 28
"""Bytes, roughly, that one chunk of pairs may take."""


@dataclass(frozen=True)
class Alignment:
    """The pieces of an optimal warp, in order; R = n + m - 1, unused pieces at the end have both shares 0.

    Attributes:
        first, second: cells of x and of y that meet in a piece, shape (..., R), int64.
        alpha, beta: shares of these cells, shape (..., R); over the pieces of any one cell they sum to 1.
        score: sum over pieces of sqrt(alpha beta) x_first . y_second, shape (...).
    """

    first: Tensor
    second: Tensor
    alpha: Tensor
    beta: Tensor
    score: Tensor

    def path(self) -> tuple[Tensor, Tensor]:
        """Corners of the pieces, in cells.

        Returns:
            two nondecreasing tensors (..., R + 1), from 0 to n and from 0 to m.
        """
        return tuple(torch.nn.functional.pad(share.cumsum(-1), (1, 0)) for share in (self.alpha, self.beta))  # type: ignore[return-value]


@cache
def moves(max_step: int) -> tuple[tuple[int, int], ...]:
    """Coprime (a, b) with 1 <= a, b <= max_step.

    Args:
        max_step: the largest a and b.
    Returns:
        the moves, the diagonal first: it wins ties.
    """
    found = ((a, b) for a in range(1, max_step + 1) for b in range(1, max_step + 1) if math.gcd(a, b) == 1)
    return tuple(sorted(found, key=lambda move: (sum(move), move)))


@cache
def pieces(a: int, b: int) -> tuple[tuple[int, int, float], ...]:
    """Cells (k, l) that the segment from (0, 0) to (a, b) crosses.

    Args:
        a, b: a move.
    Returns:
        (k, l, share of the segment) in order; the shares sum to 1.
    """
    cuts = sorted({p * b for p in range(a + 1)} | {p * a for p in range(b + 1)})  # in units of 1 / (a b)
    return tuple((low // b, low // a, (high - low) / (a * b)) for low, high in pairwise(cuts))


def align(x: Tensor, y: Tensor, *, max_step: int = 4, window: float | None = None, memory: int = MEMORY) -> Alignment:
    """The alignment of largest score of each pair.

    Args:
        x, y: shapes (..., n, d) and (..., m, d), one floating dtype; batch dims broadcast.
        max_step: largest a and b of a move.
        window: keep |i / n - j / m| <= window (Sakoe-Chiba); None: wherever the slopes allow.
        memory: bytes that bound the number of pairs treated at once.
    Returns:
        pieces and score of each pair, leading dims (...).
    Raises:
        MvnetError: shapes, dtypes or lengths that do not fit, a value that is not finite, a window without a path.
    """
    n, m = _check(x, y, max_step, window)
    batch = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    parts = []
    with torch.no_grad():
        x, y = (s.detach().expand(*batch, *s.shape[-2:]).flatten(0, -3) if batch else s.detach()[None] for s in (x, y))
        size = _chunk(x, n, m, max_step, memory)
        sweep = None
        for start in range(0, len(x), size):
            # x, y -> Gram matrix -> D -> best moves -> cells and shares
            gram = x[start : start + size] @ y[start : start + size].mT
            sweep = _Sweep.prepare(sweep, gram.permute(1, 2, 0), max_step, window)
            score = sweep.score().clone()
            parts.append((*_expand(sweep.trace(), n, m, max_step, x.dtype), score))
    if not parts:
        empty = x.new_zeros(0, n + m - 1)
        parts.append((empty.long(), empty.long(), empty, empty, x.new_zeros(0)))
    return Alignment(*(torch.cat(part).unflatten(0, batch) if batch else torch.cat(part)[0] for part in zip(*parts)))


def pairwise_scores(
    x: Tensor, y: Tensor, *, max_step: int = 4, window: float | None = None, memory: int = MEMORY
) -> Tensor:
    """The largest score of every pair of two sets of sequences.

    Args:
        x, y: shapes (N, n, d) and (M, m, d), one floating dtype.
        max_step, window, memory: as in `align`.
    Returns:
        shape (N, M).
    Raises:
        MvnetError: as in `align`, or other numbers of dims.
    """
    n, m = _check(x, y, max_step, window)
    if x.ndim != 3 or y.ndim != 3:
        raise MvnetError(f"x, y: found shapes {tuple(x.shape)} and {tuple(y.shape)}, expected (N, n, d) and (M, m, d)")
    scores = x.new_empty(len(x), len(y))
    with torch.no_grad():
        x, y = x.detach(), y.detach()
        size = _chunk(x, n, m, max_step, memory)
        wide = max(1, min(len(y), size))
        tall = max(1, size // wide)
        sweep = None
        for i in range(0, len(x), tall):
            for j in range(0, len(y), wide):
                some, others = x[i : i + tall], y[j : j + wide]
                gram = (some.flatten(0, 1) @ others.flatten(0, 1).mT).view(len(some), n, len(others), m)
                sweep = _Sweep.prepare(sweep, gram.permute(1, 3, 0, 2).flatten(2), max_step, window)
                scores[i : i + tall, j : j + wide] = sweep.score().view(len(some), len(others))
    return scores


class _Sweep:
    """Tables of one chunk: Gram matrix and D, both with max_step rows and columns of padding before, pairs last."""

    def __init__(self, gram: Tensor, max_step: int, window: float | None) -> None:
        self.k, (n, m, pairs) = max_step, gram.shape
        k = self.k
        self.shape = tuple(gram.shape)
        self.ranges = _ranges(n, m, k, window)
        self.gram = gram.new_zeros(n + k, m + k, pairs)
        self.table = gram.new_empty(n + k + 1, m + k + 1, pairs)
        room = _BLOCK.get(gram.device.type, _LARGE_BLOCK)
        self.rows = max(1, min(n, room // (k * k * m * pairs * gram.element_size())))
        # scores of the moves that end at (row, column); a move (a, b) is at [k - a, k - b], the others never win
        self.moved = gram.new_full((self.rows, k, k, m, pairs), -math.inf)
        self.candidates = gram.new_empty(k * k * m * pairs)

    @classmethod
    def prepare(cls, last: _Sweep | None, gram: Tensor, max_step: int, window: float | None) -> _Sweep:
        """The sweep of this Gram matrix (n, m, pairs), in the tables of the last one where they fit."""
        sweep = last if last is not None and last.shape == tuple(gram.shape) else cls(gram, max_step, window)
        sweep.gram[max_step:, max_step:] = gram
        sweep.run()
        return sweep

    def score(self) -> Tensor:
        """D[n, m], shape (pairs,)."""
        score = self.table[-1, -1]
        if score.isfinite().all():
            return score
        if self.gram.isfinite().all():
            raise MvnetError("window: found one that no warp of these slopes stays in, expected a wider one")
        raise MvnetError("x, y: found values that are not finite, or too large, expected finite numbers")

    def run(self) -> None:
        """Fill D row by row: D[0, 0] = 0, scores of the moves into a block of rows, then a maximum for each row."""
        n, _, pairs = self.shape
        k, table = self.k, self.table
        table.fill_(-math.inf)
        table[k, k] = 0
        down, right = table.stride(0), table.stride(1)
        for top in range(0, n, self.rows):
            rows = range(top + 1, min(n, top + self.rows) + 1)
            left = max(1, min(self.ranges[i][0] for i in rows))
            end = max(self.ranges[i][1] for i in rows) + 1
            moved = self.moved[: len(rows), :, :, : end - left]
            self._score_moves(moved, top + 1, left)
            for i in rows:
                low, high = max(1, self.ranges[i][0]), self.ranges[i][1] + 1
                if low >= high:
                    continue
                # before[k - a, k - b, j] = D[i - a, j - b], all at once
                size = (k, k, high - low, pairs)
                before = table.as_strided(size, (down, right, right, 1), i * down + low * right)
                out = self.candidates[: math.prod(size)].view(size)
                torch.add(before, moved[i - top - 1, :, :, low - left : high - left], out=out)
                torch.amax(out, (0, 1), out=table[i + k, low + k : high + k])

    def _score_moves(self, out: Tensor, row: int, column: int) -> None:
        """sqrt(a b) sum_p w_p G[i-a+k_p, j-b+l_p] for a block of targets that starts at (row, column)."""
        rows, columns, k = out.shape[0], out.shape[3], self.k
        for a, b in moves(k):
            total = out[:, k - a, k - b]
            for first, (p, q, share) in enumerate(pieces(a, b)):
                i, j = row - a + p + k, column - b + q + k
                part, weight = self.gram[i : i + rows, j : j + columns], share * math.sqrt(a * b)
                torch.mul(part, weight, out=total) if first == 0 else total.add_(part, alpha=weight)

    def trace(self) -> Tensor:
        """Moves of the best path as numbers in `moves`, shape (pairs, at most min(n, m)); -1 before the first."""
        n, m, pairs = self.shape
        device, k, width = self.gram.device, self.k, m + self.k
        weights = self.gram.new_zeros(len(moves(k)), sum(len(pieces(a, b)) for a, b in moves(k)))
        back, cells = [], []  # how far before (i, j) in the flat table and in the flat Gram matrix
        for number, (a, b) in enumerate(moves(k)):
            back.append((a * (width + 1) + b) * pairs)
            for p, q, share in pieces(a, b):
                weights[number, len(cells)] = share * math.sqrt(a * b)
                cells.append(((a - p) * width + b - q) * pairs)
        step, back, cell = (torch.tensor(values, device=device) for values in (moves(k), back, cells))
        back, cell = back.unsqueeze(-1), cell.unsqueeze(-1)
        i, j = (torch.full((pairs,), size, device=device) for size in (n, m))
        pair, table, gram = torch.arange(pairs, device=device), self.table.view(-1), self.gram.view(-1)
        found = []
        # from (n, m): (i, j) -> the move with the best D[i - a, j - b] + score -> (i - a, j - b)
        for _ in range(min(n, m)):
            at = ((i + k) * width + (j + k)) * pairs + pair
            score = table[at + (i + k) * pairs - back] + weights @ gram[at - cell]
            best = score.argmax(0).where(i > 0, -1)
            i, j = ((at - size).where(best >= 0, 0) for at, size in zip((i, j), step[best].unbind(-1)))
            found.append(best)
        return torch.stack(found[::-1], -1)


@cache
def _tables(max_step: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Moves (a, b), and cells and shares (alpha, beta) of the pieces of each; the last row is "no move"."""
    count, longest = len(moves(max_step)), 2 * max_step - 1
    steps = torch.tensor([*moves(max_step), (0, 0)])
    cells, shares = (
        torch.zeros(count + 1, longest, 2, dtype=torch.long),
        torch.zeros(count + 1, longest, 2, dtype=dtype),
    )
    for number, (a, b) in enumerate(moves(max_step)):
        found = pieces(a, b)
        cells[number, : len(found)] = torch.tensor([piece[:2] for piece in found])
        shares[number, : len(found)] = torch.tensor([(a * share, b * share) for *_, share in found], dtype=dtype)
    return steps.to(device), cells.to(device), shares.to(device)


def _expand(path: Tensor, n: int, m: int, max_step: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Moves (pairs, L), -1 where there is none -> first, second, alpha, beta of `Alignment`."""
    steps, cells, shares = _tables(max_step, dtype, path.device)
    # moves -> their starts -> cells of their pieces, those of no move with share 0
    step = steps[path]  # (pairs, L, 2)
    cell = ((step.cumsum(1) - step).unsqueeze(2) + cells[path]).flatten(1, 2)  # (pairs, L * longest, 2)
    share = shares[path].flatten(1, 2)
    used = share[..., 0] > 0
    total = n + m - 1
    # padded pieces -> the used ones moved together
    place = torch.where(used, used.cumsum(1) - 1, total)  # the unused go to a slot that is cut off
    out = []
    for values, filler in ((cell[..., 0], n - 1), (cell[..., 1], m - 1), (share[..., 0], 0), (share[..., 1], 0)):
        packed = values.new_full((len(path), total + 1), filler)
        out.append(packed.scatter_(1, place, values)[:, :total])
    return tuple(out)


def _ranges(n: int, m: int, k: int, window: float | None) -> list[tuple[int, int]]:
    """Columns of each row that moves of slopes 1/k to k reach from (0, 0) and leave for (n, m)."""
    ranges = []
    for i in range(n + 1):
        low, high = max(-(-i // k), m - k * (n - i)), min(k * i, m + (i - n) // k)
        if window is not None:
            low, high = max(low, math.ceil(m * (i / n - window))), min(high, math.floor(m * (i / n + window)))
        ranges.append((low, high))
    return ranges


def _chunk(x: Tensor, n: int, m: int, k: int, memory: int) -> int:
    """Pairs treated at once."""
    tables = 3 * (n + k + 1) * (m + k + 1) + 2 * k * k * m
    most = _PAIRS.get(x.device.type, _MANY_PAIRS)
    return max(1, min(most, memory // (tables * x.element_size())))


def _check(x: Tensor, y: Tensor, max_step: int, window: float | None) -> tuple[int, int]:
    if max_step < 1:
        raise MvnetError(f"max_step: found {max_step}, expected at least 1")
    if window is not None and not window >= 0:
        raise MvnetError(f"window: found {window}, expected a number >= 0 or None")
    shapes = f"{tuple(x.shape)} and {tuple(y.shape)}"
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise MvnetError(f"x, y: found shapes {shapes}, expected (..., n, d) and (..., m, d)")
    if x.dtype != y.dtype or not x.is_floating_point():
        raise MvnetError(f"x, y: found dtypes {x.dtype} and {y.dtype}, expected one real floating dtype")
    n, m = x.shape[-2], y.shape[-2]
    if min(n, m) < 1 or max(n, m) > max_step * min(n, m):
        raise MvnetError(f"x, y: found shapes {shapes}, expected lengths of a ratio of at most max_step = {max_step}")
    return n, m
