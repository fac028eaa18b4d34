"""The denoiser of curves on SO(3)^k and in R^3: learned Frechet means along time and the skeleton, then a flow.

    repeat K times:
        v   = displacements from the state z to local means of the data of many widths (`local_fit`, weights by trust)
        h   <- convolutions over time, messages along the tree (h + features of the lengths and angles of v)
        z   <- move(z, sum_c w_c(h) v_c + o_s(h) d_s)     weights of any sign: Frechet mean, one Karcher step; slopes d
        z   <- flow of z' = sum_s a_s(h) displacement(z, G_s z)     G_s z: local mean of the state, a smoothing flow
        p   <- seen * sigmoid(head(h))                    trust in every value, for the next round
    log of the expected error from h

The network sees displacements in the frame of the state only, and of these only lengths over the noise and angles: it
commutes with R -> g R h for constant rotations and reflections g and h (a turn of the world, other axes of the joints,
mirroring) and, for positions, with x -> s g x + b. Every joint has the same weights, and messages come from the joint
above, from the mean of those below and from the mean of all: it commutes with every permutation of joints that keeps
the tree, such as left and right. It runs on the curve and on the reversed curve and takes the mean of what both say:
it commutes with reversal of time.
Source: paper sections 2.3, 2.4.3 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mvnet.equivariant import rms_squash
from mvnet.errors import MvnetError
from mvnet.models.motion.curves import kind_of
from mvnet.models.motion.inputs import CurveBatch
from mvnet.models.motion.stage import CurveData, Round, Tree, both_ways, linear, zero
from mvnet.nn.local_polynomial import radius

DILATIONS = ((1, 2, 4, 8), (1, 2, 4, 8), (1, 4, 16))
"""Of the convolutions over time, round by round."""

WIDTHS = ((1.0, 2.0, 4.0, 8.0, 16.0), (1.0, 2.0, 4.0, 8.0, 16.0), (8.0, 16.0, 32.0))
"""Widths of the windows over the data, frames, round by round."""

FLOW_WIDTHS = ((1.0, 2.0, 4.0), (1.0, 2.0, 4.0), (4.0,))
"""Widths of the windows over the state, round by round."""

_STAY = 4.0  # logit of the state itself at initialisation, in rounds after the second

_LOG_ERROR_RANGE = 4.0  # bound of |log(error / noise)|


class DenoisedCurves(NamedTuple):
    """What the network makes of curves.

    Attributes:
        values: (B, J, T, 3, 3) or (B, J, T, 3).
        log_error: (B, J, T), log of the expected distance to the truth, radians or the unit of positions.
        trust: (B, J, T), logit of the trust in every value as it was seen.
        rounds: the state after every round.
    """

    values: Tensor
    log_error: Tensor
    trust: Tensor
    rounds: tuple[Tensor, ...]


class MotionDenoiser(nn.Module):
    """Manifold-ODE network on curves of rotations and of positions.

    Args:
        channels: of the features.
        dilations: of the convolutions over time, for every round.
        widths, flow_widths: of the windows over the data and over the state, frames, for every round.
        method: Lie-group integrator of the flows, a name of `mvnet.integrators.METHODS`.
        gradient: how their gradient is found, a name of `mvnet.integrators.GRADIENTS`.
        generator: source of the initial weights; torch's global generator when None.
    Raises:
        MvnetError: other numbers of rounds.
    """

    def __init__(
        self,
        channels: int = 32,
        dilations: Sequence[Sequence[int]] = DILATIONS,
        widths: Sequence[Sequence[float]] = WIDTHS,
        flow_widths: Sequence[Sequence[float]] = FLOW_WIDTHS,
        method: str = "rkmk2",
        gradient: str = "discrete",
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.config = {
            "channels": channels,
            "dilations": [list(part) for part in dilations],
            "widths": [list(part) for part in widths],
            "flow_widths": [list(part) for part in flow_widths],
            "method": method,
            "gradient": gradient,
        }
        if not len(dilations) == len(widths) == len(flow_widths):
            raise MvnetError(
                f"dilations: found {len(dilations)} rounds, expected as many as of widths ({len(widths)}) "
                f"and flow_widths ({len(flow_widths)})"
            )
        parts = zip(dilations, widths, flow_widths)
        self.rounds = nn.ModuleList(
            Round(channels, *part, _STAY if number > 1 else 0.0, method, gradient, generator)
            for number, part in enumerate(parts)
        )
        self.error = zero(linear(channels, 1, generator))

    @property
    def receptive_radius(self) -> int:
        """Frames on each side that a result can depend on."""
        parts = zip(self.config["dilations"], self.config["widths"], self.config["flow_widths"])
        return sum(sum(taps) + radius(max(windows)) + 2 * radius(max(flows)) for taps, windows, flows in parts)

    def forward(self, batch: CurveBatch) -> DenoisedCurves:
        """Denoise curves.

        Args:
            batch: of `mvnet.models.motion.inputs.curve_batch`.
        Returns:
            curves, expected errors, and the trust in every value.
        Raises:
            MvnetError: values of another shape.
        """
        if batch.values.shape[3:] not in ((3, 3), (3,)) or batch.trust.shape != batch.values.shape[:3]:
            raise MvnetError(
                f"values: found shape {tuple(batch.values.shape)} with trust {tuple(batch.trust.shape)}, "
                "expected (B, J, T, 3, 3) or (B, J, T, 3) and (B, J, T)"
            )
        kind, joints = kind_of(batch.values, 2), batch.values.shape[:2]
        z, p = batch.values.flatten(0, 1), batch.trust.flatten(0, 1).unsqueeze(1)
        data = CurveData(
            kind.planes(z),
            batch.seen.flatten(0, 1).unsqueeze(1),
            batch.noise.flatten().view(-1, 1, 1),
            batch.features.flatten(0, 1).unsqueeze(-1),
            Tree.of(batch.parent, z.dtype),
            kind,
        )
        h, states = z.new_zeros(2, len(z), self.config["channels"], z.shape[1]), []
        trust = p
        for stage in self.rounds:
            h, z, trust = stage(h, z, p, data)
            p = data.seen * trust.sigmoid()
            states.append(z.unflatten(0, joints))
        # h -> log of the expected error over the noise, bounded; no gradient into the trunk
        relative = both_ways(self.error(rms_squash(h.detach().flatten(0, 1))))
        log_error = _LOG_ERROR_RANGE * torch.tanh(relative / _LOG_ERROR_RANGE) + data.noise.log()
        log_error, trust = (x.squeeze(1).unflatten(0, joints) for x in (log_error, trust))
        return DenoisedCurves(states[-1], log_error, trust, tuple(states))
