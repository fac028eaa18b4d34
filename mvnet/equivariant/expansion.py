"""From a flat vector of free weights to the kernel and the bias of an equivariant convolution.

Pairs of monomial representations share one index gather over the whole kernel; each other pair multiplies its block of
weights by a stored basis. The constants live outside parameters and buffers: a state_dict holds weights alone, and a
module that went through float32 is exact again in float64.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.equivariant.field_type import FieldType
from mvnet.equivariant.kernels import solve_kernels, tie_weights
from mvnet.equivariant.representations import Representation
from mvnet.errors import MvnetError
from mvnet.linalg.matrix_view import MatrixView


class _Block(NamedTuple):
    """A block of the kernel made from a stored basis (count, out, in, taps) with multiplicities (out, in)."""

    rows: slice
    columns: slice
    weights: slice
    multiplicity: tuple[int, int]
    basis: Tensor


class _Placed(NamedTuple):
    """Constants on a device: entries (index, sign), bases of the blocks."""

    index: Tensor
    sign: Tensor
    bases: list[Tensor]


class _Gram(NamedTuple):
    """E^T E on a device: a diagonal for the entries, and the inverses of its blocks for the bases."""

    repeats: Tensor
    inverses: list[Tensor]


@lru_cache(maxsize=256)
def _cached_ties(rho_out: Representation, rho_in: Representation, size: int):
    return tie_weights(rho_out, rho_in, size)


@lru_cache(maxsize=256)
def _cached_solution(rho_out: Representation, rho_in: Representation, size: int) -> Tensor:
    return normalise_variance(solve_kernels(rho_out, rho_in, size))


def normalise_variance(basis: Tensor) -> Tensor:
    """A basis scaled so that an entry of the kernel has, on average, the variance of a weight.

    Args:
        basis: shape (count, out, in, taps).
    Returns:
        the same shape; entries that every basis kernel leaves at zero do not count.
    """
    used = basis.square().sum(0)
    return basis / used[used > 1e-12].mean().sqrt() if len(basis) else basis


class KernelExpansion:
    """The linear map from weights (count,) to kernels (out, in, *taps) between two field types.

    Args:
        fields_in, fields_out: types of one group.
        size: taps along each axis.
        basis_for: a basis (count, out, in, size^d) for a pair (rho_out, rho_in); the on-grid kernels when None.
    Attributes:
        shape: shape of the kernel, (out, in, *taps).
        count: number of free weights.
        index, sign: shape (out in taps,): the weight and the sign of every entry between monomial representations.
        blocks: the other pairs, made from a basis.
    Raises:
        MvnetError: when the groups differ, or the group does not map the taps onto each other.
    """

    def __init__(
        self,
        fields_in: FieldType,
        fields_out: FieldType,
        size: int,
        basis_for: Callable[[Representation, Representation], Tensor] | None = None,
    ):
        if fields_in.group is not fields_out.group:
            raise MvnetError(f"fields: found groups {fields_in.group.name} and {fields_out.group.name}, expected one")
        self.shape = (fields_out.channels, fields_in.channels, *(size,) * fields_in.group.dim)
        index = torch.zeros(*self.shape[:2], size**fields_in.group.dim, dtype=torch.long)
        sign = torch.zeros(index.shape)
        self.blocks: list[_Block] = []
        count = row = 0
        # every pair of summands -> its block of the kernel (rows, columns) and its share of the weights
        for outs, rho_out in fields_out.fields:
            rows, column = slice(row, row := row + outs * rho_out.size), 0
            for ins, rho_in in fields_in.fields:
                columns = slice(column, column := column + ins * rho_in.size)
                if basis_for is None and rho_out.is_monomial and rho_in.is_monomial:
                    # one index table for a pair of fields, shifted by part.count weights for each of outs x ins pairs
                    part = _cached_ties(rho_out, rho_in, size)
                    start = count + part.count * torch.arange(outs * ins).view(outs, 1, ins, 1, 1)
                    block = part.index.view(1, rho_out.size, 1, rho_in.size, -1)
                    signs = part.sign.view(block.shape).expand(outs, -1, ins, -1, -1)
                    index[rows, columns] = (start + block).reshape(index[rows, columns].shape)
                    sign[rows, columns] = signs.reshape(sign[rows, columns].shape)
                    number = part.count
                else:
                    basis = _cached_solution(rho_out, rho_in, size) if basis_for is None else basis_for(rho_out, rho_in)
                    number = len(basis)
                    weights = slice(count, count + outs * ins * number)
                    if number:
                        self.blocks.append(_Block(rows, columns, weights, (outs, ins), basis))
                count += outs * ins * number
        self.count = count
        self.index = torch.where(sign == 0, 0, index).flatten()
        self.sign = sign.flatten()
        self._any_tied = bool(self.sign.any())
        self._placed: dict[tuple[torch.device, torch.dtype], _Placed] = {}
        self._grams: dict[tuple[torch.device, torch.dtype], _Gram] = {}

    def fan_in(self) -> float:
        """Mean number of non-zero entries that add up to one output channel, at least 1."""
        covered = (self.sign != 0).view(self.shape[0], self.shape[1], -1).double()
        for block in self.blocks:
            used = (block.basis.square().sum(0) > 1e-12).double().repeat(*block.multiplicity, 1)
            covered[block.rows, block.columns] = used
        return max(float(covered.sum((1, 2)).mean()), 1.0)

    def deviation(self) -> Tensor:
        """Standard deviations of random weights with which a constant field keeps its variance.

        Entries of one output channel that share a weight add up coherently on a smooth field: r of them give r^2 times
        the variance of one, and a weight gets 1 / (r fan_in) for what would otherwise be 1 / fan_in.

        Returns:
            shape (count,).
        Source: He et al., Delving deep into rectifiers (2015), with shared weights.
        """
        # entries of every weight / output channels that it occurs in -> r
        entries = self.sign != 0
        row = torch.arange(len(self.index)).div(len(self.index) // self.shape[0], rounding_mode="floor")
        total = self.index[entries].bincount(minlength=self.count)
        rows = (row * self.count + self.index)[entries].unique().remainder(self.count).bincount(minlength=self.count)
        repeats = (total / rows.clamp_min(1)).clamp_min(1)
        return (repeats * self.fan_in()).rsqrt()

    def __call__(self, weights: Tensor) -> Tensor:
        """weights (..., count) -> kernel (..., out, in, *taps), differentiable."""
        placed = self._constants(weights)
        batch = weights.shape[:-1]
        # weights -> entries between monomial representations, by one gather
        if self._any_tied:
            kernel = (weights.index_select(-1, placed.index) * placed.sign).view(*batch, *self.shape[:2], -1)
        else:
            kernel = weights.new_zeros(*batch, *self.shape[:2], self.sign.numel() // (self.shape[0] * self.shape[1]))
        for block, basis in zip(self.blocks, placed.bases):
            # weights of a block (outs ins, number) x basis (number, so si st) -> its entries (outs so, ins si, st)
            outs, ins = block.multiplicity
            number, so, si, st = basis.shape
            part = (weights[..., block.weights].reshape(*batch, -1, number) @ basis.flatten(1)).view(
                *batch, outs, ins, so, si, st
            )
            kernel[..., block.rows, block.columns, :] = part.transpose(-4, -3).reshape(*batch, outs * so, ins * si, st)
        return kernel.view(*batch, *self.shape)

    def solve_gram(self, weights: Tensor) -> Tensor:
        """(E^T E)^-1 w, where E is this map.

        Args:
            weights: shape (..., count).
        Returns:
            the same shape.
        """
        gram = self._gram(weights)
        out = weights / gram.repeats
        for block, inverse in zip(self.blocks, gram.inverses):
            part = weights[..., block.weights].unflatten(-1, (-1, len(inverse)))
            out[..., block.weights] = (part @ inverse).flatten(-2)
        return out

    def adjoint(self, kernel: Tensor) -> Tensor:
        """E^T K, the adjoint of this map: sum(adjoint(K) * w) = sum(K * E w).

        Args:
            kernel: shape (..., out, in, prod(taps)).
        Returns:
            shape (..., count).
        """
        batch = kernel.shape[:-3]
        placed = self._constants(kernel)
        weights = kernel.new_zeros(*batch, self.count)
        if self._any_tied:
            # entries, their signs -> sums over the entries of every weight
            weights.index_add_(-1, placed.index, kernel.flatten(-3) * placed.sign)
        for block, basis in zip(self.blocks, placed.bases):
            outs, ins = block.multiplicity
            so, si, st = basis.shape[1:]
            part = kernel[..., block.rows, block.columns, :].reshape(*batch, outs, so, ins, si, st)
            part = part.transpose(-4, -3).reshape(*batch, outs * ins, so * si * st) @ basis.flatten(1).mT
            weights[..., block.weights] = part.flatten(-2)
        return weights

    @cached_property
    def key(self) -> str:
        """A digest of the map: two expansions with the same digest are the same."""
        digest = hashlib.sha256(repr((self.shape, self.count)).encode())
        for tensor in (self.index, self.sign, *(block.basis for block in self.blocks)):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def view(self, label: str) -> MatrixView:
        """The weights as the kernel that an optimiser of matrices acts on.

        Args:
            label: the kind of layer in words.
        Returns:
            the maps between weights (count,) and kernel (out, in, taps).
        """
        out, into, *taps = self.shape

        def expand(weights: Tensor) -> Tensor:
            return self(weights).flatten(-len(taps))

        return MatrixView(
            (out, into, math.prod(taps)),
            expand=expand,
            lift=lambda gradient: expand(self.solve_gram(gradient)),
            project=lambda kernel: self.solve_gram(self.adjoint(kernel)),
            key=self.key,
            label=label,
            tied=True,
        )

    def _constants(self, like: Tensor) -> _Placed:
        key = (like.device, like.dtype)
        if key not in self._placed:
            bases = [block.basis.to(like) for block in self.blocks]
            self._placed[key] = _Placed(self.index.to(like.device), self.sign.to(like), bases)
        return self._placed[key]

    def _gram(self, like: Tensor) -> _Gram:
        """Computed when an optimiser first asks: a network that is only applied does without."""
        key = (like.device, like.dtype)
        if key not in self._grams:
            repeats = self.index[self.sign != 0].bincount(minlength=self.count).clamp_min(1)
            grams = [block.basis.flatten(1) @ block.basis.flatten(1).mT for block in self.blocks]
            self._grams[key] = _Gram(repeats.to(like), [torch.linalg.inv(gram).to(like) for gram in grams])
        return self._grams[key]


def bias_basis(fields: FieldType) -> Tensor:
    """Constant fields of a type that every group element leaves alone: the biases that are allowed.

    Args:
        fields: the type.
    Returns:
        shape (count, channels), float64, the largest entry of each 1.
    """
    vectors, start = [], 0
    for count, rho in fields.fields:
        invariant = rho.invariants
        invariant = invariant / invariant.abs().amax(1, keepdim=True) if len(invariant) else invariant
        for _ in range(count):
            padded = torch.zeros(len(invariant), fields.channels, dtype=torch.float64)
            padded[:, start : (start := start + rho.size)] = invariant
            vectors.append(padded)
    return torch.cat(vectors)
