"""`mvnet optimizers`: the optimisers that every training command offers."""

from __future__ import annotations

from mvnet.optim.registry import OPTIMIZERS, TRAININGS, options_of
from mvnet.storage import json_text


def show(*, as_json: bool) -> None:
    """Print name, description, learning rates and options of every optimiser."""
    if as_json:
        found = {
            name: {"help": entry.help, "rates": dict(zip(TRAININGS, entry.rates)), "options": options_of(name)}
            for name, entry in OPTIMIZERS.items()
        }
        print(json_text(found))
        return
    from rich.console import Console

    console = Console(highlight=False)
    for name, entry in OPTIMIZERS.items():
        rates = ", ".join(f"{training} {rate:g}" for training, rate in zip(TRAININGS, entry.rates))
        options = ", ".join(f"{option}={value}" for option, value in options_of(name).items())
        console.print(f"[bold]{name}[/bold]: {entry.help}")
        console.print(f"    rate: {rates}")
        console.print(f"    options: {options or 'none'}")
