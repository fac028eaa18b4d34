"""One round of the denoiser of motions: what is seen of the curves, a Frechet mean of the data, a smoothing flow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mvnet.equivariant import rms_squash
from mvnet.integrators.odeint import odeint
from mvnet.models.motion.curves import CurveKind
from mvnet.models.motion.inputs import NOISE_FEATURES
from mvnet.nn.local_polynomial import local_fit

_POINTS = 2**14  # values whose features are computed together
_TINY = 1e-6  # below the square root of a squared length, so that it has a derivative at 0
_TRUSTED = 3.0  # logit of the trust in a value at initialisation


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


class CurveData(NamedTuple):
    """What stays: values (N, D, T), seen (N, 1, T), noise (N, 1, 1), features (N, F, 1), tree, kind."""

    values: Tensor
    seen: Tensor
    noise: Tensor
    features: Tensor
    tree: Tree
    kind: CurveKind

    def part(self, curves: slice) -> CurveData:
        """What stays of some curves; the tree stays that of all.

        Args:
            curves: of the N.
        Returns:
            their data.
        """
        return CurveData._make([*(x[curves] for x in self[:4]), *self[4:]])


class Round(nn.Module):
    """Features, a Frechet mean of the data, and a flow that smooths the state.

    Args:
        channels: of the features.
        dilations: of the convolutions over time.
        widths, flow_widths: of the windows over the data and over the state, frames.
        stay: logit of the state itself, beside those of the means, at initialisation.
        method: Lie-group integrator of the flow.
        gradient: how its gradient is found.
        generator: source of the initial weights.
    """

    def __init__(
        self,
        channels: int,
        dilations: Sequence[int],
        widths: Sequence[float],
        flow_widths: Sequence[float],
        stay: float,
        method: str,
        gradient: str,
        generator: torch.Generator | None,
    ):
        super().__init__()
        self.widths, self.flow_widths, self.method, self.gradient = widths, flow_widths, method, gradient
        means, slopes = 1 + 2 * len(widths), len(widths)
        features = 3 * means - 3 + 3 * slopes + 2 + NOISE_FEATURES
        self.lift = linear(features, channels, generator)
        self.message = linear(3 * channels, channels, generator)
        self.convolutions = nn.ModuleList(
            _draw(nn.Conv1d(channels, channels, 3, padding=d, dilation=d), generator) for d in dilations
        )
        self.weights = zero(linear(channels, 2 * means + 1, generator))
        with torch.no_grad():
            self.weights.bias[0] = stay  # type: ignore[index]
        self.slopes = zero(linear(channels, slopes, generator))
        self.flow = zero(linear(channels, len(flow_widths), generator))
        self.trust = zero(linear(channels, 1, generator))

    def forward(self, h: Tensor, z: Tensor, p: Tensor, data: CurveData) -> tuple[Tensor, Tensor, Tensor]:
        """Next features, state, and logits of the trust.

        All but the messages is done for a few curves at a time, whose numbers stay in the cache.

        Args:
            h: (2, N, C, T), of the curves and of the reversed curves.
            z: points (N, T, *tail).
            p: (N, 1, T), trust in every value.
            data: of the batch.
        Returns:
            features, state, and logits (N, 1, T).
        """
        parts = list(_parts(*p.shape[::2]))
        seen = [self.see(z[part], p[part], data.part(part)) for part in parts]
        h = h + torch.cat([part[0] for part in seen], 1)
        calm = rms_squash(h.flatten(0, 1)).unflatten(0, (2, -1))
        h = h + torch.stack([F.silu(self.message(data.tree.messages(x))) for x in calm])
        made = [self.act(h[:, part], z[part], v, d, data.kind) for part, (_, v, d) in zip(parts, seen)]
        features, states, logits = zip(*made)
        return torch.cat(features, 1), torch.cat(states), torch.cat(logits)

    def see(self, z: Tensor, p: Tensor, data: CurveData) -> tuple[Tensor, Tensor, Tensor]:
        """What is added to the features, and displacements to means and slopes.

        Args:
            z: points (n, T, *tail).
            p: (n, 1, T), trust in every value.
            data: of these curves.
        Returns:
            (2, n, C, T), (n, means, 3, T) and (n, slopes, 3, T).
        """
        state = data.kind.planes(z)
        fit = local_fit(data.values, p, self.widths, partial(data.kind.displacement, state))
        own = p * data.kind.displacement(state, data.values)  # to the value itself, if it is trusted
        v = torch.cat([own.unsqueeze(1), fit.means], 1)
        # lengths and angles of v and d -> features, of the curves and of the reversed curves
        even, odd = invariants(v, fit.slopes, data)
        even = torch.cat([even, fit.share, p, data.seen, data.features.expand(-1, -1, p.shape[-1])], 1)
        split = even.shape[1]
        same = F.conv1d(even, self.lift.weight[:, :split], self.lift.bias)
        changed = F.conv1d(odd, self.lift.weight[:, split:])
        return torch.stack([same + changed, (same - changed).flip(-1)]), v, fit.slopes

    def act(self, h: Tensor, z: Tensor, v: Tensor, d: Tensor, kind: CurveKind) -> tuple[Tensor, Tensor, Tensor]:
        """Convolutions, Frechet mean and flow.

        Args:
            h: (2, n, C, T).
            z: points (n, T, *tail).
            v: (n, means, 3, T), displacements.
            d: (n, slopes, 3, T).
            kind: of the curves.
        Returns:
            features, state, and logits of the trust (n, 1, T).
        """
        h = h.flatten(0, 1)
        for convolution in self.convolutions:
            h = h + F.silu(convolution(rms_squash(h)))
        drive = rms_squash(h)
        # h -> weights -> z exp(sum_c w_c v_c + sum_s o_s d_s)
        convex, signed = both_ways(self.weights(drive)).split([v.shape[1] + 1, v.shape[1]], 1)
        w = convex.softmax(1)[:, 1:] + signed - signed.mean(1, keepdim=True)
        o = both_ways(self.slopes(drive), odd=True)
        z = kind.move(z, (w.unsqueeze(2) * v).sum(1) + (o.unsqueeze(2) * d).sum(1))
        # h -> a_s -> flow of z' = sum_s a_s displacement(z, G_s z)
        z = self.smooth(z, both_ways(self.flow(drive)), kind)
        return h.unflatten(0, (2, -1)), z, both_ways(self.trust(drive)) + _TRUSTED

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
            fit = local_fit(state, everywhere, self.flow_widths, partial(kind.displacement, state), degree=1)
            return kind.algebra(z, (rates.unsqueeze(2) * fit.means).sum(1))

        solver = {"action": kind.action, "method": self.method, "gradient": self.gradient}
        return odeint(velocity, z, [0.0, 1.0], args=(rates,), save="last", **solver)


def invariants(v: Tensor, d: Tensor, data: CurveData) -> tuple[Tensor, Tensor]:
    """Lengths of displacements over the noise, and cosines of the angles between them.

    Args:
        v: (N, C, 3, T), from the state to the value itself and to means of growing width.
        d: (N, W, 3, T), slopes.
        data: of the batch.
    Returns:
        features (N, 3 C - 3 + W, T) that stay under reversal of time, and (N, W, T) that change their sign.
    """
    change = v[:, 1:] - v[:, :-1]  # from one mean to the next wider one
    lengths = torch.cat([x.square().sum(2) for x in (v, change, d)], 1)
    lengths = (lengths / data.noise.square() + _TINY).sqrt()
    turn, slope = (_unit(x, data.noise) for x in (change, d))
    angles = (turn[:, 1:] * turn[:, :-1]).sum(2)
    return torch.cat([torch.log1p(4 * lengths) - 1, angles], 1), (turn[:, 1::2] * slope).sum(2)


def _parts(curves: int, frames: int) -> Iterator[slice]:
    """A few curves at a time."""
    step = max(1, _POINTS // frames)
    return (slice(start, start + step) for start in range(0, curves, step))


def _unit(x: Tensor, noise: Tensor) -> Tensor:
    """x / sqrt(|x|^2 + (noise / 10)^2)"""
    return x * (x.square().sum(2, keepdim=True) + 0.01 * noise.square().unsqueeze(1)).rsqrt()


def both_ways(x: Tensor, odd: bool = False) -> Tensor:
    """What the curves and the reversed curves say, as one.

    Args:
        x: (2 N, C, T), scalars of the curves, then of the reversed curves.
        odd: whether they change their sign under reversal.
    Returns:
        (N, C, T), the mean, of odd scalars half the difference.
    """
    forward, backward = x.chunk(2)
    backward = backward.flip(-1)
    return (forward - backward if odd else forward + backward) / 2


def linear(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Conv1d:
    """A linear map of the channels at every time.

    Args:
        inputs, outputs: numbers of channels.
        generator: source of the initial weights.
    Returns:
        the layer.
    """
    return _draw(nn.Conv1d(inputs, outputs, 1), generator)


def _draw(layer: nn.Conv1d, generator: torch.Generator | None) -> nn.Conv1d:
    """Initial weights of variance 1 over the number of inputs."""
    fan = layer.in_channels * layer.kernel_size[0]
    nn.init.normal_(layer.weight, std=fan**-0.5, generator=generator)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def zero(layer: nn.Conv1d) -> nn.Conv1d:
    """A layer that begins as zero.

    Args:
        layer: its weights are changed.
    Returns:
        the same layer.
    """
    nn.init.zeros_(layer.weight)
    return layer
