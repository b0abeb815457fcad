"""Lets so many frames a second through."""

from __future__ import annotations

import math

_CLOCK_SET_BACK_S = 1.0


class Throttle:
    """Picks frames by their stamps, at an even rate.

    Args:
        rate_hz: how many at most; 0 none. A source that is slower is let through whole.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_s = 1.0 / rate_hz if rate_hz > 0.0 else 0.0
        self._due_s = self._last_s = -math.inf

    def lets(self, stamp_s: float) -> bool:
        """Whether a frame of this stamp goes through; stamps come in order."""
        if not self._period_s:
            return False
        if stamp_s < self._last_s - _CLOCK_SET_BACK_S:
            self._due_s = self._last_s = -math.inf
        since_s, self._last_s = stamp_s - self._last_s, stamp_s
        # Early, but the next would be later: stamps jitter.
        if stamp_s < self._due_s - 0.5 * min(since_s, 0.5 * self._period_s):
            return False
        # Counted from when it was due, so that a source that is no multiple keeps the mean.
        late = stamp_s - self._due_s >= self._period_s
        self._due_s = (stamp_s if late else self._due_s) + self._period_s
        return True
