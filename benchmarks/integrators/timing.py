"""Calls timed in turn, so that what else the machine does hits all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def fastest(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Milliseconds of the fastest run of every call, after one that is not counted.

    Args:
        calls: name -> what to time.
        repeats: runs of each.
    Returns:
        name -> milliseconds.
    """
    for call in calls.values():
        call()
    found = dict.fromkeys(calls, float("inf"))
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            found[name] = min(found[name], 1e3 * (time.perf_counter() - start))
    return found
