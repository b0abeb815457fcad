"""From verdicts to scores, and scores over time. Unknown is None, or nan in arrays."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from brs_ml.anomaly.config import PARTS

REACH = 4.0  # of the Gaussian, in sigmas


@dataclass(frozen=True)
class Parts:
    """Scores 0 to 1 of the three pictures; None is unknown."""

    key_frame: float | None
    position: float | None
    temporal: float | None

    def fused(self, weights: Sequence[float]) -> float | None:
        """Weighted sum; unknown if a part that counts is (AnyAnomaly, section 3.4)."""
        total = 0.0
        for name, weight in zip(PARTS, weights, strict=True):
            score = getattr(self, name)
            if weight > 0.0 and score is None:
                return None
            total += weight * (score or 0.0)
        return total


UNKNOWN = Parts(None, None, None)


def most(parts: Sequence[Parts]) -> Parts:
    """The largest of each part over keywords, of those that are known; before fusion."""

    def largest(name: str) -> float | None:
        known = [s for part in parts if (s := getattr(part, name)) is not None]
        return max(known, default=None)

    return Parts(*(largest(name) for name in PARTS))


def as_array(scores: Sequence[float | None]) -> np.ndarray:
    """(n,) float64 with nan for unknown."""
    return np.array([np.nan if score is None else score for score in scores], dtype=float)


def smooth(scores: np.ndarray, sigma: float, causal: bool = False) -> np.ndarray:
    """Gaussian mean over the frames of one video.

    Weights are those of the frames that exist and are known, so nothing comes from beyond the
    video's ends. AnyAnomaly filters all videos as one; this must be called for each.

    Args:
        scores: (n,), nan where unknown.
        sigma: [frames]; 0 leaves the scores.
        causal: look back only, as one must when live.

    Returns:
        (n,), nan only where no known frame is within reach.
    """
    if sigma <= 0.0 or not len(scores):
        return scores.astype(float)
    kernel = gaussian(sigma, causal)
    known = np.isfinite(scores)
    reach = len(kernel) // 2
    total = np.convolve(np.where(known, scores, 0.0), kernel)[reach : reach + len(scores)]
    weight = np.convolve(known.astype(float), kernel)[reach : reach + len(scores)]
    with np.errstate(invalid="ignore", divide="ignore"):
        # Rounding of a mean must not leave the range of what it is a mean of.
        return np.where(weight > 1e-12, np.clip(total / weight, 0.0, 1.0), np.nan)


def gaussian(sigma: float, causal: bool) -> np.ndarray:
    """(2 r + 1,) weights by the delay of the frame looked at: r frames ahead to r back."""
    reach = math.ceil(REACH * sigma)
    delay = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (delay / sigma) ** 2)
    return np.where(delay >= 0, weights, 0.0) if causal else weights


@dataclass
class CausalSmoother:
    """`smooth(..., causal=True)` at the newest frame, segment by segment.

    Args:
        sigma: [frames].
        frames: of a segment.
    """

    sigma: float
    frames: int
    _recent: deque[float] = field(init=False)

    def __post_init__(self) -> None:
        reach = math.ceil(REACH * self.sigma)
        self._recent = deque(maxlen=math.ceil((reach + 1) / self.frames) or 1)

    def push(self, score: float | None) -> float | None:
        """Take a segment's score; the smoothed one of its last frame."""
        self._recent.append(np.nan if score is None else score)
        value = float(smooth(np.repeat(list(self._recent), self.frames), self.sigma, True)[-1])
        return None if math.isnan(value) else value

    def reset(self) -> None:
        """A new video begins."""
        self._recent.clear()
