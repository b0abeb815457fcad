"""Samples of one topic, and who drove, as arrays over time."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from brs_ml.dataset import align
from brs_ml.dataset.errors import DatasetError
from brs_ml.episode.reader import BagMessage
from brs_ml.episode.timeline import LEVELLED_NS

# Who drove, as the column `driver` tells it by number; the last where the episode does not tell.
DRIVERS = ("nobody", "teleop", "policy", "replay", "other", "unknown")
NOBODY, OTHER, UNKNOWN = 0, 4, 5


# Messages that wait to be read together.
_BATCH = 256


class Stream:
    """Samples of one topic.

    Args:
        read: gives the numbers of messages, (n,) float64 each.
        angle: which number is an angle [rad], whose jumps by a turn are taken out.

    Attributes:
        stamps_ns: of all samples so far.
    """

    def __init__(
        self,
        read: Callable[[Sequence[BagMessage]], Sequence[np.ndarray]],
        angle: int | None = None,
    ) -> None:
        self.stamps_ns: list[int] = []
        self._read, self._angle = read, angle
        self._values: list[np.ndarray] = []
        self._waiting: list[BagMessage] = []

    def add(self, stamp_ns: int, message: BagMessage) -> None:
        """Take a sample; raises what reading raises, perhaps with a later one."""
        self.stamps_ns.append(stamp_ns)
        self._waiting.append(message)
        if len(self._waiting) >= _BATCH:
            self._catch_up()

    def _catch_up(self) -> None:
        for value in self._read(self._waiting):
            if self._angle is not None:
                before = self._values[-1][self._angle] if self._values else 0.0
                turned = math.remainder(value[self._angle] - before, math.tau)
                value[self._angle] = before + turned
            self._values.append(value)
        self._waiting.clear()

    def arrays(self, width: int, where: str) -> tuple[np.ndarray, np.ndarray]:
        """(n,) stamps, strictly rising, and (n, width) values.

        Small steps back are levelled: a robot that holds stamps by its own clock, and then again
        as its leader did, a little earlier.

        Raises:
            DatasetError: the clock stepped back.
        """
        self._catch_up()
        stamps = np.array(self.stamps_ns, dtype=np.int64)
        values = np.array(self._values, dtype=np.float64).reshape(len(stamps), width)
        back = np.diff(stamps, prepend=stamps[:1])
        if (back < -LEVELLED_NS).any():
            i = int(np.argmin(back))
            raise DatasetError(
                f"the clock stepped back by {-back[i] * 1e-9:.3f} s at message {i}",
                where=where,
                remedy="leave the episode out, or record it on a steady clock",
            )
        stamps = np.maximum.accumulate(stamps)
        keep = align.without_repeats(stamps)
        return stamps[keep], values[keep]

    def between(self, time_ns: int, max_gap_ns: int) -> np.ndarray | None:
        """(n,) interpolated at a time within what has come so far; None if not known."""
        self._catch_up()
        after = bisect.bisect_right(self.stamps_ns, time_ns)
        if not after:
            return None
        since_ns, value = time_ns - self.stamps_ns[after - 1], self._values[after - 1]
        if not since_ns:
            return value
        if after == len(self.stamps_ns):
            return None
        gap_ns = self.stamps_ns[after] - self.stamps_ns[after - 1]
        if gap_ns > max_gap_ns:
            return None
        return value + since_ns / gap_ns * (self._values[after] - value)


def drivers_at(spans: Sequence[Mapping[str, Any]], times_ns: np.ndarray) -> np.ndarray:
    """(n,) uint8 number in DRIVERS of who drove at each time.

    Args:
        spans: `{"source", "start_ns", "stop_ns"}` of an episode; none if it does not tell.
        times_ns: (n,) [ns].
    """
    if not spans:
        return np.full(len(times_ns), UNKNOWN, np.uint8)
    out = np.full(len(times_ns), NOBODY, np.uint8)
    for source in {str(span["source"]) for span in spans}:
        number = DRIVERS.index(source) if source in DRIVERS[1:OTHER] else OTHER
        out[drives_at(spans, source, times_ns)] = number
    return out


def drives_at(spans: Sequence[Mapping[str, Any]], source: str, times_ns: np.ndarray) -> np.ndarray:
    """(n,) bool, whether this one drove at each time; see `drivers_at`."""
    inside = np.zeros(len(times_ns), bool)
    for span in spans:
        if str(span["source"]) == source:
            inside |= (times_ns >= span["start_ns"]) & (times_ns < span["stop_ns"])
    return inside


def paused_at(
    pauses: Sequence[Mapping[str, int]], times_ns: np.ndarray, length_ns: int
) -> np.ndarray:
    """(n,) bool, whether recording was paused at some moment of each step.

    Args:
        pauses: `{"start_ns", "stop_ns"}` of an episode.
        times_ns: (n,) beginnings of the steps [ns].
        length_ns: of a step [ns].
    """
    paused = np.zeros(len(times_ns), bool)
    for span in pauses:
        paused |= (times_ns <= span["stop_ns"]) & (times_ns + length_ns > span["start_ns"])
    return paused
