"""The two-layer ReLU classifier of largest margin, by a linear programme.

The flow with a loss of exponential tail tends to the direction of largest margin in the variation norm:

    max t    such that    y_n int f(theta, x_n) dmu(theta) >= t  for all n,    int |c| |(a, b)| dmu <= 1

On a finite set of directions u_k of (a, b) that is a linear programme in the masses c_k = p_k - q_k.

Source: paper section 6.3; Chizat and Bach, Implicit bias of gradient descent for wide two-layer neural networks (2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.optim.wasserstein.measure import ReLUMeasure


@dataclass(frozen=True)
class LargestMargin:
    """The solution of the programme.

    Args:
        margin: t; not positive where the directions cannot separate the classes.
        directions: unit vectors (a, b) with mass, shape (K, M + 1).
        masses: c of each, shape (K,).
    """

    margin: float
    directions: Tensor
    masses: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """The classifier.

        Args:
            x: shape (N, M).
        Returns:
            shape (N,); its sign is the class.
        """
        return _features(x, self.directions) @ self.masses


def margin_of(measure: ReLUMeasure, x: Tensor, y: Tensor) -> Tensor:
    """The margin of a network over its variation norm: min_n y_n Phi(x_n) / int |c| |(a, b)| dmu.

    Args:
        measure: the network.
        x: shape (N, M).
        y: classes, -1 or 1, shape (N,).
    Returns:
        shape () for one network, (...) for several.
    """
    with torch.no_grad():
        return (y * measure(x)).amin(-1) / measure.variation.clamp_min(torch.finfo(x.dtype).tiny)


def largest_margin(
    x: Tensor, y: Tensor, *, directions: int = 2000, also: ReLUMeasure | None = None, seed: int = 0
) -> LargestMargin:
    """Solve the linear programme on random directions.

    Args:
        x: shape (N, M).
        y: classes, -1 or 1, shape (N,).
        directions: number of random ones.
        also: a network whose neurons are directions too, so that its margin cannot be larger than what is found.
        seed: of the directions.
    Returns:
        the classifier, in double precision.
    Raises:
        MvnetError: classes other than -1 and 1.
    """
    from scipy.optimize import linprog

    if not bool((y.abs() == 1).all()):
        raise MvnetError(f"y: found {y.unique().tolist()}, expected -1 and 1")
    x, y = x.detach().double().cpu(), y.detach().double().cpu()
    generator = torch.Generator().manual_seed(seed)
    units = torch.randn(directions, x.shape[1] + 1, dtype=torch.float64, generator=generator)
    if also is not None:
        own = torch.cat((also.a, also.b.unsqueeze(-1)), -1).detach().double().cpu().flatten(0, -2)
        units = torch.cat((units, own[own.norm(dim=-1) > 0]))
    units = units / units.norm(dim=-1, keepdim=True)
    # variables p, q >= 0 and t:  t - y_n sum_k (p_k - q_k) f_kn <= 0,  sum p + q <= 1
    signed = y.unsqueeze(-1) * _features(x, units)
    rows = torch.cat((-signed, signed, torch.ones(len(x), 1, dtype=torch.float64)), -1)
    norm = torch.cat((torch.ones(2 * len(units), dtype=torch.float64), torch.zeros(1, dtype=torch.float64)))
    solved = linprog(
        c=(-torch.eye(len(norm), dtype=torch.float64)[-1]).numpy(),
        A_ub=torch.cat((rows, norm.unsqueeze(0))).numpy(),
        b_ub=[0.0] * len(x) + [1.0],
        bounds=[(0, None)] * (len(norm) - 1) + [(None, None)],
        method="highs",
    )
    p, q = torch.from_numpy(solved.x[:-1]).split(len(units))
    kept = (p - q).abs() > 1e-12
    return LargestMargin(float(solved.x[-1]), units[kept], (p - q)[kept])


def _features(x: Tensor, directions: Tensor) -> Tensor:
    """max(a . x + b, 0), shape (N, K)."""
    return (x @ directions[:, :-1].T + directions[:, -1]).relu()
