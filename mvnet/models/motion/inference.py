"""Denoising of whole recordings in bounded memory: blocks of frames that overlap by the receptive field, no seams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from mvnet.errors import MvnetError
from mvnet.models.motion.curves import CurveKind, kind_of
from mvnet.models.motion.inputs import CurveBatch, curve_batch
from mvnet.models.motion.network import MotionDenoiser
from mvnet.models.tiling import map_tiles
from mvnet.nn.trust_region import chi_quantile, share_kept

_FREEDOM = 3  # components of a displacement
_PLAUSIBLE = chi_quantile(0.999, _FREEDOM)  # 4.03 times the noise: no value of a thousand is farther away
_MEDIAN = 1.538  # of the length of a standard normal vector in R^3
_BLOCK = 2500
_ROUNDED = 1e-3  # of the entries of R^T R: files round


class DenoisedMotion(NamedTuple):
    """Result of `denoise_motion`.

    Attributes:
        values: (T, J, 3, 3) rotations or (T, J, 3) positions.
        error: (T, J), expected distance to the truth, radians or the unit of positions; of a trusted value that was
            moved farther than its noise explains, at least the rest of the way.
        noise: (J,), standard deviation of the noise per component as measured, radians or the unit.
        trust: (T, J), probability that the value as given is neither missing nor an outlier.
        kept: (T, J), share of the network's proposal that the trust region left.
    """

    values: Tensor
    error: Tensor
    noise: Tensor
    trust: Tensor
    kept: Tensor


@torch.no_grad()
def denoise_motion(
    model: MotionDenoiser,
    values: Tensor,
    seen: Tensor | None = None,
    parent: Tensor | None = None,
    *,
    strength: float = 1.0,
    trust_region: float = 1.0,
    block: int = _BLOCK,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DenoisedMotion:
    """Denoise the curves of one recording.

    Args:
        model: from `mvnet.models.pretrained("motion")`; runs on its own device.
        values: (T, J, 3, 3) rotations, of the joints relative to that above or in the world, or (T, J, 3) positions;
            anything where not seen.
        seen: (T, J) bool; None where all values are finite.
        parent: (J,) long, the joint above, -1 at the root; None where joints form no tree.
        strength: fraction of the geodesic from the input (0; gaps are filled) to the network's output (1).
        trust_region: share of the noise of a value inside which it stays, unless it is an outlier; 1 is no bound.
        block: frames at a time; memory grows with it, the result does not depend on it.
        workers: number of blocks computed at the same time, with one thread each; 1 computes one after another with all
            threads.
        progress: called as progress(done, total) after every block.
    Returns:
        curves, expected errors, and what was measured.
    Raises:
        MvnetError: shapes that do not fit, a joint never seen, a strength or a trust region out of range.
    """
    radius = chi_quantile(trust_region, _FREEDOM)
    seen = values.isfinite().flatten(2).all(2) if seen is None else seen
    check_motion(values, seen, parent, strength)
    parent = torch.full((values.shape[1],), -1) if parent is None else parent
    rows, mask = values.transpose(0, 1).unsqueeze(0), seen.T.unsqueeze(0)  # (1, J, T, ...)
    kind = kind_of(rows, 2)
    centre, unit = values.new_zeros(()), values.new_ones(())
    if kind.tail == (3,):  # numbers of order 1 lose nothing in differences
        known = torch.where(seen.unsqueeze(-1), values, torch.nan)
        centre = known.nanmedian(0).values.view(1, -1, 1, 3)
        spread = (known - centre[0, :, 0]).abs().nan_to_num().max()
        unit = torch.where(spread > 0, spread, unit)
    given = curve_batch((rows - centre) / unit, mask, parent.unsqueeze(0))
    out, (error, trust) = torch.empty_like(given.values), torch.empty(2, *mask.shape).to(values)
    blocks = list(_blocks(given, block, model.receptive_radius))
    results = map_tiles(partial(_denoise_block, model), blocks, workers=min(workers, len(blocks)))
    for done, (job, parts) in enumerate(results, start=1):
        for whole, part in zip((out, error, trust), parts):
            whole[:, :, job.start : job.start + block] = part
        if progress is not None:
            progress(done, len(blocks))
    distance, size = _moved(kind, given, out, trust)
    kept = share_kept(distance / size, radius)
    away = strength * kept
    error = torch.maximum(error, away * distance - _PLAUSIBLE * size)
    moved = torch.where(_full(away == 1, out), out, kind.geodesic(given.values, out, away))
    result = torch.where(_full((away == 0) & mask, out), rows, unit * moved + centre)[0].transpose(0, 1)
    return DenoisedMotion(result, unit * error[0].T, unit * given.noise[0], trust[0].T, kept[0].T)


class _Block(NamedTuple):
    """Frames of a recording: where the result begins, which frames of the cut are its, and the cut itself."""

    start: int
    inner: slice
    cut: CurveBatch


def _blocks(given: CurveBatch, block: int, reach: int) -> Iterator[_Block]:
    """Blocks of frames with what their results depend on around them."""
    length = given.values.shape[2]
    for start in range(0, length, block):
        begin, end = max(0, start - reach), min(length, start + block + reach)
        cut = given._replace(
            values=given.values[:, :, begin:end], trust=given.trust[..., begin:end], seen=given.seen[..., begin:end]
        )
        yield _Block(start, slice(start - begin, min(start + block, length) - begin), cut)


@torch.no_grad()
def _denoise_block(model: MotionDenoiser, job: _Block) -> tuple[Tensor, Tensor, Tensor]:
    """Values, expected errors and trust of a block, by a network on its own device, in its own dtype."""
    own, back, inner = next(model.parameters()), job.cut.values, job.inner
    parent = job.cut.parent.to(own.device)
    found = model(CurveBatch._make([*(x.to(own) for x in job.cut[:-1]), parent]))
    parts = found.values[:, :, inner], found.log_error[..., inner].exp(), found.trust[..., inner].sigmoid()
    values, error, trust = (part.to(back) for part in parts)
    # the network sees the values without the outliers that were found before it
    return kind_of(back, 2).restore(values), error, trust * job.cut.trust[..., inner]


def _moved(kind: CurveKind, given: CurveBatch, out: Tensor, trust: Tensor) -> tuple[Tensor, Tensor]:
    """How far proposals lie from values, and the size of the noise.

    Returns:
        (1, J, T), 0 where a value was no measurement; and (1, J, 1), the median of these distances over a curve, in
        which correlated noise is included, or the noise measured before.
    """
    distance = kind.distance(given.values, out)
    measured = (given.trust > 0) & (trust > 0.5)
    size = torch.where(measured, distance, torch.nan).nanmedian(-1, keepdim=True).values.nan_to_num() / _MEDIAN
    size = torch.maximum(size, given.noise.unsqueeze(-1)).clamp(min=torch.finfo(size.dtype).tiny)
    return torch.where(measured, distance, 0.0), size


def _full(mask: Tensor, like: Tensor) -> Tensor:
    """(1, J, T) -> (1, J, T, 1, ...)."""
    return mask.view(*mask.shape, *(1 for _ in like.shape[3:]))


def check_motion(values: Tensor, seen: Tensor, parent: Tensor | None, strength: float) -> None:
    """Check what is to be denoised.

    Args:
        values: expected (T, J, 3, 3) or (T, J, 3), finite where seen.
        seen: expected (T, J) bool, a frame of every joint.
        parent: expected (J,), or None.
        strength: expected in [0, 1].
    Raises:
        MvnetError: one of them is not as expected.
    """
    if tuple(values.shape[2:]) not in ((3, 3), (3,)) or 0 in values.shape:
        raise MvnetError(f"values: found shape {tuple(values.shape)}, expected (frames, joints, 3, 3) or (..., 3)")
    if seen.shape != values.shape[:2] or seen.dtype != torch.bool:
        found = f"shape {tuple(seen.shape)} of {seen.dtype}"
        raise MvnetError(f"seen: found {found}, expected {tuple(values.shape[:2])} of torch.bool")
    if not bool(values[seen].isfinite().all()):
        raise MvnetError("values: found some that are not finite where seen, expected finite ones")
    if values.ndim == 4 and bool((values.mT @ values - torch.eye(3).to(values))[seen].abs().gt(_ROUNDED).any()):
        raise MvnetError("values: found matrices that are not orthogonal, expected rotations")
    if not bool(seen.any(0).all()):
        joint = int((~seen.any(0)).nonzero()[0, 0])
        raise MvnetError(f"seen: found joint {joint} in no frame, expected every joint in at least one")
    if parent is not None and tuple(parent.shape) != (values.shape[1],):
        raise MvnetError(f"parent: found shape {tuple(parent.shape)}, expected ({values.shape[1]},)")
    if not 0 <= strength <= 1:
        raise MvnetError(f"strength: found {strength}, expected a number in [0, 1]")
