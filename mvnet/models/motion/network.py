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

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import rms_squash
from mvnet.errors import MvnetError
from mvnet.integrators.odeint import odeint
from mvnet.models.motion.curves import CurveKind, kind_of
from mvnet.models.motion.inputs import NOISE_FEATURES, CurveBatch
from mvnet.nn.local_polynomial import local_fit, radius

WIDTHS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Widths of the windows over the data, frames."""

FLOW_WIDTHS = (1.0, 2.0, 4.0)
"""Widths of the windows over the state."""

_LOG_ERROR_RANGE = 4.0  # bound of |log(error / noise)|
_TINY = 1e-6  # below the square root of a squared length, so that it has a derivative at 0
_TRUSTED = 3.0  # logit of the trust in a value at initialisation


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


class Tree(NamedTuple):
    """Messages along the skeletons of a batch: (B J) joints in a row.

    Attributes:
        above: (B J,) long, the joint above, its own index where there is none.
        has_above: (B J, 1, 1), in {0, 1}.
        share: (B J, 1, 1), 1 over the number of joints that the joint above has below it.
        recording: (B, J).
    """

    above: Tensor
    has_above: Tensor
    share: Tensor
    recording: tuple[int, int]

    @classmethod
    def of(cls, parent: Tensor, dtype: torch.dtype) -> Tree:
        """The tree of a batch.

        Args:
            parent: (B, J) long, -1 where there is none.
            dtype: of the features.
        Returns:
            the tree.
        """
        batch, joints = parent.shape
        start = joints * torch.arange(batch, device=parent.device).unsqueeze(-1)
        own = torch.arange(batch * joints, device=parent.device)
        has = (parent >= 0).flatten()
        above = torch.where(has, (parent + start).flatten(), own)
        count = torch.zeros(len(own), dtype=dtype, device=parent.device).index_add(0, above, has.to(dtype))
        share = (has / count[above].clamp(min=1)).to(dtype)
        return cls(above, has.to(dtype).view(-1, 1, 1), share.view(-1, 1, 1), (batch, joints))

    def messages(self, h: Tensor) -> Tensor:
        """Features of the joint above, the mean of those below, and the mean of all.

        Args:
            h: (B J, C, T).
        Returns:
            (B J, 3 C, T).
        """
        above = h[self.above] * self.has_above
        below = torch.zeros_like(h).index_add(0, self.above, h * self.share)
        everywhere = h.unflatten(0, self.recording).mean(1, keepdim=True)
        everywhere = everywhere.expand(-1, self.recording[1], -1, -1).flatten(0, 1)
        return torch.cat([above, below, everywhere], 1)


class Round(nn.Module):
    """Features, a Frechet mean of the data, and a flow that smooths the state.

    Args:
        channels: of the features.
        dilations: of the convolutions over time.
        widths, flow_widths: of the windows over the data and over the state, frames.
        method: Lie-group integrator of the flow.
        gradient: how its gradient is found.
        generator: source of the initial weights.
    """

    def __init__(
        self,
        channels: int,
        dilations: tuple[int, ...],
        widths: tuple[float, ...],
        flow_widths: tuple[float, ...],
        method: str,
        gradient: str,
        generator: torch.Generator | None,
    ):
        super().__init__()
        self.widths, self.flow_widths, self.method, self.gradient = widths, flow_widths, method, gradient
        means, slopes = 1 + 2 * len(widths), len(widths)
        features = 3 * means - 3 + 3 * slopes + 2 + NOISE_FEATURES
        self.lift = _linear(features, channels, generator)
        self.message = _linear(3 * channels, channels, generator)
        self.convolutions = nn.ModuleList(
            _draw(nn.Conv1d(channels, channels, 3, padding=d, dilation=d), generator) for d in dilations
        )
        self.weights = _zero(_linear(channels, 2 * means + 1, generator))
        self.slopes = _zero(_linear(channels, slopes, generator))
        self.flow = _zero(_linear(channels, len(flow_widths), generator))
        self.trust = _zero(_linear(channels, 1, generator))

    def forward(self, h: Tensor, z: Tensor, p: Tensor, data: _Data) -> tuple[Tensor, Tensor, Tensor]:
        """Next features, state, and logits of the trust.

        Args:
            h: (2 N, C, T), of the curves and of the reversed curves.
            z: points (N, T, *tail).
            p: (N, 1, T), trust in every value.
            data: of the batch.
        Returns:
            features, state, and logits (N, 1, T).
        """
        state = data.kind.planes(z)
        fit = local_fit(data.values, p, state, self.widths)
        own = state + p * (data.values - state)  # the value itself, the state where it is not trusted
        state = state.unsqueeze(1)
        v = data.kind.displacement(state, torch.cat([own.unsqueeze(1), fit.means], 1))  # (N, C, 3, T)
        d = data.kind.displacement(state, state + fit.slopes)
        # lengths and angles of v and d -> h, messages, convolutions over time
        even, odd = invariants(v, d, data)
        even = torch.cat([even, fit.share, p, data.seen, data.features.expand(-1, -1, p.shape[-1])], 1)
        h = h + self.lift(torch.cat([torch.cat([even, odd], 1), torch.cat([even, -odd], 1).flip(-1)]))
        forward, backward = rms_squash(h).chunk(2)
        h = h + F.silu(self.message(torch.cat([data.tree.messages(forward), data.tree.messages(backward)])))
        for convolution in self.convolutions:
            h = h + F.silu(convolution(rms_squash(h)))
        drive = rms_squash(h)
        # h -> weights -> z exp(sum_c w_c v_c + sum_s o_s d_s)
        convex, signed = _both_ways(self.weights(drive)).split([v.shape[1] + 1, v.shape[1]], 1)
        w = convex.softmax(1)[:, 1:] + signed - signed.mean(1, keepdim=True)
        o = _both_ways(self.slopes(drive), odd=True)
        z = data.kind.move(z, (w.unsqueeze(2) * v).sum(1) + (o.unsqueeze(2) * d).sum(1))
        # h -> a_s -> flow of z' = sum_s a_s displacement(z, G_s z)
        z = self.smooth(z, _both_ways(self.flow(drive)), data.kind)
        return h, z, _both_ways(self.trust(drive)) + _TRUSTED

    def smooth(self, z: Tensor, rates: Tensor, kind: CurveKind) -> Tensor:
        """The flow of z' = sum_s a_s displacement(z, G_s z) at time 1.

        Args:
            z: points (N, T, *tail).
            rates: a, (N, len(flow_widths), T).
            kind: of the curves.
        Returns:
            points (N, T, *tail).
        """

        def velocity(t: Tensor, z: Tensor, rates: Tensor) -> Tensor:
            state = kind.planes(z)
            everywhere = torch.ones_like(state[:1, :1])
            means = local_fit(state, everywhere, state, self.flow_widths, degree=1).means
            v = kind.displacement(state.unsqueeze(1), means)
            return kind.algebra(z, (rates.unsqueeze(2) * v).sum(1))

        solver = {"action": kind.action, "method": self.method, "gradient": self.gradient}
        return odeint(velocity, z, [0.0, 1.0], args=(rates,), save="last", **solver)


class _Data(NamedTuple):
    """What stays: values (N, D, T), seen (N, 1, T), noise (N, 1, 1), features (N, F, 1), tree, kind."""

    values: Tensor
    seen: Tensor
    noise: Tensor
    features: Tensor
    tree: Tree
    kind: CurveKind


class MotionDenoiser(nn.Module):
    """Manifold-ODE network on curves of rotations and of positions.

    Args:
        channels: of the features.
        dilations: of the convolutions over time, for every round.
        widths, flow_widths: of the windows over the data and over the state, frames.
        method: Lie-group integrator of the flows, a name of `mvnet.integrators.METHODS`.
        gradient: how their gradient is found, a name of `mvnet.integrators.GRADIENTS`.
        generator: source of the initial weights; torch's global generator when None.
    """

    def __init__(
        self,
        channels: int = 32,
        dilations: tuple[tuple[int, ...], ...] = ((1, 2, 4, 8), (1, 2, 4, 8)),
        widths: tuple[float, ...] = WIDTHS,
        flow_widths: tuple[float, ...] = FLOW_WIDTHS,
        method: str = "rkmk2",
        gradient: str = "discrete",
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.config = {
            "channels": channels,
            "dilations": [list(part) for part in dilations],
            "widths": list(widths),
            "flow_widths": list(flow_widths),
            "method": method,
            "gradient": gradient,
        }
        shared = (tuple(widths), tuple(flow_widths), method, gradient, generator)
        self.rounds = nn.ModuleList(Round(channels, tuple(part), *shared) for part in dilations)
        self.error = _zero(_linear(channels, 1, generator))

    @property
    def receptive_radius(self) -> int:
        """Frames on each side that a result can depend on."""
        windows, flows = radius(max(self.config["widths"])), 2 * radius(max(self.config["flow_widths"]))
        return sum(sum(part) + windows + flows for part in self.config["dilations"])

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
        data = _Data(
            kind.planes(z),
            batch.seen.flatten(0, 1).unsqueeze(1),
            batch.noise.flatten().view(-1, 1, 1),
            batch.features.flatten(0, 1).unsqueeze(-1),
            Tree.of(batch.parent, z.dtype),
            kind,
        )
        h, states = z.new_zeros(2 * len(z), self.config["channels"], z.shape[1]), []
        trust = p
        for stage in self.rounds:
            h, z, trust = stage(h, z, p, data)
            p = data.seen * trust.sigmoid()
            states.append(z.unflatten(0, joints))
        # h -> log of the expected error over the noise, bounded; no gradient into the trunk
        relative = _both_ways(self.error(rms_squash(h.detach())))
        log_error = _LOG_ERROR_RANGE * torch.tanh(relative / _LOG_ERROR_RANGE) + data.noise.log()
        scalars = (x.squeeze(1).unflatten(0, joints) for x in (log_error, trust))
        return DenoisedCurves(states[-1], *scalars, tuple(states))


def invariants(v: Tensor, d: Tensor, data: _Data) -> tuple[Tensor, Tensor]:
    """Lengths of displacements over the noise, and cosines of the angles between them.

    Args:
        v: (N, C, 3, T), from the state to the value itself and to means of growing width.
        d: (N, W, 3, T), slopes.
        data: of the batch.
    Returns:
        features (N, 3 C - 3 + W, T) that stay under reversal of time, and (N, W, T) that change their sign.
    """
    change = v[:, 1:] - v[:, :-1]  # from one mean to the next wider one
    lengths = (torch.cat([v, change, d], 1).square().sum(2) / data.noise.square() + _TINY).sqrt()
    turn, slope = (_unit(x, data.noise) for x in (change, d))
    angles = (turn[:, 1:] * turn[:, :-1]).sum(2)
    return torch.cat([torch.log1p(4 * lengths) - 1, angles], 1), (turn[:, 1::2] * slope).sum(2)


def _unit(x: Tensor, noise: Tensor) -> Tensor:
    """x / sqrt(|x|^2 + (noise / 10)^2)"""
    return x * (x.square().sum(2, keepdim=True) + 0.01 * noise.square().unsqueeze(1)).rsqrt()


def _both_ways(x: Tensor, odd: bool = False) -> Tensor:
    """What the curves (N, C, T) and the reversed curves say, as one: their mean, of odd scalars half the difference."""
    forward, backward = x.chunk(2)
    backward = backward.flip(-1)
    return (forward - backward if odd else forward + backward) / 2


def _linear(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Conv1d:
    return _draw(nn.Conv1d(inputs, outputs, 1), generator)


def _draw(layer: nn.Conv1d, generator: torch.Generator | None) -> nn.Conv1d:
    """Initial weights of variance 1 over the number of inputs."""
    fan = layer.in_channels * layer.kernel_size[0]
    nn.init.normal_(layer.weight, std=fan**-0.5, generator=generator)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _zero(layer: nn.Conv1d) -> nn.Conv1d:
    nn.init.zeros_(layer.weight)
    return layer
