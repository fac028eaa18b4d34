"""Invertible residual layers z = x + g(x), Lip(g) < 1 (paper section 4.1.2, equations (44) to (47))."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mvnet.errors import MvnetError
from mvnet.invertible.base import Invertible, Mapped
from mvnet.invertible.fixed_point import FixedPoint, attach_gradient, solve
from mvnet.invertible.lipschitz import check_budget, lipschitz_bound
from mvnet.invertible.log_determinant import Estimator, choose_estimator

ALLOWANCE = 16.0
"""What rounding may add to the error of an inverse, in eps |x| / (1 - c)."""


class Residual(Invertible):
    """z = x + g(x); the inverse is the fixed point of x -> z - g(x), differentiated as an implicit function.

    Args:
        network: g, of Lipschitz constant below 1, such as `contraction` makes.
        contraction: that constant; None asks the network.
        estimator: of the log-determinant; exact up to 8 numbers a sample, roulette beyond, when None.
        tolerance: of the inverse.
        method: of the iteration, "anderson" or "banach".
    Shape:
        (B, ...) -> the same.
    Raises:
        MvnetError: the constant is unknown, or not in (0, 1).
    Source: Behrmann et al., Invertible residual networks (2019), the paper's reference [9].

    Examples:
        >>> import torch
        >>> from mvnet.invertible import Residual, contraction
        >>> layer = Residual(contraction(2, 16, 2, c=0.9, kind="sandwich"))
        >>> x = torch.randn(4, 2)
        >>> torch.allclose(layer.inverse(layer(x)[0])[0], x, atol=1e-4)
        True
    """

    keeps_precision = False

    def __init__(
        self,
        network: nn.Module,
        contraction: float | None = None,
        estimator: Estimator | None = None,
        tolerance: float = 1e-6,
        method: str = "anderson",
    ):
        super().__init__()
        self.network, self.estimator, self.tolerance, self.method = network, estimator, tolerance, method
        self.given = contraction
        if contraction is not None:
            check_budget(contraction)
        self.contraction()

    def contraction(self) -> float:
        """Lipschitz constant of g: the given one, or the bound of the network as it is.

        Returns:
            c in (0, 1).
        Raises:
            MvnetError: it is unknown, or not below 1.
        """
        found = lipschitz_bound(self.network) if self.given is None else self.given
        if found is None:
            raise MvnetError("contraction: found a network of unknown Lipschitz constant, expected a number in (0, 1)")
        return check_budget(max(found, 1e-12))

    def solve(self, z: Tensor, start: Tensor | None = None) -> FixedPoint:
        """The inverse, with what is known about its error.

        Args:
            z: shape (B, ...).
            start: where the iteration begins; z when None.
        Returns:
            the fixed point of x -> z - g(x).
        """
        with torch.no_grad():
            first = z if start is None else start
            return solve(lambda x: z - self.network(x), first, self.contraction(), self.tolerance, self.method)

    def lipschitz(self, radius: float | None = None) -> tuple[float, float] | None:
        """1 + c and 1 / (1 - c)"""
        c = self.contraction()
        return 1 + c, 1 / (1 - c)

    def _forward(self, x: Tensor, context: Tensor | None) -> Mapped:
        g, change = self._estimate(x)
        return x + g, change

    def _inverse(self, z: Tensor, context: Tensor | None) -> Mapped:
        found, c = self.solve(z.detach()), self.contraction()
        eps = torch.finfo(z.dtype).eps
        norm = torch.linalg.vector_norm(found.x.flatten(1), dim=1)
        allowed = (ALLOWANCE * eps * norm / (1 - c)).clamp(min=self.tolerance)
        stalled = ~found.reached & ~(c / (1 - c) * found.residual <= allowed)
        if bool(stalled.any()):
            raise MvnetError(
                f"z: found an inverse that stalls at residual {float(found.residual[stalled].max()):.1e}, bound "
                f"{float(found.bound[stalled].max()):.1e}, expected one within {float(allowed[stalled].min()):.1e}"
            )
        x = attach_gradient(lambda v: z - self.network(v), found.x, c, max(1e-12, 10 * eps), self.method)
        return x, -self._estimate(x)[1]

    def _estimate(self, x: Tensor) -> Mapped:
        estimator = self.estimator or choose_estimator(
            self.given or getattr(self.network, "c", None) or self.contraction(), x[0].numel()
        )
        return estimator(self.network, x)
