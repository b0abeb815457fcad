"""The monitor: frames in, scores out, live or of a whole video."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from brs_ml.anomaly.config import MonitorConfig
from brs_ml.anomaly.frames import SegmentBuffer
from brs_ml.anomaly.scores import CausalSmoother, as_array, smooth
from brs_ml.anomaly.segment import SegmentScore, SegmentScorer


@dataclass(frozen=True)
class MonitorResult:
    """A segment's scores, and how they go on from those before."""

    segment: SegmentScore
    smoothed: float | None  # 0 to 1, of the past only; None is unknown


@dataclass
class Monitor:
    """Watches one camera.

    A node that must not wait for a judge uses its two halves, `SegmentBuffer` and
    `SegmentScorer`, in two threads instead.

    Args:
        scorer: of segments; monitors of several cameras may share one.
    """

    scorer: SegmentScorer
    _buffer: SegmentBuffer = field(init=False)
    _smoother: CausalSmoother = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A new video begins."""
        config = self.scorer.config
        self._buffer = SegmentBuffer(config)
        self._smoother = CausalSmoother(config.smoothing_frames, config.segment.frames)

    def push(self, frame: np.ndarray | None, stamp_s: float) -> MonitorResult | None:
        """Take a frame; the scores of the segment that it completes, if any.

        Args:
            frame: (h, w, 3) uint8 RGB; None where it could not be decoded.
            stamp_s: when it was taken.
        """
        segment = self._buffer.push(frame, stamp_s)
        if segment is None:
            return None
        scores = self.scorer.score(segment)
        return MonitorResult(scores, self._smoother.push(scores.score))


@dataclass(frozen=True)
class VideoScores:
    """Scores of a whole video; frames after the last whole segment have none."""

    segments: tuple[SegmentScore, ...]
    frames: np.ndarray  # (n,) float64 score of each frame, smoothed both ways; nan is unknown


def score_video(
    scorer: SegmentScorer, frames: Iterable[np.ndarray | None], rate_hz: float = 10.0
) -> VideoScores:
    """Scores of a video, without pictures; frames are held for one segment at a time.

    Args:
        scorer: of segments.
        frames: (h, w, 3) uint8 RGB each, None where one could not be decoded.
        rate_hz: of the frames.
    """
    buffer = SegmentBuffer(scorer.config)
    segments = []
    for i, frame in enumerate(frames):
        segment = buffer.push(frame, i / rate_hz)
        if segment is not None:
            segments.append(scorer.score(segment).without_pictures())
    return VideoScores(
        tuple(segments), frame_scores([row.score for row in segments], scorer.config)
    )


def frame_scores(
    scores: Sequence[float | None], config: MonitorConfig, causal: bool = False
) -> np.ndarray:
    """(n,) of each frame of one video, smoothed; nan is unknown.

    Args:
        scores: of its segments.
        config: of the monitor that made them.
        causal: from the past alone.
    """
    frames = np.repeat(as_array(scores), config.segment.frames)
    return smooth(frames, config.smoothing_frames, causal)


def live_scores(scores: Sequence[float | None], config: MonitorConfig) -> np.ndarray:
    """(n,) of each frame of one video as they were known when it came.

    Those of the last whole segment, smoothed from the past alone; nan before there is one.
    """
    count = config.segment.frames
    smoother = CausalSmoother(config.smoothing_frames, count)
    told = as_array([smoother.push(score) for score in scores])
    # A segment is known with its own last frame.
    known = np.concatenate([np.full(count - 1, np.nan), np.repeat(told, count)])
    return known[: len(told) * count]
