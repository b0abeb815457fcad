"""Streams of different rates brought to one: what holds at each tick, and whether it is known.

All times are capture stamps in integer nanoseconds, so that nothing is lost to rounding. A stream
is (n,) stamps that never step back and (n, d) values; of samples with equal stamps the last
counts. A tick at which a stream says nothing is not valid; its values are NaN, never a repetition.
"""

from __future__ import annotations

import numpy as np


def period_ns(rate_hz: float) -> int:
    """Length of a step [ns]."""
    return round(1e9 / rate_hz)


def ticks_ns(start_ns: int, end_ns: int, rate_hz: float) -> np.ndarray:
    """Ticks within [start, end]: the multiples of the period, on whatever clock the stamps are."""
    period = period_ns(rate_hz)
    return np.arange(-(-start_ns // period), end_ns // period + 1, dtype=np.int64) * period


def newest(stamps_ns: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
    """(m,) index of the newest sample at or before each time; -1 where there is none."""
    return np.searchsorted(stamps_ns, times_ns, side="right") - 1


def in_force(
    stamps_ns: np.ndarray, values: np.ndarray, times_ns: np.ndarray, max_age_ns: int
) -> tuple[np.ndarray, np.ndarray]:
    """The newest sample at or before each time, unless it is too old.

    Returns:
        (m, d) values, NaN where not valid, and (m,) bool.
    """
    index = newest(stamps_ns, times_ns)
    valid = index >= 0
    valid[valid] = times_ns[valid] - stamps_ns[index[valid]] <= max_age_ns
    out = np.full((len(times_ns), values.shape[1]), np.nan)
    out[valid] = values[index[valid]]
    return out, valid


def interpolated(
    stamps_ns: np.ndarray, values: np.ndarray, times_ns: np.ndarray, max_gap_ns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Linear between the samples around each time, unless they are too far apart.

    A time at which there is a sample needs no other.

    Returns:
        (m, d) values, NaN where not valid, and (m,) bool.
    """
    before = newest(stamps_ns, times_ns)
    after = np.searchsorted(stamps_ns, times_ns, side="left")
    known = (before >= 0) & (after < len(stamps_ns))
    out = np.full((len(times_ns), values.shape[1]), np.nan)
    if not known.any():
        return out, known
    i, j = before[known], after[known]
    exact = stamps_ns[i] == times_ns[known]
    j = np.where(exact, i, j)
    gap = stamps_ns[j] - stamps_ns[i]
    share = (times_ns[known] - stamps_ns[i]) / np.maximum(gap, 1)
    out[known] = values[i] + share[:, None] * (values[j] - values[i])
    valid = known.copy()
    valid[known] = gap <= max_gap_ns
    out[~valid] = np.nan
    return out, valid


def held_mean(
    stamps_ns: np.ndarray,
    values: np.ndarray,
    starts_ns: np.ndarray,
    ends_ns: np.ndarray,
    max_age_ns: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over [start, end) of a stream whose samples hold until the next one.

    Its integral over the time, the way driven at a velocity, is exactly that of the stream.
    Not valid where at any time of the interval the sample in force is too old.

    Returns:
        (m, d) values, NaN where not valid, and (m,) bool.
    """
    if not len(stamps_ns):
        empty = np.full((len(starts_ns), values.shape[1]), np.nan)
        return empty, np.zeros(len(starts_ns), dtype=bool)
    lengths = np.diff(stamps_ns)
    areas = np.zeros_like(values, dtype=np.float64)
    np.cumsum(values[:-1] * lengths[:, None], axis=0, out=areas[1:])
    stale = np.concatenate([[0], np.cumsum(np.maximum(lengths - max_age_ns, 0))])

    def until(times_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Integrals, up to each time, of the values and of the time in which they are stale."""
        index = np.maximum(newest(stamps_ns, times_ns), 0)
        age = times_ns - stamps_ns[index]
        return areas[index] + values[index] * age[:, None], (
            stale[index] + np.maximum(age - max_age_ns, 0)
        )

    (area0, stale0), (area1, stale1) = until(starts_ns), until(ends_ns)
    valid = (starts_ns >= stamps_ns[0]) & (stale0 == stale1)
    out = (area1 - area0) / (ends_ns - starts_ns)[:, None]
    out[~valid] = np.nan
    return out, valid


def without_repeats(stamps_ns: np.ndarray) -> np.ndarray:
    """Indices of the samples to keep: of equal stamps, the last."""
    if not len(stamps_ns):
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.append(np.diff(stamps_ns) > 0, True))


def segments(valid: np.ndarray) -> np.ndarray:
    """(m, 2) first and one past the last of each run of valid steps."""
    edges = np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8))
    return np.stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)], axis=1)
