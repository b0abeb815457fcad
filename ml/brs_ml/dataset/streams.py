"""Samples of one topic, and who drove, as arrays over time."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brs_ml.dataset import align
from brs_ml.dataset.errors import DatasetError

# Who drove, as the column `driver` tells it by number; the last where the episode does not tell.
DRIVERS = ("nobody", "teleop", "policy", "replay", "other", "unknown")
NOBODY, OTHER, UNKNOWN = 0, 4, 5


@dataclass
class Stream:
    """Decoded samples of one topic."""

    stamps_ns: list[int] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)

    def arrays(self, width: int, where: str) -> tuple[np.ndarray, np.ndarray]:
        """(n,) stamps, strictly rising, and (n, width) values.

        Raises:
            DatasetError: the clock stepped back.
        """
        stamps = np.array(self.stamps_ns, dtype=np.int64)
        values = np.array(self.values, dtype=np.float64).reshape(len(stamps), width)
        back = np.diff(stamps, prepend=stamps[:1])
        if (back < 0).any():
            i = int(np.argmin(back))
            raise DatasetError(
                f"the clock stepped back by {-back[i] * 1e-9:.3f} s at message {i}",
                where=where,
                remedy="leave the episode out, or record it on a steady clock",
            )
        keep = align.without_repeats(stamps)
        return stamps[keep], values[keep]

    def between(self, time_ns: int, max_gap_ns: int) -> np.ndarray | None:
        """(width,) interpolated at a time within what has come so far; None if not known."""
        after = bisect.bisect_right(self.stamps_ns, time_ns)
        around = slice(max(0, after - 1), after + 1)
        stamps = np.array(self.stamps_ns[around], dtype=np.int64)
        if not len(stamps):
            return None
        values = np.array(self.values[around])
        value, valid = align.interpolated(stamps, values, np.array([time_ns]), max_gap_ns)
        return value[0] if valid[0] else None


def drivers_at(spans: Sequence[Mapping[str, Any]], times_ns: np.ndarray) -> np.ndarray:
    """(n,) uint8 number in DRIVERS of who drove at each time.

    Args:
        spans: `{"source", "start_ns", "stop_ns"}` of an episode; none if it does not tell.
        times_ns: (n,) [ns].
    """
    if not spans:
        return np.full(len(times_ns), UNKNOWN, np.uint8)
    out = np.full(len(times_ns), NOBODY, np.uint8)
    for span in spans:
        inside = (times_ns >= span["start_ns"]) & (times_ns < span["stop_ns"])
        source = str(span["source"])
        out[inside] = DRIVERS.index(source) if source in DRIVERS[1:OTHER] else OTHER
    return out
