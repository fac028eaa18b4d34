"""The names by which losses and the command line find a manifold."""

from __future__ import annotations

import mvnet.manifolds
from mvnet.manifolds import MANIFOLDS, Manifold

from .cases import CASES


def test_every_registered_manifold_builds_and_is_in_the_battery():
    tested = {type(case.manifold) for case in CASES}
    for name, kind in MANIFOLDS.items():
        assert name == kind.__name__.lower()
        assert isinstance(kind(), Manifold)
        assert kind in tested
        assert kind.__name__ in mvnet.manifolds.__all__


def test_manifolds_are_values():
    """Equal settings are equal and hashable, and the text rebuilds the manifold."""
    for case in CASES:
        again = eval(repr(case.manifold), dict(vars(mvnet.manifolds)))
        assert again == case.manifold
        assert hash(again) == hash(case.manifold)
