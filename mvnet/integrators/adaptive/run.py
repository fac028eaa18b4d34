"""The samples of an adaptive solve on their way, each at its own time."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import ActingField
from mvnet.integrators.adaptive.control import error_norm, first_guess, first_step, next_step, rms
from mvnet.integrators.explicit import advance, combination
from mvnet.integrators.tableaus import Tableau


class Settings(Protocol):
    """Tolerances and limits: see `Adaptive`."""

    @property
    def rtol(self) -> float:
        """Relative tolerance."""
        ...

    @property
    def atol(self) -> float:
        """Absolute tolerance."""
        ...

    @property
    def max_steps(self) -> int:
        """Attempts of a sample."""
        ...

    @property
    def min_step(self) -> float:
        """Smallest step."""
        ...

    @property
    def per_sample(self) -> tuple[int, ...]:
        """Indices of args that belong to samples."""
        ...


class Run:
    """State of a solve; tensors without "all" in their comment hold the samples that are left, B' of them.

    Args:
        tableau: an embedded pair, first same as last.
        settings: tolerances and limits.
        field: the field with its action.
        times: shape (n,) or (B, n).
        z: states at the first time, shape (B, ...).
        args: further inputs of the field.
    """

    def __init__(
        self,
        tableau: Tableau,
        settings: Settings,
        field: ActingField,
        times: Tensor,
        z: Tensor,
        args: tuple[Tensor, ...],
    ):
        samples = len(z)
        self.tableau, self.settings, self.function, self.args = tableau, settings, field.function, args
        self.order = tableau.embedded_order + 1
        self.times = times.double().expand(samples, -1)  # times are kept in double precision
        self.sign = torch.where(self.times[:, -1] >= self.times[:, 0], 1.0, -1.0).detach().to(self.times)
        self.sample = torch.arange(samples, device=z.device)
        self.target = torch.ones_like(self.sample)  # index of the time of output that is next
        self.t, self.z, self.start = self.times[:, 0], z, z
        self.accepted, self.attempts, self.evaluations = (torch.zeros_like(self.sample) for _ in range(3))  # all
        self.before = torch.ones_like(self.sign)
        if samples and self.times.shape[1] > 1:
            self.slope = self._first(field)
            self.h = self._first_step()

    def states(self, save: str) -> Tensor:
        """Step until every sample has reached its last time.

        Args:
            save: "all" or "last".
        Returns:
            (n, B, ...), or (B, ...).
        Raises:
            MvnetError: a sample needs too many or too small steps.
        """
        n, samples = self.times.shape[1], len(self.start)
        found: list[Tensor] = [] if save == "last" and n > 1 else [self.start]
        places: list[Tensor] = [] if save == "last" and n > 1 else [torch.arange(samples, device=self.z.device)]
        attempts = 0
        while n > 1 and len(self.sample):
            if attempts == self.settings.max_steps:
                first, t = int(self.sample[0]), float(self.t[0])
                raise MvnetError(
                    f"max_steps: found {attempts} steps of sample {first} up to t = {t:.6g}, expected to reach "
                    f"{float(self.times[0, -1]):.6g}: a larger max_steps or tolerance, or an implicit method"
                )
            attempts += 1
            arrived = self._attempt()
            if not arrived.any():
                continue
            rows = arrived.nonzero()[:, 0]
            kept = rows if save == "all" else rows[self.target[rows] == n - 1]
            if len(kept):
                found.append(self.z[kept])
                places.append((self.target[kept] if save == "all" else 0) * samples + self.sample[kept])
            self.target = self.target + arrived
            self._compact(self.target < n, attempts)
        order = torch.cat(places).argsort()
        states = torch.cat(found)[order]
        return states.unflatten(0, (n, samples)) if save == "all" else states

    def _evaluate(self, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> Tensor:
        """The field at t (B',), z (B', ...)."""
        return self.function(_column(t, z), z, *args).expand(z.shape)

    def _first(self, field: ActingField) -> Tensor:
        """The first slope; its shape is checked."""
        slope = field(_column(self.t, self.z), self.z, *self.args).expand(self.z.shape)
        self.evaluations += 1
        bad = ~_finite(slope) & _finite(self.z)
        if bad.any():
            i = int(bad.nonzero()[0, 0])
            where = f"sample {i} at t = {float(self.t[i]):.6g}"
            raise MvnetError(f"field: found NaN or infinite values for {where}, expected finite ones")
        return slope

    @torch.no_grad()
    def _first_step(self) -> Tensor:
        """Sizes with signs."""
        z, slope, rtol, atol = self.z, self.slope, self.settings.rtol, self.settings.atol
        guess, speed = first_guess(z, slope, rtol, atol)
        guess = torch.minimum(guess, (self.times[:, -1] - self.times[:, 0]).abs())
        signed = guess * self.sign
        ahead = self._evaluate(self.t + signed, advance(z, _column(signed, z), (1.0,), (slope,)), self.args)
        self.evaluations += 1
        change = rms((ahead - slope) / (z.abs() * rtol + atol)) / guess
        h = first_step(guess, speed, change, self.order)
        return torch.where(h.isfinite() & (h > 0), h, guess) * self.sign

    def _step(
        self, t: Tensor, h: Tensor, z: Tensor, slope: Tensor, args: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States and slopes at t + h, and the error."""
        step, slopes, point = _column(h, z), [slope], z
        for c, row in zip(self.tableau.c[1:], self.tableau.a[1:], strict=True):
            point = advance(z, step, row, slopes)
            slopes.append(self._evaluate(t + c * h, point, args))
        with torch.no_grad():
            error = combination(self.tableau.error, slopes)
            assert error is not None
            return point, slopes[-1], step * error

    def _attempt(self) -> Tensor:
        """A step of every sample; which of them have reached their time of output."""
        stop = self.times.gather(1, self.target[:, None])[:, 0]
        rest = (stop - self.t).detach()
        clipped = self.h.abs() >= rest.abs() * (1 - 1e-12)
        h = torch.where(clipped, stop - self.t, self.h)
        z1, slope, error = self._step(self.t, h, self.z, self.slope, self.args)
        with torch.no_grad():
            norm = error_norm(error, self.z, z1, self.settings.rtol, self.settings.atol)
            good = norm <= 1  # False where it is not a number
            size = h.detach()
            proposed = next_step(size, norm, self.before, good, self.order)
            # a step cut short at a time of output says little of the next one
            longer = torch.where(proposed.abs() > self.h.abs(), proposed, self.h)
            self.h = torch.where(clipped & good, longer, proposed)
            self.before = torch.where(good, norm.clamp(min=1e-4), self.before)
            all_good = bool(good.all())
            if not all_good:
                self._check_sizes(good, norm)
        t1 = torch.where(clipped, stop, self.t + size)
        if all_good:
            self.t, self.z, self.slope = t1, z1, slope
            self.accepted[self.sample] += 1
            return clipped
        self._accept(good, h, t1, z1, slope)
        return clipped & good

    def _accept(self, good: Tensor, h: Tensor, t1: Tensor, z1: Tensor, slope: Tensor) -> None:
        """Move the samples whose step was good enough."""
        mask = _column(good, z1)
        if torch.is_grad_enabled() and z1.requires_grad and not (z1.isfinite().all() and slope.isfinite().all()):
            # infinite values of a rejected step would turn the zero of its gradient into NaN: once more without them
            rows = good.nonzero()[:, 0]
            args = self._rows(rows)
            again = self._step(self.t[rows], h[rows], self.z[rows], self.slope[rows], args)
            self.z, self.slope = (x.index_copy(0, rows, y) for x, y in zip((self.z, self.slope), again[:2]))
        else:
            self.z, self.slope = torch.where(mask, z1, self.z), torch.where(mask, slope, self.slope)
        self.t = torch.where(good, t1, self.t)
        self.accepted[self.sample[good]] += 1

    def _check_sizes(self, good: Tensor, norm: Tensor) -> None:
        """MvnetError where a step after a rejection is too small."""
        smallest = (4 * torch.finfo(torch.float64).eps * self.t.detach().abs()).clamp(min=self.settings.min_step)
        bad = ~good & ((self.h.abs() < smallest) | (self.t + self.h == self.t))
        if bad.any():
            i = int(bad.nonzero()[0, 0])
            why = "" if norm[i].isfinite() else ", where the field gives NaN or infinite values"
            raise MvnetError(
                f"min_step: found a step of {float(self.h[i].abs()):.3g} for sample {int(self.sample[i])} at t = "
                f"{float(self.t[i]):.6g}{why}, expected at least {float(smallest[i]):.3g}"
            )

    def _rows(self, rows: Tensor) -> tuple[Tensor, ...]:
        """The arguments of some samples."""
        return tuple(a[rows] if i in self.settings.per_sample else a for i, a in enumerate(self.args))

    def _compact(self, left: Tensor, attempts: int) -> None:
        """Let samples go that have arrived."""
        if left.all():
            return
        gone, rows = self.sample[~left], left.nonzero()[:, 0]
        self.attempts[gone] = attempts
        self.evaluations[gone] += attempts * (len(self.tableau.b) - 1)
        self.args = self._rows(rows)
        for name in ("times", "sign", "sample", "target", "t", "z", "slope", "h", "before"):
            setattr(self, name, getattr(self, name)[rows])


def _column(x: Tensor, z: Tensor) -> Tensor:
    """(B',) -> (B', 1, ..., 1), in the precision of z; as it is where it is a mask."""
    x = x.reshape(-1, *(1 for _ in range(z.ndim - 1)))
    return x if x.dtype == torch.bool else x.to(z.dtype.to_real())


def _finite(x: Tensor) -> Tensor:
    return x.isfinite().flatten(1).all(1)
