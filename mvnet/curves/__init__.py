"""Shapes of curves in Lie groups: motions compared, warped, interpolated and averaged whatever their timing.

A curve is a tensor (..., T, joints, *point): rotations (..., T, joints, 3, 3), angles (..., T, joints) of the circle,
or vectors (..., T, d), the translations of R^d; it runs along the geodesic between samples. Its velocity is
right-trivialised, a = c' c^-1, and its square-root velocity is

    q = a / sqrt|a|,          c -> c o phi  acts as  q -> (q o phi) sqrt(phi'),          |q|^2 integrates to the length,

so that | q1 - q2 |_L2 stays when both curves are reparametrised alike, and its infimum over warps of the second is a
distance between curves that is independent of their parametrisation. Translation from the right, c -> c g, leaves q
alone; g c transforms it, joint by joint, by Ad_g: the distance stays if both curves are moved by the same g. With
side="left" everything holds for c^-1 c' and the two change places: c -> g c, another choice of the world's axes,
then leaves q alone.

The norm is over all joints together, which share one warp. For a warp per joint make joints a batch dim.

transform         srv_transform, inverse_srv_transform
sampling          resample, resample_by_length, reparametrise, arc_length
distance          elastic_distance (differentiable), pairwise_elastic_distance, align, match
shapes            interpolate_shapes, close, mean_curve

Source: paper section 2.3, third example; Celledoni, Eslitzbichler, Schmeding, Shape analysis on Lie groups with
applications in computer animation (2016); Srivastava, Klassen, Joshi, Jermyn (2011) for R^n.
"""

from mvnet.curves._elastic import Match, align, elastic_distance, match, pairwise_elastic_distance
from mvnet.curves._groups import GROUPS, SIDES, CurveGroup
from mvnet.curves._sampling import (
    arc_length,
    inverse_srv_transform,
    reparametrise,
    resample,
    resample_by_length,
    srv_transform,
)
from mvnet.curves._shapes import MeanCurve, close, interpolate_shapes, mean_curve

__all__ = [
    "GROUPS",
    "SIDES",
    "CurveGroup",
    "Match",
    "MeanCurve",
    "align",
    "arc_length",
    "close",
    "elastic_distance",
    "interpolate_shapes",
    "inverse_srv_transform",
    "match",
    "mean_curve",
    "pairwise_elastic_distance",
    "reparametrise",
    "resample",
    "resample_by_length",
    "srv_transform",
]
