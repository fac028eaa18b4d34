"""The Kronecker factors of a layer, from its inputs and gradients to a matrix that is preconditioned.

The state of a layer is that of its weight in the optimiser:

    factor_in, factor_out      A and B, exponential averages
    inverse_in, inverse_out    (A + pi l 1)^-1 and (B + l / pi 1)^-1, l^2 the damping            (factored damping)
    basis_in, basis_out        U_A and U_B                                                       (exact damping)
    spectrum                   s: the products of the eigenvalues (KFAC), or E[(U_B^T g x^T U_A)^2] (EKFAC)
    updates, step              number of averages, number of steps
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.optim.kfac.layers import Layer, patches, rows

_ENTRIES = 1 << 24  # of the patches that are laid out at once
_SMALLEST_DAMPING = 1e-12  # of a factor over its mean eigenvalue


@dataclass
class Call:
    """One application of a layer: its module and input, and for each column the gradient in its output."""

    module: nn.Module
    x: Tensor
    gradients: list[Tensor]

    def parts(self, layer: Layer, dtype: torch.dtype) -> Iterator[tuple[Tensor, list[Tensor]]]:
        """Some examples at a time.

        Args:
            layer: of which this is an application.
            dtype: of what is computed.
        Yields:
            patches (n, places, columns of the matrix), and gradients (n, places, rows) of each column of the Fisher.
        """
        gradients = [rows(self.module, g) for g in self.gradients]
        width = max(gradients[0].shape[1], layer.sizes[0]) * layer.sizes[1]
        inputs = self.x if len(gradients[0]) == len(self.x) else self.x.unsqueeze(0)  # an example without a batch
        count = max(1, _ENTRIES // max(width, 1))
        for number, part in enumerate(inputs.split(count)):
            here = slice(number * count, number * count + len(part))
            x = patches(self.module, part).to(dtype)
            if layer.bias is not None:
                x = F.pad(x, (0, 1), value=1.0)
            yield x, [g[here].to(dtype) for g in gradients]


def second_moments(layer: Layer, calls: list[Call], examples: int, sharing: str) -> tuple[Tensor, Tensor]:
    """A and B of a batch.

    Args:
        layer: whose they are.
        calls: its applications, at least one.
        examples: number of examples of the network's output.
        sharing: "expand" or "reduce".
    Returns:
        shapes (columns, columns) and (rows, rows), at least single precision.
    """
    dtype = torch.promote_types(layer.weight.dtype, torch.float32)
    out, into = layer.sizes
    a = torch.zeros(into, into, dtype=dtype, device=layer.weight.device)
    b, count = a.new_zeros(out, out), 0
    for call in calls:
        for x, gradients in call.parts(layer, dtype):
            if sharing == "reduce":
                x, gradients = x.mean(1, keepdim=True), [g.sum(1, keepdim=True) for g in gradients]
            x = x.flatten(0, 1)
            a.addmm_(x.mT, x)
            count += len(x)
            for g in gradients:
                g = g.flatten(0, 1)
                b.addmm_(g.mT, g)
    return a / max(count, 1), b / examples


def spectrum(layer: Layer, calls: list[Call], examples: int, bases: tuple[Tensor, Tensor]) -> Tensor:
    """s_ij = E[(U_B^T g x^T U_A)_ij^2] of a batch, g x^T summed over the places of an example.

    Args:
        layer: whose it is.
        calls: its applications.
        examples: number of examples of the network's output.
        bases: U_A and U_B.
    Returns:
        shape of the matrix.
    """
    basis_in, basis_out = bases
    found = basis_in.new_zeros(layer.sizes)
    for call in calls:
        for x, gradients in call.parts(layer, basis_in.dtype):
            x = x @ basis_in
            for g in gradients:
                g = g @ basis_out
                if x.shape[1] == 1:
                    found.addmm_(g[:, 0].square().mT, x[:, 0].square())
                else:
                    found.add_((g.mT @ x).square_().sum(0))
    return found / examples


def average(entry: dict[str, Any], a: Tensor, b: Tensor, decay: float) -> bool:
    """Let A and B of a batch enter the averages, which are plain means at first.

    Args:
        entry: state of the layer.
        a, b: of the batch.
        decay: averaging factor.
    Returns:
        False where they are not finite or zero, and were kept out.
    """
    traces = torch.stack((a.trace(), b.trace()))
    if not bool((torch.isfinite(traces) & (traces > 0)).all()):
        return False
    if "factor_in" not in entry:
        entry.clear()
        entry |= {"factor_in": a, "factor_out": b, "updates": 1, "step": 0}
        return True
    entry["updates"] += 1
    share = share_of_last(entry, decay)
    entry["factor_in"].lerp_(a, share)
    entry["factor_out"].lerp_(b, share)
    return True


def share_of_last(entry: dict[str, Any], decay: float) -> float:
    """What the last batch counts for in an average: 1 / k at first, 1 - decay in the long run.

    Args:
        entry: state of the layer.
        decay: averaging factor.
    Returns:
        a number in (0, 1].
    """
    return max(1 / entry["updates"], 1 - decay)


def invert(entry: dict[str, Any], damping: float, relative: bool) -> None:
    """Inverses of the factors, each with its part of the damping; the old ones stay where that fails.

    (A + pi l 1) (x) (B + l / pi 1) is A (x) B + l^2 1 up to the mixed terms, which are smallest for
    pi^2 = (tr A / columns) / (tr B / rows).

    Args:
        entry: state of the layer.
        damping: l^2, added to A (x) B.
        relative: in units of the mean eigenvalue of A (x) B.
    Source: Martens and Grosse (2015), section 6.3.
    """
    a, b = entry["factor_in"], entry["factor_out"]
    means = a.trace() / len(a), b.trace() / len(b)
    strength = damping * (means[0] * means[1] if relative else 1.0)
    pi = (means[0] / means[1]).sqrt()
    found = []
    for factor, mean, part in ((a, means[0], strength**0.5 * pi), (b, means[1], strength**0.5 / pi)):
        inverse = _inverse(factor, torch.maximum(part, _SMALLEST_DAMPING * mean))
        if inverse is None:
            return
        found.append(inverse)
    entry["inverse_in"], entry["inverse_out"] = found


def _inverse(factor: Tensor, damping: Tensor) -> Tensor | None:
    """(M + d 1)^-1, in double precision where single does not do; None where that does not either."""
    for dtype in dict.fromkeys((factor.dtype, torch.float64)):
        damped = factor.to(dtype)
        damped = damped + damping.to(dtype) * torch.eye(len(factor), dtype=dtype, device=factor.device)
        triangle, failed = torch.linalg.cholesky_ex(damped)
        if not bool(failed):
            # contiguous, as one that was stored and read
            inverse = torch.cholesky_inverse(triangle).to(factor.dtype).contiguous()
            if bool(torch.isfinite(inverse).all()):
                return inverse
    return None


def diagonalise(entry: dict[str, Any], corrected: bool) -> None:
    """Eigenbases of the factors; the old ones stay where that fails.

    A corrected spectrum s is carried into the new axes as (P o P) s (S o S)^T, P = U_B,new^T U_B and
    S = U_A,new^T U_A; one that is not is the product of the eigenvalues.

    Args:
        entry: state of the layer.
        corrected: whether the spectrum is measured (EKFAC).
    """
    try:
        (in_values, basis_in), (out_values, basis_out) = (
            torch.linalg.eigh(entry[name]) for name in ("factor_in", "factor_out")
        )
    except RuntimeError:  # of an iteration that does not converge
        return
    if not corrected or "spectrum" not in entry:
        entry["spectrum"] = torch.outer(out_values.clamp_min(0), in_values.clamp_min(0))
    else:
        turn_out, turn_in = basis_out.mT @ entry["basis_out"], entry["basis_in"].mT @ basis_in
        entry["spectrum"] = turn_out.square() @ entry["spectrum"] @ turn_in.square()
    entry["basis_in"], entry["basis_out"] = basis_in.contiguous(), basis_out.contiguous()


def precondition(entry: dict[str, Any], matrix: Tensor, damping: float, relative: bool) -> Tensor | None:
    """F^-1 G with the damping that the state was made for.

    Args:
        entry: state of the layer.
        matrix: G, shape (rows, columns).
        damping: added to the eigenvalues, where there are eigenbases.
        relative: in units of their mean.
    Returns:
        the same shape; None where the factors could not be inverted yet.
    """
    if "inverse_in" in entry:
        return entry["inverse_out"] @ matrix @ entry["inverse_in"]
    if "basis_in" not in entry:
        return None
    s, basis_in, basis_out = entry["spectrum"], entry["basis_in"], entry["basis_out"]
    mean = s.mean()
    damped = s + damping * (mean if relative else 1.0)
    damped = damped.clamp_min(torch.finfo(s.dtype).tiny)
    return basis_out @ ((basis_out.mT @ matrix @ basis_in) / damped) @ basis_in.mT
