"""From cameras as they come to scores one after another: newest segments, smoothing, alarms."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from brs_ml.anomaly.config import MonitorConfig
from brs_ml.anomaly.frames import Segment, SegmentBuffer
from brs_ml.anomaly.scores import REACH, UNKNOWN, CausalSmoother, Parts
from brs_ml.anomaly.segment import KeywordScore, SegmentScore
from brs_ml.anomaly.shown import Shown


@dataclass(frozen=True)
class TextScore:
    """What is known of one text, live."""

    text: str
    score: float | None  # 0 to 1, smoothed over the past; None is unknown
    parts: Parts  # of the newest segment, not smoothed
    reason: str
    judged: bool  # whether the judge was asked
    alarm: bool


@dataclass(frozen=True)
class CameraScores:
    """What one camera's newest segment says."""

    camera: str
    begin_s: float  # stamps of its first and last frame
    end_s: float
    texts: tuple[TextScore, ...]
    begun: tuple[str, ...] = ()  # texts whose alarm begins here
    dropped: int = 0  # segments so far that nobody had time for
    shown: Shown | None = None


def unknown(
    camera: str, texts: Sequence[str], stamp_s: float, reason: str, dropped: int = 0
) -> CameraScores:
    """That nothing is known, and why."""
    rows = tuple(TextScore(text, None, UNKNOWN, reason, False, False) for text in texts)
    return CameraScores(camera, stamp_s, stamp_s, rows, dropped=dropped)


class SegmentQueue:
    """The newest complete segment of each camera, between a thread that brings frames and one
    that scores. A segment that is not taken before the next one is complete is dropped.

    Args:
        cameras: by name.
        config: of the monitor.
    """

    def __init__(self, cameras: Sequence[str], config: MonitorConfig) -> None:
        self._buffers = {camera: SegmentBuffer(config) for camera in cameras}
        self._waiting: dict[str, Segment] = {}  # the one that waits longest first
        self._dropped = dict.fromkeys(cameras, 0)
        self._changed = threading.Condition()

    def push(self, camera: str, frame: np.ndarray | None, stamp_s: float) -> None:
        """Take a frame, see `SegmentBuffer`; called by one thread."""
        segment = self._buffers[camera].push(frame, stamp_s)
        if segment is None:
            return
        with self._changed:
            self._dropped[camera] += camera in self._waiting
            self._waiting[camera] = segment
            self._changed.notify()

    def take(self, timeout_s: float) -> tuple[str, Segment] | None:
        """The camera that waits longest and its segment; None if there is none in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting, timeout_s):
                return None
            camera = next(iter(self._waiting))
            return camera, self._waiting.pop(camera)

    def dropped(self, camera: str) -> int:
        """Segments so far that were not taken."""
        with self._changed:
            return self._dropped[camera]


class CameraHistory:
    """Scores of one camera's segments as they follow each other.

    Args:
        config: of the monitor.
        thresholds: text -> score above which is alarm.
        threshold: of texts that have none.
    """

    def __init__(
        self, config: MonitorConfig, thresholds: Mapping[str, float], threshold: float
    ) -> None:
        self._config, self._thresholds, self._threshold = config, thresholds, threshold
        self._smoothers: dict[str, CausalSmoother] = {}
        self._alarms: set[str] = set()
        self._last: SegmentScore | None = None

    def follow(self, scores: SegmentScore) -> tuple[tuple[TextScore, ...], tuple[str, ...]]:
        """Texts of the next segment, and those whose alarm begins with it.

        A segment that was not scored counts as unknown. An alarm goes on while nothing is known.
        """
        watched = {row.keyword for row in scores.keywords}
        self._smoothers = {k: s for k, s in self._smoothers.items() if k in watched}
        self._alarms &= watched
        self._catch_up(scores)
        rows = tuple(map(self._text, scores.keywords))
        begun = tuple(row.text for row in rows if row.alarm and row.text not in self._alarms)
        self._alarms -= {row.text for row in rows if row.score is not None and not row.alarm}
        self._alarms |= set(begun)
        self._last = scores
        return rows, begun

    def _catch_up(self, scores: SegmentScore) -> None:
        """Smoothers learn of what was missed, or begin anew where that is too much."""
        last, config = self._last, self._config
        if last is None:
            return
        missed, gap_s = scores.number - last.number - 1, scores.begin_s - last.end_s
        forgotten = missed * config.segment.frames >= REACH * config.smoothing_frames
        if forgotten or gap_s < 0.0 or (not missed and gap_s > config.longest_gap_s):
            self._smoothers.clear()
            return
        for smoother in self._smoothers.values():
            for _ in range(missed):
                smoother.push(None)

    def _text(self, row: KeywordScore) -> TextScore:
        config = self._config
        if row.keyword not in self._smoothers:
            self._smoothers[row.keyword] = CausalSmoother(
                config.smoothing_frames, config.segment.frames
            )
        score = self._smoothers[row.keyword].push(row.score)
        if row.score is None:
            score = None  # what was before is not known to be so still
        threshold = self._thresholds.get(row.keyword, self._threshold)
        alarm = score is not None and score > threshold
        return TextScore(row.keyword, score, row.parts, row.reason, row.judged, alarm)


class StillGate:
    """Keeps segments from being scored in which nothing has changed since one that was.

    Compared are means of 32 x 24 blocks, so that noise of the sensor does not count.

    Args:
        levels: grey levels of 255 by which a block may change; 0: everything is scored.
        at_most: segments in a row that are taken for the same.
    """

    def __init__(self, levels: float, at_most: int) -> None:
        self._levels, self._at_most = levels, at_most
        self._reference: np.ndarray | None = None
        self._scores: SegmentScore | None = None
        self._repeated = 0

    def unchanged(self, segment: Segment, texts: Sequence[str]) -> SegmentScore | None:
        """Scores that still hold for a segment; None if it must be scored."""
        scores, reference = self._scores, self._reference
        if scores is None or reference is None or segment.problem is not None:
            return None
        if self._repeated >= self._at_most or list(texts) != [r.keyword for r in scores.keywords]:
            return None
        if not self._same(segment, reference):
            return None
        self._repeated += 1
        rows = [
            replace(row, judged=False, reason=f"nothing has changed: {row.reason}")
            for row in scores.keywords
        ]
        return replace(
            scores,
            number=segment.number,
            begin_s=segment.begin_s,
            end_s=segment.end_s,
            keywords=tuple(rows),
        )

    def remember(self, segment: Segment, scores: SegmentScore) -> None:
        """A segment was scored; it is a reference if nothing moves in it and all is known."""
        self._reference, self._scores, self._repeated = None, None, 0
        if self._levels <= 0.0 or any(row.score is None for row in scores.keywords):
            return
        reference = _blocks(segment.frames[0])
        if self._same(segment, reference):
            self._reference, self._scores = reference, scores

    def _same(self, segment: Segment, reference: np.ndarray) -> bool:
        return all(
            float(np.abs(_blocks(frame) - reference).max()) <= self._levels
            for frame in segment.frames
        )


def _blocks(frame: np.ndarray) -> np.ndarray:
    """(24, 32, 3) float32 means of blocks."""
    return cv2.resize(frame, (32, 24), interpolation=cv2.INTER_AREA).astype(np.float32)
