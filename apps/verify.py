"""`mvnet verify`: what a network guarantees, measured."""

from __future__ import annotations

from dataclasses import asdict

from mvnet.storage import json_text


def verify(name: str, *, seed: int, as_json: bool) -> bool:
    """Print the guarantees of shipped weights, or of a checkpoint; returns whether all hold.

    Args:
        name: a shipped network, or a path to a checkpoint.
        seed: random seed of the data.
        as_json: one JSON object with the largest float64 error under `equivariance_error`.
    """
    from torch import nn

    from mvnet.models.checkpoint import find_model
    from mvnet.models.posterior_weights import has_head, load_head
    from mvnet.models.registry import verify as measure

    model, card = find_model(name)
    found = measure(model, seed)
    if has_head(name):
        found += measure(load_head(name, nn.Module, "dti")[0], seed)
    holds = all(guarantee.holds for guarantee in found)
    if as_json:
        exact = [g.value for g in found if g.name.startswith("equivariance error") and "float64" in g.name]
        rows = [{**asdict(g), "holds": g.holds} for g in found]
        summary = {"model": name, "architecture": card["architecture"], "equivariance_error": max(exact, default=None)}
        print(json_text({**summary, "holds": holds, "guarantees": rows}, indent=2))
        return holds
    print(f"{name}: {card['architecture']}, seed {seed}")
    for g in found:
        bound = f"{'>' if g.lower else '<'} {g.limit:g}"
        print(f"  {'holds' if g.holds else 'FAILS'}  {g.name}: {g.value:.2g} ({bound})")
    return holds
