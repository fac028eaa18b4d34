"""Two runs of `python -m benchmarks.run_all`: which numbers are worse, beyond the noise of their repeats.

usage: python -m benchmarks.compare BEFORE.json AFTER.json [--least SHARE]

A bar is worse when its best value after is beyond its worst value before, by more than a share of it. The direction is
that of its target. Exit status 1 when any is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

_SMALLER, _LARGER = ("<", "at most", "below"), (">", "at least", "above")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--least", type=float, default=0.1, help="share of the value that is no noise (0.1)")
    options = parser.parse_args()
    before, after = (json.loads(path.read_text()) for path in (options.before, options.after))
    if before["machine"] != after["machine"]:
        print(f"machines differ: {before['machine']} | {after['machine']}: times cannot be compared")
    lines = differences(before, after, options.least)
    print("\n".join(lines) or "nothing is worse")
    sys.exit(1 if lines else 0)


def differences(before: dict[str, Any], after: dict[str, Any], least: float) -> list[str]:
    """A line for every bar that is worse, missed where it was met, or gone."""
    old, new = _bars(before), _bars(after)
    lines = []
    for key, was in old.items():
        name = ": ".join(key)
        if (now := new.get(key)) is None:
            lines.append(f"gone    {name}")
            continue
        change = _worse(was, now)
        if was["holds"] and not now["holds"]:
            lines.append(f"missed  {name}: {_text(was)} -> {_text(now)}, target {now['bar']}")
        elif change > least:
            lines.append(f"worse   {name}: {_text(was)} -> {_text(now)}, {change:.0%}")
    return lines


def _bars(run: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(result["name"], bar["name"]): bar for result in run["results"] for bar in result["bars"]}


def _worse(was: dict[str, Any], now: dict[str, Any]) -> float:
    """How far the best value now is beyond the worst one before, as a share of it; 0 where it is not."""
    old, new = ([value for value in bar["values"] if value is not None] for bar in (was, now))
    if not old or not new:
        return 0.0
    if was["bar"].startswith(_SMALLER):
        away, scale = min(new) - max(old), max(old)
    elif was["bar"].startswith(_LARGER):
        away, scale = min(old) - max(new), min(old)
    else:
        return 0.0  # a range: whether it is met says all
    return max(away, 0.0) / max(abs(scale), 1e-12)


def _text(bar: dict[str, Any]) -> str:
    return " ".join("-" if value is None else f"{value:.4g}" for value in bar["values"])


if __name__ == "__main__":
    main()
