"""An embedded pair as a method: its tolerances, and the solve over given times.

Every sample (an entry of the first dimension) has its own step, accepted or rejected by its own error, and leaves the
batch where it has reached its last time: a stiff sample costs the others nothing. A step ends at every time of output.
The field sees the samples that are left:

    field(t, z, *args)      t (B', 1, ..., 1), z (B', ...), those args whose index is in `per_sample` cut alike

so that it must treat samples apart, and must not close over what belongs to samples. The gradient is that of the
accepted steps, their sizes held fixed but for the last one before each time.
Source: paper section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.fields.base import ActingField, Field
from mvnet.integrators.adaptive.run import Run
from mvnet.integrators.base import Step
from mvnet.integrators.explicit import RungeKutta
from mvnet.integrators.tableaus import Tableau
from mvnet.manifolds.actions import Translation


class Statistics(NamedTuple):
    """Of every sample, shape (B,): steps accepted and rejected, evaluations of the field."""

    accepted: Tensor
    rejected: Tensor
    evaluations: Tensor


class AdaptiveSolution(NamedTuple):
    """States as `odeint` returns them, and what they cost."""

    states: Tensor
    statistics: Statistics


@dataclass(frozen=True)
class Adaptive:
    """An embedded Runge-Kutta pair whose last stage is the first of the next step.

    The error of a step is at most atol + rtol |z| in the root mean square over the components of a sample. After
    `max_steps` attempts, or at a step below `min_step`, the sample is named. `per_sample` holds the indices of args
    whose first dimension is that of the samples.
    """

    takes: ClassVar[type] = Field
    kind: ClassVar[str] = "adaptive"
    actions: ClassVar[tuple[type, ...]] = (Translation,)
    options: ClassVar[tuple[str, ...]] = ("rtol", "atol", "max_steps", "min_step", "per_sample")
    preserves = frozenset({"linear invariants"})

    tableau: Tableau
    rtol: float = 1e-6
    atol: float = 1e-8
    max_steps: int = 10_000
    min_step: float = 0.0
    per_sample: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not (self.tableau.error and self.tableau.first_same_as_last):
            raise MvnetError("tableau: found no embedded pair, expected one with its first stage the last before")
        for name in ("rtol", "atol", "min_step"):
            if not getattr(self, name) >= 0:
                raise MvnetError(f"{name}: found {getattr(self, name)}, expected a number of at least 0")
        if self.rtol == self.atol == 0:
            raise MvnetError("rtol: found 0 with atol 0, expected one of them to be positive")
        if self.max_steps < 1:
            raise MvnetError(f"max_steps: found {self.max_steps}, expected at least 1")

    @property
    def order(self) -> int:
        """That of the solution that is carried on, the higher one of the pair."""
        return self.tableau.order

    def init(self, field: ActingField, t: Tensor, z: Tensor, args: tuple[Tensor, ...]) -> None:
        """No state."""

    def step(
        self, field: ActingField, t: Tensor, h: Tensor, z: Tensor, args: tuple[Tensor, ...], state: Any = None
    ) -> Step:
        """One step of size h, whatever its error."""
        return RungeKutta(self.tableau).step(field, t, h, z, args)

    def solve(self, field: ActingField, times: Tensor, z: Tensor, args: tuple[Tensor, ...], save: str) -> Tensor:
        """States at the times; MvnetError where a sample needs too many or too small steps."""
        return self.solution(field, times, z, args, save).states

    def solution(
        self, field: ActingField, times: Tensor, z: Tensor, args: tuple[Tensor, ...], save: str
    ) -> AdaptiveSolution:
        """States at the times, and what they cost.

        Args:
            field: the field with its action.
            times: shape (n,) or (B, n).
            z: states at the first time, shape (B, ...).
            args: further inputs of the field.
            save: "all" or "last".
        Returns:
            states and statistics.
        Raises:
            MvnetError: z without components, or args that are not of the samples.
        """
        if z.ndim < 2:
            raise MvnetError(f"z0: found shape {tuple(z.shape)}, expected samples (B, ...); z0[None] is one sample")
        for i in self.per_sample:
            if not 0 <= i < len(args) or args[i].ndim == 0 or args[i].shape[0] != len(z):
                found = f"shape {tuple(args[i].shape)}" if 0 <= i < len(args) else f"{len(args)} of them"
                raise MvnetError(f"args: found {found} for index {i} of per_sample, expected ({len(z)}, ...)")
        run = Run(self.tableau, self, field, times, z, args)
        states = run.states(save)
        return AdaptiveSolution(states, Statistics(run.accepted, run.attempts - run.accepted, run.evaluations))
