"""Frames as they come: which can be judged, and segments of those that can."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from brs_ml.anomaly.config import MonitorConfig


def problem_of(frame: object, config: MonitorConfig) -> str | None:
    """Why a frame cannot be judged, in a few words; None where it can."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        return "no picture"
    if frame.ndim != 3 or frame.shape[2] != 3 or min(frame.shape[:2]) < 1:
        return f"no colour picture but {frame.shape}"
    if max(frame.shape[:2]) > config.largest_px:
        return f"{frame.shape[1]}x{frame.shape[0]} is too large"
    # Every eighth pixel tells as well whether there is anything to see.
    spread = frame[::8, ::8].reshape(-1, 3).std(axis=0).max()
    if float(spread) < config.least_spread:
        return "black, or of one colour"
    return None


@dataclass(frozen=True)
class Segment:
    """Frames one after another."""

    number: int  # of the video, from 0
    frames: tuple[np.ndarray, ...]  # N of (h, w, 3) uint8 RGB
    begin_s: float  # stamp of the first frame
    end_s: float  # stamp of the last one
    problem: str | None = None  # why it cannot be judged


@dataclass
class SegmentBuffer:
    """Gathers frames to segments, which do not overlap.

    A frame that cannot be judged is replaced by the one before it; where that is so of more than
    a quarter, the segment has a problem. Where stamps jump or go back, a new segment begins.

    Args:
        config: of the monitor.
    """

    config: MonitorConfig
    _frames: list[np.ndarray] = field(default_factory=list)
    _stamps_s: list[float] = field(default_factory=list)
    _bad: list[str] = field(default_factory=list)
    _good: np.ndarray | None = None
    _number: int = 0

    def push(self, frame: np.ndarray | None, stamp_s: float) -> Segment | None:
        """Take a frame (h, w, 3) uint8 RGB, or None for one that could not be decoded.

        Returns:
            The segment that it completes, if any. Frames are kept, not copied.
        """
        if self._stamps_s:
            step_s = stamp_s - self._stamps_s[-1]
            if not 0.0 <= step_s <= self.config.longest_gap_s:
                self._begin()
        problem = problem_of(frame, self.config)
        if problem is None:
            assert frame is not None
            self._good = frame
        else:
            self._bad.append(problem)
        self._frames.append(self._good if self._good is not None else _NOTHING)
        self._stamps_s.append(stamp_s)
        if len(self._frames) < self.config.segment.frames:
            return None
        segment = Segment(
            self._number,
            tuple(self._frames),
            self._stamps_s[0],
            self._stamps_s[-1],
            self._problem(),
        )
        self._number += 1
        last = self._good
        self._begin()
        self._good = last
        return segment

    def _begin(self) -> None:
        self._frames, self._stamps_s, self._bad, self._good = [], [], [], None

    def _problem(self) -> str | None:
        frames = self._frames
        if len(self._bad) > len(frames) // 4 or frames[0] is _NOTHING:
            return f"{len(self._bad)} of {len(frames)} frames cannot be judged: {self._bad[0]}"
        first = frames[0]
        if all(frame is first or np.array_equal(frame, first) for frame in frames[1:]):
            return "frozen: all frames are the same"
        return None


_NOTHING = np.zeros((1, 1, 3), np.uint8)
