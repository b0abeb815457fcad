"""How good scores are: micro AUROC, false alarms per hour, time to alarm.

Nothing is tuned on the labels that it is measured by: smoothing and weights are the monitor's
own, each video is smoothed by itself, and no video is stretched to fill 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from brs_ml.anomaly.errors import AnomalyError


@dataclass(frozen=True)
class ScoredVideo:
    """Scores of a video beside the truth."""

    name: str
    scores: np.ndarray  # (n,) float, nan is unknown
    truth: np.ndarray  # (n,) bool


@dataclass(frozen=True)
class AlarmFigures:
    """What alarms are worth at one threshold."""

    threshold: float  # nan: each text has its own
    recall: float  # share of the events that raise an alarm while they last
    false_alarms_per_hour: float  # separate alarms with no truth under them, per normal hour
    seconds_to_alarm: float  # median over the events found; nan if none is


def auroc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Chance that an abnormal frame scores higher than a normal one; equal scores count half.

    Raises:
        AnomalyError: all frames are normal, or none is.
    """
    positives = int(np.count_nonzero(truth))
    negatives = len(truth) - positives
    if not positives or not negatives:
        raise AnomalyError(
            "no AUROC without normal and abnormal frames", remedy="take videos that have both"
        )
    ranks = rankdata(scores)
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def micro_auroc(videos: Sequence[ScoredVideo]) -> tuple[float, float]:
    """AUROC over the frames of all videos as one, and the share of frames that were known.

    Unknown frames take no part, which is why their share is told.
    """
    scores = np.concatenate([video.scores for video in videos])
    truth = np.concatenate([video.truth for video in videos])
    known = np.isfinite(scores)
    return auroc(scores[known], truth[known]), float(known.mean())


def spans(flags: np.ndarray) -> list[tuple[int, int]]:
    """Runs of true as (first, one past the last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def alarms_at(videos: Sequence[ScoredVideo], threshold: float, rate_hz: float) -> AlarmFigures:
    """What a threshold gives: an alarm is a run of frames with at least that score."""
    found, events, false, normal_frames = 0, 0, 0, 0
    delays_s: list[float] = []
    for video in videos:
        raised = np.nan_to_num(video.scores, nan=-np.inf) >= threshold
        normal_frames += int(np.count_nonzero(~video.truth))
        false += sum(not video.truth[begin:end].any() for begin, end in spans(raised))
        for begin, end in spans(video.truth):
            events += 1
            during = np.flatnonzero(raised[begin:end])
            if len(during):
                found += 1
                delays_s.append(float(during[0]) / rate_hz)
    hours = normal_frames / rate_hz / 3600.0
    return AlarmFigures(
        threshold,
        found / events if events else float("nan"),
        false / hours if hours else float("nan"),
        float(np.median(delays_s)) if delays_s else float("nan"),
    )


def alarms_at_recall(videos: Sequence[ScoredVideo], recall: float, rate_hz: float) -> AlarmFigures:
    """The highest threshold that finds at least this share of the events.

    Raises:
        AnomalyError: no event, or none that any threshold finds often enough.
    """
    peaks = [
        float(np.max(known)) if len(known := part[np.isfinite(part)]) else -np.inf
        for video in videos
        for begin, end in spans(video.truth)
        for part in [video.scores[begin:end]]
    ]
    peaks.sort(reverse=True)
    wanted = int(np.ceil(recall * len(peaks) - 1e-9))
    if wanted < 1 or not np.isfinite(peaks[wanted - 1]):
        raise AnomalyError(
            f"no threshold finds {recall:.0%} of {len(peaks)} events",
            remedy="take videos with events, or a lower recall",
        )
    return alarms_at(videos, peaks[wanted - 1], rate_hz)
