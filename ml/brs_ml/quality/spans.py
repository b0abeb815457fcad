"""Pieces of time."""

from __future__ import annotations

import numpy as np

from brs_ml.dataset.align import segments


def spans_of(mask: np.ndarray, times_s: np.ndarray) -> list[tuple[float, float]]:
    """First and last time of each run of true samples.

    Args:
        mask: (n,) bool.
        times_s: (n,) rising.
    """
    return [(float(times_s[first]), float(times_s[last - 1])) for first, last in segments(mask)]


def overlap_s(a: tuple[float, float], b: tuple[float, float]) -> float:
    """How long both hold; 0 if never."""
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def durations_s(times_s: np.ndarray) -> np.ndarray:
    """(n,) how long each sample holds, until the next one; the last for no time."""
    return np.diff(times_s, append=times_s[-1:])
