"""Seconds spent in the stages of a run."""

from __future__ import annotations

import time


class Clock:
    """Starts when it is made; laps: seconds of every stage, in the order in which they were first named."""

    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Add the time since the last lap to the stage `name`."""
        now = time.perf_counter()
        self.laps[name] = round(self.laps.get(name, 0.0) + now - self._last, 3)
        self._last = now

    def total(self) -> float:
        """Seconds since the start."""
        return round(time.perf_counter() - self._start, 3)
