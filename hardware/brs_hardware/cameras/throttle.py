"""Lets so many frames a second through."""

from __future__ import annotations

import math

_CLOCK_SET_BACK_S = 1.0


class Throttle:
    """Picks frames by their stamps, at an even rate: those next to whole multiples of its period.

    So several cameras, each with a throttle, are thinned out to the same moments.

    Args:
        rate_hz: how many at most; 0 none, infinity all. A slower source is let through whole.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_s = 1.0 / rate_hz if rate_hz > 0.0 else math.inf
        self._due_s = self._last_s = -math.inf

    def lets(self, stamp_s: float) -> bool:
        """Whether a frame of this stamp goes through; stamps come in order."""
        period_s = self._period_s
        if not 0.0 < period_s < math.inf:
            return period_s == 0.0
        if stamp_s < self._last_s - _CLOCK_SET_BACK_S:
            self._due_s = self._last_s = -math.inf
        since_s, self._last_s = stamp_s - self._last_s, stamp_s
        # Early, but the next would be later: stamps jitter.
        if stamp_s < self._due_s - 0.5 * min(since_s, 0.5 * period_s):
            return False
        # Stamps next to a multiple belong to it, also when they are a rounding error early.
        reached = max(self._due_s, math.floor(stamp_s / period_s + 1e-3) * period_s)
        self._due_s = reached + period_s
        return True
