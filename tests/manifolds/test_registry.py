"""Every manifold that the room offers goes through the battery."""

from __future__ import annotations

import mvnet.manifolds
from mvnet.manifolds import Manifold
from tests.manifolds.cases import CASES


def test_every_manifold_offered_is_in_the_battery():
    offered = [kind for name in mvnet.manifolds.__all__ if isinstance(kind := getattr(mvnet.manifolds, name), type)]
    tested = {type(case.manifold) for case in CASES}
    assert {kind for kind in offered if issubclass(kind, Manifold) and kind is not Manifold} == tested


def test_manifolds_are_values():
    """Equal settings are equal and hashable, and the text rebuilds the manifold."""
    for case in CASES:
        again = eval(repr(case.manifold), dict(vars(mvnet.manifolds)))
        assert again == case.manifold
        assert hash(again) == hash(case.manifold)
